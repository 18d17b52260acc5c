/* milter/filter/spam.c: what spam headers say, and which of several of one name is believed. */
#include "milter/filter/spam.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LONG_255                                                                                                       \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901" \
    "2345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123" \
    "456789012345678901234567890123"

static const struct {
    const char *headers[6][2];
    enum label_spam verdict;
} rows[] = {
    {{{NULL}}, spam_unscanned},
    {{{"Subject", "Yes"}}, spam_unscanned},
    {{{"X-Spam-Flag", "YES"}}, spam_spam},
    {{{"X-Spam-Flag", "NO"}}, spam_clean},
    {{{"x-SPAM-flag", "yes"}}, spam_spam},
    {{{"X-Spam-Status", "Yes, score=7.1 required=5.0 tests=A,B"}}, spam_spam},
    {{{"X-Spam-Status", "No, score=-1.9"}}, spam_clean},
    {{{"X-Spam-Status", "yEs"}}, spam_spam},
    /* white space before, and folded */
    {{{"X-Spam-Status", "  \t Yes, score=7"}}, spam_spam},
    {{{"X-Spam-Status", "\n\tNo,\n\tscore=7"}}, spam_clean},
    {{{"X-Spam-Status", "\v\f\r\nYes"}}, spam_spam},
    /* the word and no other */
    {{{"X-Spam-Status", "Yesterday"}}, spam_unscanned},
    {{{"X-Spam-Status", "Nobody"}}, spam_unscanned},
    {{{"X-Spam-Status", "Yes1"}}, spam_unscanned},
    {{{"X-Spam-Status", "Yes\xc3\xa4"}}, spam_spam},
    {{{"X-Spam-Status", "Yes;"}}, spam_spam},
    {{{"X-Spam-Status", "\"Yes\""}}, spam_unscanned},
    {{{"X-Spam-Status", "\xa0Yes"}}, spam_unscanned},
    {{{"X-Spam-Status", "Y"}}, spam_unscanned},
    {{{"X-Spam-Status", ""}}, spam_unscanned},
    {{{"X-Spam-Status", " "}}, spam_unscanned},
    {{{"X-Spam-Status", "score=9 Yes"}}, spam_unscanned},
    {{{"X-Spam-Status", "\xff\xfe"}}, spam_unscanned},
    /* names that only look like it */
    {{{"X-Spam-Statu", "Yes"}}, spam_unscanned},
    {{{"X-Spam-Status-", "Yes"}}, spam_unscanned},
    {{{" X-Spam-Status", "Yes"}}, spam_unscanned},
    {{{"X-Spam-Status ", "Yes"}}, spam_unscanned},
    {{{"", "Yes"}}, spam_unscanned},
    {{{LONG_255, "Yes"}}, spam_unscanned},
    {{{"X-Sp\xc4\x80m-Flag", "Yes"}}, spam_unscanned},
    /* several of one name: SpamAssassin's is the first, rspamd's the last */
    {{{"X-Spam-Status", "Yes, score=9"}, {"Subject", "x"}, {"X-Spam-Status", "No, forged"}}, spam_spam},
    {{{"X-Spam-Status", "No, score=1"}, {"X-Spam-Status", "Yes, forged"}}, spam_clean},
    {{{"X-Spam-Status", "Yes"}, {"X-Spam-Status", "No"}, {"x-spam-status", "No"}}, spam_spam},
    {{{"X-Spam-Status", "garbage"}, {"X-Spam-Status", "Yes, forged"}}, spam_unscanned},
    {{{"X-Spam-Flag", ""}, {"X-Spam-Flag", "NO"}}, spam_unscanned},
    {{{"X-Spam", "No, forged"}, {"Subject", "x"}, {"X-Spam", "Yes"}}, spam_spam},
    {{{"X-Spam", "Yes, forged"}, {"X-Spam", "garbage"}}, spam_unscanned},
    /* the short one where the long one says nothing */
    {{{"X-Spam-Flag", "NO"}, {"X-Spam-Status", "Yes"}}, spam_spam},
    {{{"X-Spam-Flag", "YES"}, {"X-Spam-Status", "No"}}, spam_clean},
    {{{"X-Spam-Flag", "?"}, {"X-Spam-Status", "No"}}, spam_clean},
    {{{"X-Spam-Flag", "NO"}, {"X-Spam-Status", "?"}}, spam_clean},
    {{{"X-Spam-Status", "?"}, {"X-Spam-Flag", "YES"}}, spam_spam},
    /* of different names spam goes before clean, and clean before nothing */
    {{{"X-Spam", "NO"}, {"X-Spam-Status", "Yes"}}, spam_spam},
    {{{"X-Spam", "YES"}, {"X-Spam-Status", "No"}}, spam_spam},
    {{{"X-Spam-Flag", "YES"}, {"X-Bogosity", "Ham"}}, spam_spam},
    {{{"X-Spam", "?"}, {"X-Spam-Status", "No"}}, spam_clean},
    {{{"X-Spam", "NO"}, {"X-Spam-Status", "?"}}, spam_clean},
};

