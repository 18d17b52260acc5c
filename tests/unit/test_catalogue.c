/* conf/lib/catalogue.c: the tables as a whole, and texts of series and values there and back. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The catalogue once more, as a build of another version would have it. */
#define MILTERSCOPE_VERSION    "of-another-build"
#define catalogue              other_catalogue
#define catalogue_hash         other_hash
#define catalogue_series       other_series
#define catalogue_total_text   other_total_text
#define catalogue_named_series other_named_series
#define catalogue_place        other_place_of
#define metric_is_node         other_is_node
#define catalogue_has_domain   other_has_domain
#define catalogue_gauge_text   other_gauge_text
#define catalogue_total_metric other_total_metric
#define catalogue_gauge_metric other_gauge_metric
#define catalogue_find_total   other_find_total
#define catalogue_find_gauge   other_find_gauge
#define catalogue_value_text   other_value_text
#define catalogue_total_unit   other_total_unit
#define catalogue_value_parse  other_value_parse
#include "conf/lib/catalogue.c"
#undef catalogue
#undef catalogue_hash
#undef catalogue_series
#undef catalogue_total_text
#undef catalogue_named_series
#undef catalogue_has_domain
#undef catalogue_gauge_text
#undef catalogue_total_metric
#undef catalogue_gauge_metric
#undef catalogue_find_total
#undef catalogue_find_gauge
#undef catalogue_value_text
#undef catalogue_total_unit
#undef catalogue_value_parse
extern const struct metric catalogue[metric_COUNT];
uint64_t catalogue_hash(void);
size_t catalogue_series(const struct metric *metric, unsigned slot, char *text);
bool catalogue_has_domain(const struct metric *metric);
size_t catalogue_named_series(const struct metric *metric, unsigned slot, const char *domain, char *text);
size_t catalogue_total_text(unsigned total, char *text);
size_t catalogue_gauge_text(unsigned gauge, char *text);
const struct metric *catalogue_total_metric(unsigned total);
const struct metric *catalogue_gauge_metric(unsigned gauge);
int catalogue_find_total(const char *text, size_t length);
int catalogue_find_gauge(const char *text, size_t length);
size_t catalogue_value_text(enum metric_unit unit, int64_t value, char *text);
enum metric_unit catalogue_total_unit(unsigned total);
bool catalogue_value_parse(enum metric_unit unit, const char *text, size_t length, int64_t *value);

/* ---- series ---- */

/* The texts of all series, totals first. */
enum { SERIES = (int)total_COUNT + (int)gauge_COUNT };
static char texts[SERIES][SERIES_TEXT_MAX];

static int make_texts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SERIES; i++) {
        size_t length =
            i < total_COUNT ? catalogue_total_text(i, texts[i]) : catalogue_gauge_text(i - total_COUNT, texts[i]);
        if (length != strlen(texts[i]))
            return 1;
    }
    return 0;
}

