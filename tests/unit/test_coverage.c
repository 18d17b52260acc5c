/* milter/filter/coverage.c: one series of coverage_info at a time, whatever was seen in whatever order by however many threads. */
#include "tests/unit/tally_form.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

/* Another thread gets its turn between any two steps. */
#define tally_gauge_set(tally, gauge, value) (sched_yield(), tally_gauge_set(tally, gauge, value))
#include "milter/filter/coverage.c"
#undef tally_gauge_set

#include <cmocka.h>

static int begin(void **state)
{
    static struct tally tally;
    form_fresh(&tally);
    rejected_offered = bounce_seen = false;
    macros_offered = -1;
    current = -1;
    *state = &tally;
    return 0;
}

static int end(void **state)
{
    form_free(*state);
    return 0;
}

/* The labels of the series that is there; "" for none. */
static const char *shown_now(const struct tally *tally)
{
    static char text[SERIES_TEXT_MAX];
    unsigned count = 0;
    text[0] = '\0';
    for (unsigned i = gauge_coverage_info; i <= gauge_coverage_info_LAST; i++) {
        int64_t value = atomic_load(&tally->self->gauges[i]);
        if (value == GAUGE_ABSENT)
            continue;
        assert_int_equal(value, 1);
        catalogue_gauge_text(i, text);
        count++;
    }
    assert_true(count <= 1);
    const char *labels = strchr(text, '{');
    return labels != NULL ? labels : text;
}

#define LABELS(mta, rejected, bounces)                                                                                 \
    "{mta=\"" mta "\",rejected_recipients=\"" rejected "\",place=\"unknown\",bounces=\"" bounces "\"}"

static void test_nothing_seen(void **state)
{
    const struct tally *tally = *state;
    assert_string_equal(shown_now(tally), "");
    coverage_saw_offer(tally, true, true, true);
    assert_string_equal(shown_now(tally), "");
}

static void test_kinds(void **state)
{
    static const struct {
        bool offered;
        enum label_mta mta;
        const char *labels;
    } rows[] = {
        {true, mta_postfix, LABELS("postfix", "all", "no")},    {false, mta_postfix, LABELS("postfix", "none", "no")},
        {true, mta_sendmail, LABELS("sendmail", "late", "no")}, {false, mta_sendmail, LABELS("sendmail", "none", "no")},
        {true, mta_other, LABELS("other", "all", "no")},        {false, mta_other, LABELS("other", "none", "no")},
        {true, mta_postfix, LABELS("postfix", "all", "no")},
    };
    const struct tally *tally = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        coverage_saw_offer(tally, rows[i].offered, true, true);
        coverage_saw_mta(tally, rows[i].mta);
        assert_string_equal(shown_now(tally), rows[i].labels);
        coverage_saw_mta(tally, rows[i].mta);
        assert_string_equal(shown_now(tally), rows[i].labels);
    }
}

/* What the parts are, as the letters of those that are 1, in capitals, or 0; those that are absent are left out. */
static const char *parts_now(const struct tally *tally)
{
    static const char letters[] =
        "tnausre"; /* tls, client_name, auth, unknown_commands, spam, auth_results, early_refusals */
    static char text[part_COUNT + 1];
    size_t length = 0;
    for (unsigned part = 0; part < part_COUNT; part++) {
        int64_t value = part_value(tally, (enum label_part)part);
        if (value != GAUGE_ABSENT)
            text[length++] = (char)(value == 1 ? letters[part] - 'a' + 'A' : letters[part]);
    }
    text[length] = '\0';
    return text;
}

static void test_parts(void **state)
{
    const struct tally *tally = *state;
    struct settings settings = {.spam_scanner = scanner_milter};
    assert_string_equal(parts_now(tally), "");
    coverage_configured(tally, &settings);
    assert_string_equal(parts_now(tally), "TNAUSrE");
    coverage_saw_offer(tally, true, false, true); /* an MTA that sends what it likes */
    assert_string_equal(parts_now(tally), "tnaUSrE");
    coverage_saw_part(tally, part_auth);
    assert_string_equal(parts_now(tally), "tnAUSrE");
    coverage_saw_offer(tally, true, false, false); /* what was seen stays seen */
    coverage_configured(tally, &settings);
    assert_string_equal(parts_now(tally), "tnAuSrE");
    coverage_saw_offer(tally, true, true, true);
    assert_string_equal(parts_now(tally), "TNAUSrE");
}