static const struct settings milter = {.spam_scanner = scanner_milter};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct spam_state spam = {0};
        for (size_t j = 0; j < 6 && rows[i].headers[j][0] != NULL; j++)
            spam_header(&spam, &milter, rows[i].headers[j][0], rows[i].headers[j][1]);
        if (spam_verdict(&spam) != rows[i].verdict)
            fail_msg("row %zu, \"%s: %s\": %d", i, rows[i].headers[0][0], rows[i].headers[0][1],
                     (int)spam_verdict(&spam));
    }
}

/* With sendmail the first of a name is the scanner's own, whatever its place is elsewhere. */
static void test_milters_on_top(void **state)
{
    static const char *const names[] = {"X-Spam-Flag", "X-Spam", "X-Virus-Status", "X-Amavis-Alert"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct spam_state spam = {.milters_on_top = true};
        spam_header(&spam, &milter, names[i], i < 2 ? "yes" : "infected");
        spam_header(&spam, &milter, names[i], "no, forged");
        assert_int_equal(spam_verdict(&spam), i < 2 ? spam_spam : spam_unscanned);
        assert_int_equal(spam_infected(&spam), i >= 2);
    }
}

/* Only the first SPAM_VALUE_MAX bytes are looked at, however much there is; no byte beyond the value. */
static void test_long_values(void **state)
{
    enum { LONG = 1 << 20 };
    (void)state;
    for (size_t space = SPAM_VALUE_MAX - 6; space < SPAM_VALUE_MAX + 6; space++) {
        struct spam_state spam = {0};
        char *value = malloc(space + 4);
        memset(value, ' ', space);
        memcpy(value + space, "Yes", 4);
        spam_header(&spam, &milter, "X-Spam-Flag", value);
        assert_int_equal(spam_verdict(&spam), space + 3 < SPAM_VALUE_MAX ? spam_spam : spam_unscanned);
        free(value);
    }
    static const char *const words[] = {"Yes,", "No ", "    ", "yyyy"};
    static const enum label_spam verdicts[] = {spam_spam, spam_clean, spam_unscanned, spam_unscanned};
    for (size_t i = 0; i < 4; i++) {
        struct spam_state spam = {0};
        char *value = malloc(LONG);
        memset(value, words[i][3] == ' ' ? ' ' : 'y', LONG);
        memcpy(value, words[i], strlen(words[i]));
        value[LONG - 1] = '\0';
        spam_header(&spam, &milter, "X-Spam-Status", value);
        assert_int_equal(spam_verdict(&spam), verdicts[i]);
        free(value);
    }
}

/* ---- every row, and forgeries of it ---- */

enum place { place_of_bottom, place_of_top };

static const struct known {
    const char *name;
    enum place place;
    const char *spam, *clean, *infected;
} table[] = {
#define SPAM_HEADER(name, place, spam, clean, score_after) {name, place_of_##place, spam, clean, NULL},
#define SHORT_SPAM_HEADER(name, place, spam, clean)        {name, place_of_##place, spam, clean, NULL},
#define VIRUS_HEADER(name, place, infected)                {name, place_of_##place, NULL, NULL, infected},
#include "conf/tables/spam_headers.def"
#undef SPAM_HEADER
#undef SHORT_SPAM_HEADER
#undef VIRUS_HEADER
};
enum { TABLE = sizeof table / sizeof table[0] };

/* The name as a message has it. */
static const char *full_name(const struct known *row)
{
    static char name[128];
    snprintf(name, sizeof name, "%s%s", row->name[0] == '-' ? "X-Site-1" : "", row->name);
    return name;
}

