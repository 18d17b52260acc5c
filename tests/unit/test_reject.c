/* The reject table against real and hostile refusals: tests/data/reject_texts.tsv and reject_texts_hostile.tsv.
 *
 * Table and data hold each other: each line of the data must get its class, each row of reject_texts.def must decide at
 * least one line of the real data, each class must occur there. Which row decides is found by a second, slow and plain
 * reading of the table. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/lib/reject.h"

#include <cmocka.h> /* last: its fail is not ours */

static const struct reject_texts no_texts;

enum { LINES_MAX = 1000, COLUMNS = 5 };

struct line {
    char *column[COLUMNS]; /* class, reply, host, addr, source; NULL where the macro is not there */
    int number;
};

struct data {
    const char *name;
    struct line lines[LINES_MAX];
    size_t count;
};

static struct data real = {.name = "reject_texts.tsv"};
static struct data hostile = {.name = "reject_texts_hostile.tsv"};

struct row {
    enum label_class class;
    bool general;
    const char *text;
    unsigned decided;
};

#define TEXT(class, literal)    {class_##class, false, literal, 0},
#define GENERAL(class, literal) {class_##class, true, literal, 0},
static struct row rows[] = {
#include "conf/tables/reject_texts.def"
};
#undef TEXT
#undef GENERAL

#define CODE_FIRST(class, detail) {class_##class, true, detail, 0},
#define CODE_CLASS(class, detail) {class_##class, false, detail, 0},
static const struct row code_rows[] = {
#include "conf/tables/reject_codes.def"
};
#undef CODE_FIRST
#undef CODE_CLASS

#define C(id, text) text,
static const char *const code_values[] = {
#include "conf/tables/codes.def"
};
#undef C

/* The names of the classes come from labels.def, of which only the set `class` is wanted. */
struct value {
    const char *set, *text;
};
#define V(set, id, text) {#set, text},
static const struct value label_values[] = {
#include "conf/tables/labels.def"
};
#undef V
#undef SET
#undef END

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *label_text(const char *set, unsigned value)
{
    for (size_t i = 0; i < COUNT(label_values); i++)
        if (strcmp(label_values[i].set, set) == 0 && value-- == 0)
            return label_values[i].text;
    return "?";
}

/* One escape of the data, \xHH or \{c*n}, at p: written to out, and the first byte behind it. */
static const char *unescape_one(FILE *out, const char *p)
{
    unsigned byte, times;
    char c;
    int length = 0;

    if (sscanf(p, "\\x%2x%n", &byte, &length) == 1 && length == 4)
        fputc((int)byte, out);
    else if (sscanf(p, "\\{%c*%u}%n", &c, &times, &length) == 2 && length > 0)
        while (times-- > 0)
            fputc(c, out);
    else
        fail_msg("no escape of this file: %s", p);
    return p + length;
}

static char *unescape(const char *p)
{
    char *text = NULL;
    size_t size = 0;

    if (strcmp(p, "\\N") == 0)
        return NULL;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    while (*p != '\0') {
        if (*p == '\\')
            p = unescape_one(out, p);
        else
            fputc(*p++, out);
    }
    fclose(out);
    return text;
}

static void read_line(struct data *data, char *text, int number)
{
    assert_true(data->count < LINES_MAX);
    struct line *line = &data->lines[data->count++];

    line->number = number;
    text[strcspn(text, "\n")] = '\0';
    for (int i = 0; i < COLUMNS; i++) {
        char *field = strsep(&text, "\t");
        if (field == NULL || *field == '\0') {
            if (field == NULL || (i != 2 && i != 3))
                fail_msg("%s:%d: column %d is missing", data->name, number, i + 1);
        }
        line->column[i] = unescape(field);
    }
    if (text != NULL)
        fail_msg("%s:%d: more than %d columns", data->name, number, COLUMNS);
}

static void read_data(struct data *data)
{
    const char *directory = getenv("TEST_DATA");
    char path[4096];
    char *text = NULL;
    size_t size = 0;

    snprintf(path, sizeof(path), "%s/%s", directory != NULL ? directory : "tests/data", data->name);
    FILE *in = fopen(path, "r");
    if (in == NULL)
        fail_msg("%s: cannot be read; TEST_DATA names the directory", path);
    for (int number = 1; getline(&text, &size, in) > 0; number++)
        if (text[0] != '#' && text[0] != '\n')
            read_line(data, text, number);
    free(text);
    fclose(in);
}

static int setup(void **state)
{
    (void)state;
    read_data(&real);
    read_data(&hostile);
    return 0;
}

static int teardown(void **state)
{
    struct data *const all[] = {&real, &hostile};

    (void)state;
    for (size_t d = 0; d < COUNT(all); d++)
        for (size_t i = 0; i < all[d]->count; i++)
            for (int c = 0; c < COLUMNS; c++)
                free(all[d]->lines[i].column[c]);
    return 0;
}

/* How many lines get another class or reply than the data says; each is printed. */
static unsigned count_wrong(const struct data *data)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < data->count; i++) {
        const struct line *line = &data->lines[i];
        const struct reject reject = reject_classify(&no_texts, line->column[2], line->column[3]);
        const char *class = label_text("class", reject.class);
        const char *reply = label_text("reply", reject.reply);
        if (strcmp(class, line->column[0]) == 0 && strcmp(reply, line->column[1]) == 0)
            continue;
        print_error("%s:%d: expected %s %s, got %s %s: %s | %.100s\n", data->name, line->number, line->column[0],
                    line->column[1], class, reply, line->column[2] != NULL ? line->column[2] : "(none)",
                    line->column[3] != NULL ? line->column[3] : "(none)");
        wrong++;
    }
    return wrong;
}