static void test_scanners(void **state)
{
    static const struct {
        enum spam_scanner scanner;
        uint32_t listeners, ids;
        const char *parts;
    } rows[] = {
        {scanner_milter, 0, 1, "TNAUSRE"},      {scanner_milter, 1, 0, "TNAUSrE"},
        {scanner_reinjection, 0, 0, "TNAUsrE"}, {scanner_reinjection, 2, 0, "TNAUSrE"},
        {scanner_log, 1, 0, "TNAUsrE"},         {scanner_none, 0, 8, "TNAUsRE"},
    };
    const struct tally *tally = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings settings = {.spam_scanner = rows[i].scanner};
        settings.milter_reinjection.count = rows[i].listeners;
        settings.spam_authserv_ids.count = rows[i].ids;
        coverage_configured(tally, &settings);
        assert_string_equal(parts_now(tally), rows[i].parts);
    }
}

/* A bounce is seen once and for all. */
static void test_bounces(void **state)
{
    const struct tally *tally = *state;
    coverage_saw_offer(tally, true, true, true);
    coverage_saw_mta(tally, mta_postfix);
    coverage_saw_bounce(tally, mta_postfix);
    assert_string_equal(shown_now(tally), LABELS("postfix", "all", "yes"));
    coverage_saw_mta(tally, mta_postfix);
    coverage_saw_bounce(tally, mta_postfix);
    assert_string_equal(shown_now(tally), LABELS("postfix", "all", "yes"));
    coverage_saw_mta(tally, mta_sendmail);
    assert_string_equal(shown_now(tally), LABELS("sendmail", "late", "no"));
}

/* What looks like one with sendmail is mail of a program on its host. */
static void test_bounces_of_sendmail(void **state)
{
    const struct tally *tally = *state;
    coverage_saw_offer(tally, true, true, true);
    coverage_saw_mta(tally, mta_sendmail);
    coverage_saw_bounce(tally, mta_sendmail);
    coverage_saw_mta(tally, mta_postfix);
    assert_string_equal(shown_now(tally), LABELS("postfix", "all", "no"));
}

/* Hidden by an MTA that shows refused recipients late, or not at all. */
static void test_early_refusals(void **state)
{
    static const struct {
        bool offered;
        enum label_mta mta;
        const char *parts;
    } rows[] = {
        {true, mta_sendmail, "TNAUSre"},
        {true, mta_postfix, "TNAUSrE"},
        {false, mta_postfix, "TNAUSre"},
        {true, mta_other, "TNAUSrE"},
    };
    const struct tally *tally = *state;
    struct settings settings = {.spam_scanner = scanner_milter};
    coverage_configured(tally, &settings);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        coverage_saw_offer(tally, rows[i].offered, true, true);
        coverage_saw_mta(tally, rows[i].mta);
        coverage_configured(tally, &settings);
        assert_string_equal(parts_now(tally), rows[i].parts);
    }
}

enum { THREADS = 3, TURNS = 20000 };

static void *see(void *context)
{
    const struct tally *tally = context;
    for (int i = 0; i < TURNS; i++) {
        coverage_saw_mta(tally, (enum label_mta)(i % mta_COUNT));
        if (i == TURNS / 2)
            coverage_saw_bounce(tally, mta_postfix);
    }
    return NULL;
}

/* Two MTAs at one filter, in sessions that begin at the same time: when all is quiet there is one series, that of the last. */
static void test_threads(void **state)
{
    struct tally *tally = *state;
    coverage_saw_offer(tally, true, true, true);
    for (int round = 0; round < 5; round++) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, see, tally), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_string_not_equal(shown_now(tally), "");
        coverage_saw_mta(tally, mta_postfix);
        assert_string_equal(shown_now(tally), LABELS("postfix", "all", "yes"));
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_nothing_seen),
                                       TEST(test_kinds),
                                       TEST(test_bounces),
                                       TEST(test_parts),
                                       TEST(test_scanners),
                                       TEST(test_threads),
                                       TEST(test_bounces_of_sendmail),
                                       TEST(test_early_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