/* The first of several words, in capitals, with more behind it. */
static const char *value_with(const char *words)
{
    static char value[4][128];
    static unsigned turn;
    char *text = value[turn++ % 4];
    snprintf(text, 128, " %.*s; and more", (int)strcspn(words, "|"), strcmp(words, "*") == 0 ? "Some.Virus" : words);
    for (char *c = text; *c != ';'; c++)
        *c = (char)toupper((unsigned char)*c);
    return text;
}

/* What three headers of this name, one below the other, come to. */
static struct spam_state three(const struct known *row, const char *first, const char *second, const char *third)
{
    struct spam_state spam = {0};
    const char *const values[] = {first, second, third};
    spam_header(&spam, &milter, "X-Other", "yes");
    for (int i = 0; i < 3; i++) {
        if (values[i] != NULL)
            spam_header(&spam, &milter, full_name(row), values[i]);
        spam_header(&spam, &milter, "Subject", "spam");
    }
    return spam;
}

static void test_forged_verdicts(void **state)
{
    (void)state;
    for (int i = 0; i < TABLE; i++) {
        const struct known *row = &table[i];
        if (row->spam == NULL || *row->spam == '\0')
            continue;
        const char *spam = value_with(row->spam), *clean = value_with(row->clean);
        struct spam_state alone = three(row, NULL, spam, NULL), ham = three(row, NULL, clean, NULL);
        assert_int_equal(spam_verdict(&alone), spam_spam);
        assert_int_equal(spam_verdict(&ham), spam_clean);
        bool first = row->place == place_of_top;
        /* forged below what stands at the top, above what stands at the bottom, around what stands between */
        struct spam_state above = three(row, clean, clean, spam), below = three(row, spam, clean, clean),
                          around = three(row, clean, spam, clean);
        assert_int_equal(spam_verdict(&above), first ? spam_clean : spam_spam);
        assert_int_equal(spam_verdict(&below), first ? spam_spam : spam_clean);
        assert_int_equal(spam_verdict(&around), spam_clean);
    }
}

static void test_forged_infections(void **state)
{
    (void)state;
    for (int i = 0; i < TABLE; i++) {
        const struct known *row = &table[i];
        if (row->infected == NULL)
            continue;
        const char *infected = value_with(row->infected), *clean = "";
        bool first = row->place == place_of_top;
        struct spam_state alone = three(row, NULL, infected, NULL), not = three(row, NULL, clean, NULL),
                          above = three(row, clean, clean, infected), below = three(row, infected, clean, clean),
                          around = three(row, clean, infected, clean);
        assert_true(spam_infected(&alone));
        assert_false(spam_infected(&not ));
        assert_int_equal(spam_infected(&above), !first);
        assert_int_equal(spam_infected(&below), first);
        assert_false(spam_infected(&around));
    }
}