static void test_real(void **state)
{
    size_t seen[class_COUNT] = {0};

    (void)state;
    assert_true(real.count >= 150);
    assert_int_equal(count_wrong(&real), 0);
    for (size_t i = 0; i < real.count; i++)
        seen[reject_classify(&no_texts, real.lines[i].column[2], real.lines[i].column[3]).class]++;
    print_message("figure: reject texts: %zu real, %zu hostile, other %.1f %%\n", real.count, hostile.count,
                  100.0 * (double)seen[class_other] / (double)real.count);
    for (unsigned class = 0; class < class_COUNT; class ++)
        if (seen[class] == 0)
            fail_msg("no line of %s has the class %s", real.name, label_text("class", class));
}

static void test_hostile(void **state)
{
    (void)state;
    assert_true(hostile.count >= 30);
    assert_int_equal(count_wrong(&hostile), 0);
}

/* The part of a reply that counts, read in the plainest way; to be freed. */
static char *plain_words(const char *addr)
{
    const char *start = addr;
    char *words = NULL;

    for (const char *p = addr; *p != '\0'; p++)
        if (strncmp(p, ">: ", 3) == 0 || strncmp(p, ">... ", 5) == 0)
            start = strchr(p, ' ') + 1;
    assert_true(asprintf(&words, " %s ", start) > 0);
    for (char *p = words; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return words;
}

static struct row *plain_decider(const char *words, bool general)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].general == general && strstr(words, rows[i].text) != NULL)
            return &rows[i];
    return NULL;
}

static bool code_in_table(const char *host, bool first)
{
    for (size_t i = 0; i < COUNT(code_rows); i++)
        if (code_rows[i].general == first && host != NULL && strlen(host) > 2 &&
            strcmp(host + 2, code_rows[i].text) == 0)
            return true;
    return false;
}

static void test_every_row_decides(void **state)
{
    unsigned dead = 0;

    (void)state;
    for (size_t i = 0; i < real.count; i++) {
        const char *host = real.lines[i].column[2];
        char *words = plain_words(real.lines[i].column[3]);
        struct row *row = code_in_table(host, true) ? NULL : plain_decider(words, false);
        if (row == NULL && !code_in_table(host, true) && !code_in_table(host, false))
            row = plain_decider(words, true);
        if (row != NULL) {
            row->decided++;
            if (strcmp(real.lines[i].column[0], label_text("class", row->class)) != 0)
                fail_msg("%s:%d: \"%s\" decides, of another class", real.name, real.lines[i].number, row->text);
        }
        free(words);
    }
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].decided == 0) {
            print_error("reject_texts.def: \"%s\" decides no line of %s\n", rows[i].text, real.name);
            dead++;
        }
    }
    assert_int_equal(dead, 0);
}

static void test_codes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < code_other; i++) {
        const struct reject reject = reject_classify(&no_texts, code_values[i], "no words of the table");
        assert_int_equal(reject.code, i);
        assert_int_equal(reject.reply, code_values[i][0] == '4' ? reply_4xx : reply_5xx);
    }
    assert_int_equal(reject_classify(&no_texts, "5.7.99", "x").code, code_other);
    assert_int_equal(reject_classify(&no_texts, NULL, "550 5.1.1 x").code, code_c5_1_1);
    for (size_t i = 0; i < COUNT(code_rows); i++) {
        char host[16];
        snprintf(host, sizeof(host), "5.%s", code_rows[i].text);
        assert_string_not_equal(code_rows[i].text, "7.1");
        assert_int_equal(reject_classify(&no_texts, host, "no words of the table").class, code_rows[i].class);
        /* A text is believed before the code, but for the codes that are asked first. */
        assert_int_equal(reject_classify(&no_texts, host, "Relay access denied").class,
                         code_rows[i].general ? code_rows[i].class : class_relay_denied);
    }
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Seconds of one classification: the best of a few runs, since other programs are at work too. */
static double cost(const struct line *line)
{
    enum { RUNS = 5, TURNS = 40 };
    double best = 1;

    for (int run = 0; run < RUNS; run++) {
        const double begin = seconds();
        for (int turn = 0; turn < TURNS; turn++)
            (void)reject_classify(&no_texts, line->column[2], line->column[3]);
        const double took = (seconds() - begin) / (double)TURNS;
        if (took < best)
            best = took;
    }
    return best;
}

/* Prints what a classification costs; judged nowhere. */
static void test_cost(void **state)
{
    struct data *const all[] = {&real, &hostile};

    (void)state;
    for (size_t d = 0; d < COUNT(all); d++) {
        double total = 0, worst = 0;
        int worst_line = 0;
        for (size_t i = 0; i < all[d]->count; i++) {
            const double took = cost(&all[d]->lines[i]);
            total += took;
            if (took > worst) {
                worst = took;
                worst_line = all[d]->lines[i].number;
            }
        }
        print_message("figure: %s: %.0f ns a refusal, worst %.0f ns (line %d)\n", all[d]->name,
                      1e9 * total / (double)all[d]->count, 1e9 * worst, worst_line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),  cmocka_unit_test(test_hostile), cmocka_unit_test(test_every_row_decides),
        cmocka_unit_test(test_codes), cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
