/* Attempts at delivery: why they failed, with which code, and where they went. Reads tests/data/delivery_texts.tsv. */
#include "exporter/collect/delivery.h"

#include "tests/unit/counted_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { LINES_MAX = 1000 };

static struct line {
    char *text, *class;
} lines[LINES_MAX];
static size_t line_count;

static struct row {
    enum label_problem class;
    enum { asked_first, asked_by_code, asked_last } kind;
    const char *text;
    unsigned decided;
} rows[] = {
#define TEXT(class, literal)    {problem_##class, asked_first, literal, 0},
#define CODE(class, detail)     {problem_##class, asked_by_code, detail, 0},
#define GENERAL(class, literal) {problem_##class, asked_last, literal, 0},
#include "conf/tables/delivery_texts.def"
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

static const char *class_text(enum label_problem class)
{
    return catalogue[metric_delivery_problems_total].labels[0]->values[class];
}

static const char *code_text(enum label_delivery_code code)
{
    return catalogue[metric_delivery_codes_total].labels[0]->values[code];
}

static int setup(void **state)
{
    const char *directory = getenv("TEST_DATA");
    char path[512], *text = NULL;
    size_t size = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/delivery_texts.tsv", directory != NULL ? directory : "tests/data");
    FILE *in = fopen(path, "r");
    if (in == NULL)
        fail_msg("%s: cannot be read; TEST_DATA names the directory", path);
    while (getline(&text, &size, in) > 0) {
        char *tab = strchr(text, '\t');
        if (text[0] == '#')
            continue;
        assert_true(tab != NULL && line_count < LINES_MAX);
        text[strcspn(text, "\n")] = '\0';
        lines[line_count].class = strdup(tab + 1);
        *tab = '\0';
        lines[line_count++].text = strdup(text);
    }
    free(text);
    fclose(in);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < line_count; i++) {
        free(lines[i].text);
        free(lines[i].class);
    }
    return 0;
}

static void test_texts(void **state)
{
    unsigned seen[problem_COUNT] = {0}, wrong = 0;
    (void)state;
    assert_true(line_count >= 150);
    for (size_t i = 0; i < line_count; i++) {
        enum label_problem class = delivery_problem(span_of(lines[i].text));
        seen[class]++;
        if (strcmp(class_text(class), lines[i].class) != 0) {
            print_error("expected %s, got %s: %s\n", lines[i].class, class_text(class), lines[i].text);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
    for (unsigned class = 0; class < problem_COUNT; class ++)
        assert_true(seen[class] > 0);
    print_message("figure: delivery texts: %zu, other %.1f %%\n", line_count,
                  100.0 * seen[problem_other] / (double)line_count);
}

/* What was said, in lower case between blanks, read in the plainest way; to be freed. */
static char *plain_words(const char *text)
{
    static const char suspended[] = "delivery temporarily suspended: ";
    char *words = NULL;
    text += strncmp(text, suspended, sizeof suspended - 1) == 0 ? sizeof suspended - 1 : 0;
    const char *said = strstr(text, " said: "), *refused = strstr(text, " refused to talk to me: ");
    if (strncmp(text, "host ", 5) == 0 && (said != NULL || refused != NULL))
        text = said != NULL ? said + 7 : refused + 24;
    assert_true(asprintf(&words, " %s ", text) > 0);
    for (char *c = words; *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    return words;
}

static struct row *plain_decider(const char *words)
{
    const char *code = code_text(delivery_code(span_of(words)));
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].kind == asked_by_code ? strcmp(code + (strlen(code) > 2 ? 2 : 0), rows[i].text) == 0
                                          : strstr(words, rows[i].text) != NULL)
            return &rows[i];
    }
    return NULL;
}