/* What each of these says: verdict, score in millionths, infected. */
static const struct {
    const char *name, *value;
    enum label_spam verdict;
    int64_t score;
    bool infected;
} real[] = {
    {"X-Spam-Status", "Yes, score=7.9 required=5.0 tests=EMPTY_MESSAGE\n\tautolearn=no version=3.4.0", spam_spam,
     7900000, false},
    {"X-Spam-Status", "No, hits=0.3 required=5.0", spam_clean, 300000, false},
    {"X-Spam-Status", "No, score=-1.899 tagged_above=-999 required=6.2 tests=[BAYES_00=-1.9]", spam_clean, 0, false},
    {"X-Spam-Status", "No, score=x tag=x tag2=x kill=x tests=[] autolearn=unavailable", spam_clean, -1, false},
    {"X-Spam-Status", "Yes, score=1000.0 required=5.0 tests=GTUBE", spam_spam, 1000000000, false},
    {"X-Spam-Status", "Yes, score=99999999999999999999999999", spam_spam, 2000000000, false},
    {"X-Spam-Status", "Yes, score=2000.5", spam_spam, 2000000000, false},
    {"X-Spam-Status", "Yes, SCORE=+5", spam_spam, 5000000, false},
    {"X-Spam-Status", "Yes, score=.5", spam_spam, -1, false},
    {"X-Spam-Status", "Yes, score=5.", spam_spam, 5000000, false},
    {"X-Spam-Status", "Yes, score=1.23456789", spam_spam, 1234567, false},
    {"X-Spam-Status", "Yes, score= 4.0", spam_spam, 4000000, false},
    {"X-Spam-Status", "Yes, score", spam_spam, -1, false},
    {"X-Spam-Flag", "YES", spam_spam, -1, false},
    {"X-Spam-Score", "7.31", spam_unscanned, 7310000, false},
    {"X-Spam-Score", "-5.2 (-----)", spam_unscanned, 0, false},
    {"X-Spam-Score", "x", spam_unscanned, -1, false},
    {"X-Spam-Score", "", spam_unscanned, -1, false},
    {"X-Spam", "Yes", spam_spam, -1, false},
    {"X-Spamd-Result", "default: False [7.13 / 15.00];\n\tR_DKIM_ALLOW(-0.20)[a.b:s=c];", spam_clean, 7130000, false},
    {"X-Spamd-Result", "default: True [20.50 / 15.00];", spam_spam, 20500000, false},
    {"X-Spamd-Result", "default: False [-3.00 / 15.00];", spam_clean, 0, false},
    {"X-Rspamd-Action", "add header", spam_spam, -1, false},
    {"X-Rspamd-Action", "rewrite subject", spam_spam, -1, false},
    {"X-Rspamd-Action", "no action", spam_clean, -1, false},
    {"X-Rspamd-Action", "greylist", spam_clean, -1, false},
    {"X-Rspamd-Score", "12.314971", spam_unscanned, 12314971, false},
    {"X-Virus", "Eicar-Test-Signature", spam_unscanned, -1, true},
    {"X-Virus", "", spam_unscanned, -1, false},
    {"X-GPC-MailScanner-SpamCheck", "not spam, SpamAssassin (not cached, score=-1.87,\n\trequired 5, BAYES_00 -0.75)",
     spam_clean, 0, false},
    {"X-MailScanner-SpamCheck", "spam, SpamAssassin (not cached, score=9.5, required 5)", spam_spam, 9500000, false},
    {"X-IMAG-MailScanner-SpamCheck", "", spam_unscanned, -1, false},
    {"X-IMAG-MailScanner", "Found to be clean", spam_unscanned, -1, false},
    {"X-IMAG-MailScanner", "Found to be infected", spam_unscanned, -1, true},
    {"X-MailScanner", "Not scanned: please contact your Internet E-Mail Service Provider for details", spam_unscanned,
     -1, false},
    {"-MailScanner", "Found to be infected", spam_unscanned, -1, false},
    {"Y-MailScanner", "Found to be infected", spam_unscanned, -1, false},
    {"X-Amavis-Alert", "INFECTED, message contains virus: Win.Test.EICAR_HDB-1", spam_unscanned, -1, true},
    {"X-Amavis-Alert", "BANNED, message contains .exe", spam_unscanned, -1, false},
    {"X-Virus-Status", "Infected (Eicar-Signature)", spam_unscanned, -1, true},
    {"X-Virus-Status", "Infected with Exploit.PDF-9669", spam_unscanned, -1, true},
    {"X-Virus-Status", "Clean", spam_unscanned, -1, false},
    {"X-Virus-Scanned", "ClamAV 0.88.7/10275/Fri Jan  8 17:06:46 2010 on mx", spam_unscanned, -1, false},
    {"X-Bogosity", "Ham, tests=bogofilter, spamicity=0.000000, version=1.2.5", spam_clean, -1, false},
    {"X-Bogosity", "Spam, tests=bogofilter, spamicity=1.000000", spam_spam, -1, false},
    {"X-Bogosity", "Unsure, tests=bogofilter, spamicity=0.5", spam_clean, -1, false},
    {"X-CRM114-Status", "GOOD (  14.01  )", spam_clean, -1, false},
    {"X-CRM114-Status", "SPAM  ( pR: -24.9 )", spam_spam, -1, false},
    {"X-CRM114-Status", "UNSURE (   7.80  )", spam_clean, -1, false},
    {"X-DSPAM-Result", "Innocent", spam_clean, -1, false},
    {"X-DSPAM-Result", "Spam", spam_spam, -1, false},
    {"X-DSPAM-Result", "Virus", spam_unscanned, -1, true},
    {"X-MS-Exchange-Organization-SCL", "-1", spam_clean, -1, false},
    {"X-MS-Exchange-Organization-SCL", "4", spam_clean, -1, false},
    {"X-MS-Exchange-Organization-SCL", "5", spam_spam, -1, false},
    {"X-MS-Exchange-Organization-SCL", "9", spam_spam, -1, false},
    {"X-MS-Exchange-Organization-SCL", "55", spam_unscanned, -1, false},
};