static void test_texts(void **state)
{
    static const struct {
        unsigned total;
        const char *text;
    } rows[] = {
        {SERIES_0(push_total), "milterscope_push_total"},
        {SERIES_1(connections_total, client_external), "milterscope_connections_total{client=\"external\"}"},
        {SERIES_2(messages_total, source_external, verdict_passed),
         "milterscope_messages_total{source=\"external\",verdict=\"passed\"}"},
        {SERIES_2(rejects_total, class_other, reply_5xx), "milterscope_rejects_total{class=\"other\",reply=\"5xx\"}"},
        {total_session_seconds, "milterscope_session_seconds_bucket{le=\"0.01\"}"},
        {total_session_seconds_LAST - 1, "milterscope_session_seconds_bucket{le=\"+Inf\"}"},
        {total_session_seconds_LAST, "milterscope_session_seconds_sum"},
        {total_message_bytes, "milterscope_message_bytes_bucket{source=\"local\",le=\"1000.0\"}"},
        {total_message_bytes_LAST, "milterscope_message_bytes_sum{source=\"external\"}"},
    };
    char text[SERIES_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(texts[rows[i].total], rows[i].text);
    catalogue_gauge_text(gauge_coverage_info, text);
    assert_string_equal(text, "milterscope_coverage_info{mta=\"postfix\",rejected_recipients=\"all\",place=\"last\","
                              "bounces=\"yes\"}");
    catalogue_gauge_text(gauge_coverage_info_LAST, text);
    assert_string_equal(text, "milterscope_coverage_info{mta=\"other\",rejected_recipients=\"none\",place=\"unknown\","
                              "bounces=\"no\"}");
    catalogue_gauge_text(gauge_process_open_fds, text);
    assert_string_equal(text, "process_open_fds");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_texts_are_unique(void **state)
{
    char *sorted[SERIES];
    (void)state;
    for (int i = 0; i < SERIES; i++)
        sorted[i] = texts[i];
    qsort(sorted, SERIES, sizeof *sorted, compare);
    for (int i = 1; i < SERIES; i++)
        assert_string_not_equal(sorted[i - 1], sorted[i]);
}

static void test_find(void **state)
{
    char text[SERIES_TEXT_MAX + 8];
    (void)state;
    for (int i = 0; i < SERIES; i++) {
        size_t length = strlen(texts[i]);
        bool is_total = i < total_COUNT;
        assert_int_equal(catalogue_find_total(texts[i], length), is_total ? i : -1);
        assert_int_equal(catalogue_find_gauge(texts[i], length), is_total ? -1 : i - total_COUNT);
        for (size_t part = 0; part < length; part++) { /* some texts begin with another one */
            int found =
                is_total ? catalogue_find_total(texts[i], part) : catalogue_find_gauge(texts[i], part) + total_COUNT;
            assert_true(found < (is_total ? 0 : total_COUNT) || strlen(texts[found]) == part);
        }
        memcpy(text, texts[i], length + 1);
        text[length + 1] = '\0';
        assert_int_equal(catalogue_find_total(text, length + 1), -1); /* a NUL within */
        text[length] = ' ';
        assert_int_equal(catalogue_find_total(text, length + 1), -1);
    }
    assert_int_equal(catalogue_find_total("", 0), -1);
    memset(text, 'm', sizeof text);
    for (size_t length = SERIES_TEXT_MAX - 2; length <= SERIES_TEXT_MAX + 2; length++)
        assert_int_equal(catalogue_find_total(text, length), -1);
}

/* Names and labels as Prometheus takes them, and every slot of a metric within its own numbers. */
static void test_metrics(void **state)
{
    unsigned totals = 0, gauges = 0;
    (void)state;
    for (unsigned i = 0; i < metric_COUNT; i++) {
        const struct metric *metric = &catalogue[i];
        unsigned *next = metric->is_total ? &totals : &gauges;
        assert_int_equal(metric->first, *next);
        *next += metric->slots;
        assert_true(metric->slots > 0);
        assert_int_equal(strspn(metric->name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(metric->name));
        assert_true(metric->unit != unit_seconds || strstr(metric->name, "seconds") != NULL);
        assert_true(metric->unit != unit_decimal || metric->kind == kind_histogram || metric->kind == kind_gauge);
        assert_true(metric->unit != unit_bytes || strstr(metric->name, "bytes") != NULL);
        assert_int_equal(metric->bounds != NULL, metric->kind == kind_histogram);
        for (unsigned slot = 0; slot < metric->slots; slot++) {
            unsigned number = metric->first + slot;
            assert_ptr_equal(metric->is_total ? catalogue_total_metric(number) : catalogue_gauge_metric(number),
                             metric);
        }
        for (unsigned j = 0; j < metric->label_count; j++) {
            const struct label_set *set = metric->labels[j];
            assert_string_not_equal(set->label, "le");
            for (unsigned value = 0; value < set->count; value++)
                assert_int_equal(strcspn(set->values[value], "\"\\\n"), strlen(set->values[value]));
        }
    }
    assert_int_equal(totals, total_COUNT);
    assert_int_equal(gauges, gauge_COUNT);
}

/* Bounds ascend; each `le` is the value in base units, as OpenMetrics writes it. */
static void test_bounds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < metric_COUNT; i++) {
        const struct metric *metric = &catalogue[i];
        for (unsigned j = 0; metric->bounds != NULL && j < metric->bounds->count; j++) {
            const struct bounds *bounds = metric->bounds;
            double value =
                (double)bounds->values[j] / (metric->unit == unit_seconds || metric->unit == unit_decimal ? 1e6 : 1);
            assert_true(j == 0 || bounds->values[j] > bounds->values[j - 1]);
            if (strtod(bounds->le[j], NULL) > value || strtod(bounds->le[j], NULL) < value)
                fail_msg("%s: le=\"%s\" and %" PRIu64, metric->name, bounds->le[j], bounds->values[j]);
            char canonical[32];
            snprintf(canonical, sizeof canonical, "%g", value);
            if (strpbrk(canonical, ".e") == NULL)
                strcat(canonical, ".0");
            assert_string_equal(bounds->le[j], canonical);
        }
    }
}

static void test_units(void **state)
{
    (void)state;
    assert_int_equal(catalogue_total_unit(SERIES_0(push_total)), unit_one);
    assert_int_equal(catalogue_total_unit(SERIES_0(filter_busy_seconds_total)), unit_seconds);
    for (unsigned i = total_session_seconds; i <= total_session_seconds_LAST; i++)
        assert_int_equal(catalogue_total_unit(i), i == total_session_seconds_LAST ? unit_seconds : unit_one);
    for (unsigned i = total_spam_score; i <= total_spam_score_LAST; i++)
        assert_int_equal(catalogue_total_unit(i), i == total_spam_score_LAST ? unit_decimal : unit_one);
    const unsigned width = catalogue[metric_message_bytes].bounds->count + 2;
    for (unsigned i = 0; i < catalogue[metric_message_bytes].slots; i++)
        assert_int_equal(catalogue_total_unit(total_message_bytes + i), i % width == width - 1 ? unit_bytes : unit_one);
}

/* FNV-1a of all texts, each with its NUL, in their order: another text, or another order, is another catalogue. */
static void test_hash(void **state)
{
    uint64_t hash = 0xcbf29ce484222325u;
    (void)state;
    for (int i = 0; i < SERIES; i++) {
        for (size_t j = 0; j <= strlen(texts[i]); j++)
            hash = (hash ^ (unsigned char)texts[i][j]) * 0x100000001b3u;
    }
    assert_true(catalogue_hash() == hash);
    assert_true(other_hash() != catalogue_hash());
    char text[SERIES_TEXT_MAX];
    other_gauge_text(gauge_build_info, text);
    assert_string_equal(text, "milterscope_build_info{program=\"filter\",version=\"of-another-build\"}");
    assert_int_equal(catalogue_find_gauge(text, strlen(text)), -1);
    assert_int_equal(other_find_gauge(text, strlen(text)), gauge_build_info);
}

/* ---- values ---- */

static void test_value_texts(void **state)
{
    static const struct {
        enum metric_unit unit;
        int64_t value;
        const char *text;
        bool back; /* is read again: what is beyond the range of seconds is not */
    } rows[] = {
        {unit_one, 0, "0", true},
        {unit_one, 1, "1", true},
        {unit_one, -1, "-1", true},
        {unit_one, INT64_MAX, "9223372036854775807", true},
        {unit_one, -INT64_MAX, "-9223372036854775807", true},
        {unit_one, INT64_MIN, "-9223372036854775808", false}, /* that is GAUGE_ABSENT */
        {unit_bytes, 12345, "12345", true},
        {unit_decimal, 7310000, "7.310000", true},
        {unit_seconds, 0, "0.000000", true},
        {unit_seconds, 1, "0.000001", true},
        {unit_seconds, 999999, "0.999999", true},
        {unit_seconds, 1000000, "1.000000", true},
        {unit_seconds, -1, "-0.000001", true},
        {unit_seconds, -1500000, "-1.500000", true},
        {unit_seconds, INT64_C(1763632800123456), "1763632800.123456", true},
        {unit_seconds, INT64_C(9223372036853999999), "9223372036853.999999", true},
        {unit_seconds, INT64_MAX, "9223372036854.775807", false},
        {unit_seconds, INT64_MIN, "-9223372036854.775808", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[32];
        int64_t value = 4711;
        assert_int_equal(catalogue_value_text(rows[i].unit, rows[i].value, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
        assert_int_equal(catalogue_value_parse(rows[i].unit, text, strlen(text), &value), rows[i].back);
        assert_true(!rows[i].back || value == rows[i].value);
    }
}

static void test_value_parse(void **state)
{
    static const struct {
        enum metric_unit unit;
        const char *text;
        bool good;
        int64_t value;
    } rows[] = {
        {unit_one, "007", true, 7},
        {unit_one, "-0", true, 0},
        {unit_one, "", false, 0},
        {unit_one, "-", false, 0},
        {unit_one, "--1", false, 0},
        {unit_one, "+1", false, 0},
        {unit_one, " 1", false, 0},
        {unit_one, "1 ", false, 0},
        {unit_one, "1.0", false, 0},
        {unit_one, "1e3", false, 0},
        {unit_one, "0x1", false, 0},
        {unit_one, "nan", false, 0},
        {unit_one, "9223372036854775808", false, 0},
        {unit_one, "-9223372036854775808", false, 0},
        {unit_one, "18446744073709551617", false, 0},
        {unit_one, "99999999999999999999999999", false, 0},
        {unit_bytes, "1.5", false, 0},
        {unit_seconds, "1", true, 1000000},
        {unit_seconds, "1.5", true, 1500000},
        {unit_seconds, "1.000001", true, 1000001},
        {unit_seconds, "01.50", true, 1500000},
        {unit_seconds, "-0.5", true, -500000},
        {unit_seconds, "1.0000001", false, 0},
        {unit_seconds, "1.0000000", false, 0},
        {unit_seconds, "1.", false, 0},
        {unit_seconds, ".5", false, 0},
        {unit_seconds, "1.5.5", false, 0},
        {unit_seconds, "1.-5", false, 0},
        {unit_seconds, "1,5", false, 0},
        {unit_seconds, "9223372036854", false, 0},
        {unit_seconds, "9223372036854775807", false, 0},
        {unit_seconds, "1.99999999999999999999999999", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 0;
        bool good = catalogue_value_parse(rows[i].unit, rows[i].text, strlen(rows[i].text), &value);
        if (good != rows[i].good || (good && value != rows[i].value))
            fail_msg("\"%s\": %d, %" PRId64, rows[i].text, (int)good, value);
    }
    int64_t value;
    assert_false(catalogue_value_parse(unit_one, "1\0", 2, &value));
    assert_true(catalogue_value_parse(unit_one, "12", 1, &value));
    assert_int_equal(value, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),   cmocka_unit_test(test_texts_are_unique), cmocka_unit_test(test_find),
        cmocka_unit_test(test_metrics), cmocka_unit_test(test_bounds),           cmocka_unit_test(test_units),
        cmocka_unit_test(test_hash),    cmocka_unit_test(test_value_texts),      cmocka_unit_test(test_value_parse),
    };
    return cmocka_run_group_tests(tests, make_texts, NULL);
}