/* No row is dead, and the table stands in the order in which it is asked. */
static void test_every_row_decides(void **state)
{
    unsigned dead = 0;
    (void)state;
    for (size_t i = 0; i < line_count; i++) {
        char *words = plain_words(lines[i].text);
        struct row *row = plain_decider(words);
        assert_string_equal(row != NULL ? class_text(row->class) : "other", lines[i].class);
        if (row != NULL)
            row->decided++;
        free(words);
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].decided == 0) {
            print_error("delivery_texts.def: \"%s\" decides no line of delivery_texts.tsv\n", rows[i].text);
            dead++;
        }
        assert_true(i == 0 || rows[i].kind >= rows[i - 1].kind);
    }
    assert_int_equal(dead, 0);
}

static void test_codes(void **state)
{
    static const struct {
        const char *text, *code;
    } texts[] = {
        {"2.0.0", "2.0.0"},
        {"250 2.1.5 Ok", "2.1.5"},
        {"5.7.10", "5.7.10"},
        {"550-5.1.1 The account", "5.1.1"},
        {"511 no mailbox (#5.1.1 - chkuser)", "5.1.1"},
        {"host mx[192.0.2.4] said: 450 4.7.1 x", "4.7.1"},
        {"host mx[5.1.1.4] said: 450 4.7.1 then 5.1.1", "4.7.1"},
        {"554 5.7.1", "5.7.1"},
        {"v4.2.1 and 14.2.1, 4.2.1x 4.2.1.9", "4.2.1"},
        {"v4.2.1 and 14.2.1, 4.2.1.9", "other"},
        {"host mx[192.4.2.1] said: no", "other"},
        {"5.7.606", "other"},
        {"5.1.1234", "other"},
        {"5.1.", "other"},
        {"5..1", "other"},
        {"3.1.1", "other"},
        {"no code", "other"},
        {"", "other"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_string_equal(code_text(delivery_code(span_of(texts[i].text))), texts[i].code);
    for (unsigned i = 0; i < delivery_code_other; i++)
        assert_int_equal(delivery_code(span_of(code_text(i))), i);
}

/* ---- where it went ---- */

static void add(struct destinations *list, const char *name, const char *network, uint16_t port)
{
    strcpy(list->list[list->count].name, name);
    if (network != NULL)
        assert_null(network_parse(network, &list->list[list->count].network));
    list->list[list->count].is_network = network != NULL;
    list->list[list->count++].port = port;
}

static void test_destinations(void **state)
{
    static struct settings settings;
    static const struct {
        struct hop hop;
        int destination;
    } hops[] = {
#define HOP(domain, host, address, port, local) {SPAN_TEXT(domain), SPAN_TEXT(host), SPAN_TEXT(address), port, local}
        {HOP("example.com", "mx.example.com", "192.0.2.4", 25, false), destination_external},
        {HOP("", "", "", 0, false), destination_external},
        {HOP("example.com", "", "", 0, true), destination_local},
        {HOP("example.com", "mx", "private/lmtp", 0, false), destination_local},
        {HOP("example.com", "mx", "/run/lmtp", 0, false), destination_local},
        {HOP("example.com", "hub", "10.1.2.3", 25, false), destination_internal}, /* trusted_networks */
        {HOP("example.com", "hub", "::ffff:10.1.2.3", 25, false), destination_internal},
        {HOP("Own.Example", "mx", "192.0.2.4", 25, false), destination_internal}, /* domains */
        {HOP("own.example.", "", "", 0, false), destination_internal},
        {HOP("example.com", "filter", "127.0.0.1", 10024, false), destination_COUNT},
        {HOP("example.com", "filter", "127.0.0.1", 10025, false), destination_external},
        {HOP("example.com", "localhost", "127.0.0.1", 10024, true), destination_COUNT},
        {HOP("example.com", "mx", "2001:db8::7", 25, false), destination_local},
        {HOP("example.com", "mx", "IPv6:2001:db8::7", 25, false), destination_local},
        {HOP("example.com", "mx", "2001:db8::8", 25, false), destination_external},
        {HOP("Mail.example.net", "mx", "192.0.2.4", 25, false), destination_internal}, /* .example.net */
        {HOP("example.net", "mx", "192.0.2.4", 25, false), destination_external},
        {HOP("example.com", "relay.Example.NET", "192.0.2.4", 25, false), destination_internal},
        {HOP("notexample.net", "mx", "192.0.2.4", 25, false), destination_external},
        {HOP("lists.example", "mx", "192.0.2.4", 25, false), destination_local},
        {HOP("lists.example.", "mx", "192.0.2.4", 25, false), destination_local},
        {HOP("x.lists.example", "mx", "192.0.2.4", 25, false), destination_external},
        {HOP("example.com", "archive.example", "192.0.2.4", 2525, false), destination_internal}, /* with a port */
        {HOP("example.com", "archive.example", "192.0.2.4", 25, false), destination_external},
        {HOP("archive.example", "mx", "192.0.2.4", 2525, false), destination_external},
    };
    (void)state;
    assert_null(network_parse("10.0.0.0/8", &settings.trusted_networks.list[0]));
    settings.trusted_networks.count = 1;
    assert_null(own_domains_add(&settings.domains, "own.example", ""));
    add(&settings.collector_destinations_ignore, "", "127.0.0.1", 10024);
    add(&settings.collector_destinations_local, "", "2001:db8::7", 0);
    add(&settings.collector_destinations_local, "lists.example", NULL, 0);
    add(&settings.collector_destinations_internal, ".example.net", NULL, 0);
    add(&settings.collector_destinations_internal, "archive.example", NULL, 2525);
    for (size_t i = 0; i < sizeof hops / sizeof hops[0]; i++) {
        if ((int)delivery_destination(&settings, &hops[i].hop) != hops[i].destination)
            fail_msg("hop %zu (%s, %s) is not %d", i, hops[i].hop.domain.at, hops[i].hop.host.at, hops[i].destination);
    }
}

static void test_count(void **state)
{
    char text[2048];
    static const struct settings settings;
    static const struct hop here = {.local = true}, outside = {.domain = SPAN_TEXT("example.com")};
    const struct counting counting = {.settings = &settings, .tally = &counted_tally};
    struct delivery delivery = delivery_begin(&settings, &here, status_sent);
    (void)state;
    assert_int_equal(delivery.destination, destination_local);
    delivery.code = SPAN("2.6.0");
    delivery_count(&counting, &delivery);
    counted_text(line_used, text);
    assert_string_equal(text, "used: deliveries local sent, delivery_codes 2.6.0 sent");
    delivery.code.length = 0;
    delivery.text = SPAN("250 2.1.5 Ok");
    delivery.delay_us = 60000001;
    delivery.stages_us[stage_connect] = 500000;
    delivery_count(&counting, &delivery);
    counted_text(line_used, text);
    assert_string_equal(
        text, "used: deliveries local sent, delivery_seconds_bucket local 300.0, delivery_stage_seconds_bucket connect "
              "0.5, delivery_codes 2.1.5 sent");
    delivery = delivery_begin(&settings, &outside, status_bounced);
    delivery.delay_us = 1;
    delivery.text = SPAN("550 5.1.1 User unknown");
    delivery_count(&counting, &delivery);
    counted_text(line_used, text);
    assert_string_equal(
        text,
        "used: deliveries external bounced, delivery_problems user_unknown bounced, delivery_codes 5.1.1 bounced");
    delivery = delivery_begin(&settings, &outside, status_expired);
    delivery_count(&counting, &delivery);
    counted_text(line_used, text);
    assert_string_equal(text, "used: deliveries external expired");
    delivery.destination = destination_COUNT;
    delivery.status = status_deferred;
    delivery_count(&counting, &delivery);
    counted_text(line_ignored, text);
    assert_string_equal(text, "ignored");
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Prints what a text costs; judged nowhere. */
static void test_cost(void **state)
{
    enum { TURNS = 20 };
    double begin = seconds();
    (void)state;
    for (int turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < line_count; i++)
            (void)delivery_problem(span_of(lines[i].text));
    }
    print_message("figure: %.0f ns a text of a failed delivery\n",
                  1e9 * (seconds() - begin) / (double)(TURNS * line_count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts), cmocka_unit_test(test_every_row_decides),
        cmocka_unit_test(test_codes), cmocka_unit_test(test_destinations),
        cmocka_unit_test(test_count), cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