static void test_real_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++) {
        struct spam_state spam = {0};
        spam_header(&spam, &milter, real[i].name, real[i].value);
        if (spam_verdict(&spam) != real[i].verdict || spam_score(&spam) != real[i].score ||
            spam_infected(&spam) != real[i].infected)
            fail_msg("%s: %s: verdict %d, score %lld, infected %d", real[i].name, real[i].value,
                     (int)spam_verdict(&spam), (long long)spam_score(&spam), spam_infected(&spam));
    }
}

/* Of several scores the one of the first row of the table counts, and of one name that at its place. */
static void test_scores(void **state)
{
    struct spam_state spam = {0};
    (void)state;
    assert_int_equal(spam_score(&spam), -1);
    spam_header(&spam, &milter, "X-Rspamd-Score", "3.5");
    spam_header(&spam, &milter, "X-Spam-Score", "2");
    assert_int_equal(spam_score(&spam), 2000000);
    spam_header(&spam, &milter, "X-Spam-Status", "Yes, score=9");
    spam_header(&spam, &milter, "X-Spam-Status", "No, score=1");
    assert_int_equal(spam_score(&spam), 9000000);
    spam = (struct spam_state){0};
    spam_header(&spam, &milter, "X-Rspamd-Score", "3.5");
    spam_header(&spam, &milter, "X-Spam-Status", "No");
    spam_header(&spam, &milter, "X-Spam-Status", "No, score=1");
    assert_int_equal(spam_score(&spam), 3500000);
    spam_header(&spam, &milter, "X-Rspamd-Score", "1.5");
    assert_int_equal(spam_score(&spam), 1500000);
}

/* The operator's own headers; one with a known name takes its place. */
static void test_own(void **state)
{
    struct settings settings = {
        .spam_headers = {.count = 3,
                         .list = {{.name = "Our-Filter", .spam = "bad mail", .place = spam_place_bottom},
                                  {.name = "X-Spam-Status",
                                   .spam = "Yes",
                                   .score_after = "score=",
                                   .has_score = true,
                                   .place = spam_place_top},
                                  {.name = "Our-Score", .has_score = true}}}};
    struct spam_state spam = {0};
    (void)state;
    spam_header(&spam, &settings, "our-filter", "BAD mail, forged");
    assert_int_equal(spam_verdict(&spam), spam_spam);
    spam_header(&spam, &settings, "Our-Filter", "bad mailbox");
    assert_int_equal(spam_verdict(&spam), spam_clean);
    assert_int_equal(spam_score(&spam), -1);
    spam_header(&spam, &settings, "X-Spam-Status", "No, score=1.5");
    spam_header(&spam, &settings, "X-Spam-Status", "Yes, score=9.5");
    assert_int_equal(spam_verdict(&spam), spam_clean);
    assert_int_equal(spam_score(&spam), 1500000);
    spam_header(&spam, &settings, "X-Spam-Flag", "YES");
    assert_int_equal(spam_verdict(&spam), spam_spam);
    spam = (struct spam_state){0};
    spam_header(&spam, &settings, "Our-Score", " 4 of 10");
    assert_int_equal(spam_verdict(&spam), spam_unscanned);
    assert_int_equal(spam_score(&spam), 4000000);
}

/* Of the names that a row stands for the operator can give the one that counts; and silence a row, by one that finds nothing. */
static void test_own_of_many(void **state)
{
    struct settings settings = {
        .spam_headers = {
            .count = 2,
            .list = {{.name = "X-Our-MailScanner-SpamCheck", .spam = "spam", .place = spam_place_bottom},
                     {.name = "X-Bogosity", .score_after = "silent", .has_score = true, .place = spam_place_bottom}}}};
    struct spam_state spam = {0};
    (void)state;
    spam_header(&spam, &settings, "X-Their-MailScanner-SpamCheck", "spam, forged");
    spam_header(&spam, &settings, "X-Bogosity", "Spam, tests=bogofilter");
    assert_int_equal(spam_verdict(&spam), spam_unscanned);
    assert_int_equal(spam_score(&spam), -1);
    spam_header(&spam, &settings, "X-Their-MailScanner", "Found to be infected"); /* another row */
    assert_true(spam_infected(&spam));
    spam_header(&spam, &settings, "x-our-mailscanner-spamcheck", "spam, SpamAssassin");
    assert_int_equal(spam_verdict(&spam), spam_spam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_of_many),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_milters_on_top),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_forged_verdicts),
        cmocka_unit_test(test_forged_infections),
        cmocka_unit_test(test_real_headers),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
