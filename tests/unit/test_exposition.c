/* conf/lib/exposition.c: both formats of one snapshot, line by line where they differ, and rules that hold for every line. The file is
 * included under other names, to reach what no text of the catalogue needs yet: escaping. */
#define exposition_content_type included_content_type
#define exposition_write        included_write
#include "conf/lib/exposition.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *render_parts(enum exposition_format format, const struct exposition_part *parts, size_t count)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    exposition_write(out, format, parts, count);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(strlen(text), length);
    return text;
}

static char *render(enum exposition_format format, const struct snapshot *snapshot)
{
    return render_parts(format, &(struct exposition_part){NULL, snapshot}, 1);
}

/* Does the text hold these whole lines, one after another? */
static bool has_lines(const char *text, const char *lines)
{
    for (const char *at = text; (at = strstr(at, lines)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && lines[strlen(lines) - 1] == '\n')
            return true;
    }
    return false;
}

static void expect(const char *text, const char *lines)
{
    if (!has_lines(text, lines))
        fail_msg("missing:\n%s\nin:\n%s", lines, text);
}

static void expect_no(const char *text, const char *part)
{
    const char *found = strstr(text, part);
    if (found != NULL)
        fail_msg("unexpected: %.100s", found);
}

static struct snapshot some_values(void)
{
    struct snapshot snapshot;
    snapshot_clear(&snapshot);
    snapshot.has_totals = true;
    snapshot.totals[SERIES_1(connections_total, client_external)] = 7;
    snapshot.totals[SERIES_2(messages_total, source_external, verdict_passed)] = UINT64_C(1) << 60;
    snapshot.totals[SERIES_0(filter_busy_seconds_total)] = 1500001;
    const struct metric *histogram = &catalogue[metric_message_seconds];
    snapshot.totals[histogram->first] = 2;                            /* up to 0.01 */
    snapshot.totals[histogram->first + 4] = 3;                        /* up to 1.0 */
    snapshot.totals[histogram->first + histogram->bounds->count] = 1; /* beyond the last */
    snapshot.totals[histogram->first + histogram->bounds->count + 1] = 2003500000;
    snapshot.gauges[gauge_sessions_active] = 12;
    snapshot.gauges[gauge_build_info + (int)program_filter] = 1;
    snapshot.gauges[gauge_build_info + (int)program_pusher] = 0;
    snapshot.gauges[gauge_last_push_timestamp_seconds] = INT64_C(1700000000123456);
    snapshot.gauges[gauge_process_cpu_seconds_total] = 250000;
    snapshot.gauges[gauge_process_resident_memory_bytes] = 4096;
    return snapshot;
}

static void test_text(void **state)
{
    (void)state;
    struct snapshot snapshot = some_values();
    char *text = render(exposition_text, &snapshot);
    expect(text, "# HELP milterscope_connections_total SMTP connections.\n"
                 "# TYPE milterscope_connections_total counter\n"
                 "milterscope_connections_total{client=\"local\"} 0\n"
                 "milterscope_connections_total{client=\"internal\"} 0\n"
                 "milterscope_connections_total{client=\"external\"} 7\n");
    expect(text, "milterscope_messages_total{source=\"external\",verdict=\"passed\"} 1152921504606846976\n");
    expect(text, "# TYPE milterscope_filter_busy_seconds_total counter\n"
                 "milterscope_filter_busy_seconds_total 1.500001\n");
    expect(text, "# TYPE milterscope_build_info gauge\n"
                 "milterscope_build_info{program=\"filter\",version=\"" MILTERSCOPE_VERSION "\"} 1\n");
    expect(text, "# TYPE milterscope_sessions_active gauge\nmilterscope_sessions_active 12\n");
    expect(text, "milterscope_last_push_timestamp_seconds 1700000000.123456\n");
    expect(text, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 0.250000\n");
    expect(text, "process_resident_memory_bytes 4096\n");
    expect_no(text, "# UNIT");
    expect_no(text, "# EOF");
    free(text);
}

static void test_openmetrics(void **state)
{
    (void)state;
    struct snapshot snapshot = some_values();
    char *text = render(exposition_openmetrics, &snapshot);
    expect(text, "# TYPE milterscope_connections counter\n"
                 "# HELP milterscope_connections SMTP connections.\n"
                 "milterscope_connections_total{client=\"local\"} 0\n");
    expect(text, "# TYPE milterscope_filter_busy_seconds counter\n"
                 "# UNIT milterscope_filter_busy_seconds seconds\n"
                 "# HELP milterscope_filter_busy_seconds Time spent in our milter callbacks.\n"
                 "milterscope_filter_busy_seconds_total 1.500001\n");
    expect(text, "# TYPE milterscope_build info\n");
    expect(text, "milterscope_build_info{program=\"filter\",version=\"" MILTERSCOPE_VERSION "\"} 1\n");
    expect(text, "# UNIT milterscope_message_bytes bytes\n");
    expect(text, "# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\n");
    expect_no(text, "# UNIT milterscope_connections");
    assert_string_equal(text + strlen(text) - strlen("\n# EOF\n"), "\n# EOF\n");
    expect_no(text, "\n\n");
    free(text);
}

static void test_histogram(void **state)
{
    (void)state;
    struct snapshot snapshot = some_values();
    for (enum exposition_format format = exposition_text; format <= exposition_openmetrics; format++) {
        char *text = render(format, &snapshot);
        expect(text, "milterscope_message_seconds_bucket{le=\"0.01\"} 2\n"
                     "milterscope_message_seconds_bucket{le=\"0.05\"} 2\n"
                     "milterscope_message_seconds_bucket{le=\"0.1\"} 2\n"
                     "milterscope_message_seconds_bucket{le=\"0.5\"} 2\n"
                     "milterscope_message_seconds_bucket{le=\"1.0\"} 5\n");
        expect(text, "milterscope_message_seconds_bucket{le=\"1800.0\"} 5\n"
                     "milterscope_message_seconds_bucket{le=\"+Inf\"} 6\n"
                     "milterscope_message_seconds_sum 2003.500000\n"
                     "milterscope_message_seconds_count 6\n");
        expect(text, "milterscope_message_bytes_bucket{source=\"local\",le=\"+Inf\"} 0\n"
                     "milterscope_message_bytes_sum{source=\"local\"} 0\n"
                     "milterscope_message_bytes_count{source=\"local\"} 0\n");
        free(text);
    }
}

/* The sum of buckets that are as large as can be. */
static void test_huge_histogram(void **state)
{
    (void)state;
    struct snapshot snapshot = some_values();
    for (unsigned i = 0; i <= catalogue[metric_message_seconds].bounds->count; i++)
        snapshot.totals[catalogue[metric_message_seconds].first + i] = INT64_MAX;
    char *text = render(exposition_text, &snapshot);
    expect(text, "milterscope_message_seconds_bucket{le=\"0.01\"} 9223372036854775807\n"
                 "milterscope_message_seconds_bucket{le=\"0.05\"} 9223372036854775807\n");
    expect(text, "milterscope_message_seconds_count 9223372036854775807\n");
    free(text);
}

/* ---- several instances ---- */

/* A family has one head, and a series stands with all its instances; the buckets of one instance stay together. */
static void test_instances(void **state)
{
    (void)state;
    struct snapshot own, one = some_values(), two = some_values();
    snapshot_clear(&own);
    own.gauges[gauge_up] = 1;
    own.gauges[gauge_build_info + (int)program_exporter] = 1;
    two.totals[SERIES_1(connections_total, client_external)] = 8;
    two.gauges[gauge_sessions_active] = GAUGE_ABSENT;
    const struct exposition_part parts[] = {{NULL, &own}, {"a", &one}, {"b", &two}};
    char *text = render_parts(exposition_text, parts, 3);
    expect(text, "# TYPE milterscope_connections_total counter\n"
                 "milterscope_connections_total{instance=\"a\",client=\"local\"} 0\n"
                 "milterscope_connections_total{instance=\"b\",client=\"local\"} 0\n"
                 "milterscope_connections_total{instance=\"a\",client=\"internal\"} 0\n"
                 "milterscope_connections_total{instance=\"b\",client=\"internal\"} 0\n"
                 "milterscope_connections_total{instance=\"a\",client=\"external\"} 7\n"
                 "milterscope_connections_total{instance=\"b\",client=\"external\"} 8\n");
    expect(text, "# TYPE milterscope_sessions_active gauge\nmilterscope_sessions_active{instance=\"a\"} 12\n");
    expect_no(text, "sessions_active{instance=\"b\"");
    expect(text, "milterscope_message_seconds_bucket{instance=\"a\",le=\"+Inf\"} 6\n"
                 "milterscope_message_seconds_sum{instance=\"a\"} 2003.500000\n"
                 "milterscope_message_seconds_count{instance=\"a\"} 6\n"
                 "milterscope_message_seconds_bucket{instance=\"b\",le=\"0.01\"} 2\n");
    expect(text, "milterscope_message_bytes_sum{instance=\"b\",source=\"external\"} 0\n"
                 "milterscope_message_bytes_count{instance=\"b\",source=\"external\"} 0\n");
    expect(text, "# TYPE milterscope_up gauge\nmilterscope_up 1\n");
    expect(text, "# TYPE milterscope_build_info gauge\n"
                 "milterscope_build_info{instance=\"a\",program=\"filter\",version=\"" MILTERSCOPE_VERSION "\"} 1\n"
                 "milterscope_build_info{instance=\"b\",program=\"filter\",version=\"" MILTERSCOPE_VERSION "\"} 1\n"
                 "milterscope_build_info{program=\"exporter\",version=\"" MILTERSCOPE_VERSION "\"} 1\n");
    free(text);
    one.has_totals = two.has_totals = false;
    text = render_parts(exposition_openmetrics, parts, 3);
    expect_no(text, "connections");
    expect_no(text, "_bucket");
    free(text);
}

/* Each instance has domains of its own, in places of their own; those without a name, and those that are not to be shown, are absent. */
static void test_domains(void **state)
{
    (void)state;
    struct snapshot one = some_values(), two = some_values(), three = some_values();
    strcpy(one.domains.names[0], "example.org");
    strcpy(one.domains.names[1], "hidden.example");
    strcpy(two.domains.names[0], "hidden.example");
    strcpy(two.domains.names[63], "example.org");
    one.domains.shown = 1;
    two.domains.shown = UINT64_C(1) << 63;
    one.totals[SERIES_2(domain_recipients_total, 0, outcome_refused)] = 5;
    one.totals[SERIES_2(domain_recipients_total, 2, outcome_refused)] = 6; /* nobody's */
    two.totals[SERIES_2(domain_recipients_total, 63, outcome_accepted)] = 7;
    const struct exposition_part parts[] = {{"a", &one}, {"b", &two}, {"c", &three}};
    for (int format = exposition_text; format <= exposition_openmetrics; format++) {
        char *text = render_parts((enum exposition_format)format, parts, 3);
        expect(text,
               "milterscope_domain_recipients_total{instance=\"a\",domain=\"example.org\",outcome=\"accepted\"} 0\n"
               "milterscope_domain_recipients_total{instance=\"a\",domain=\"example.org\",outcome=\"refused\"} 5\n"
               "milterscope_domain_recipients_total{instance=\"b\",domain=\"example.org\",outcome=\"accepted\"} 7\n"
               "milterscope_domain_recipients_total{instance=\"b\",domain=\"example.org\",outcome=\"refused\"} 0\n");
        expect(text,
               "milterscope_domain_messages_total{instance=\"b\",domain=\"example.org\",verdict=\"blocked\"} 0\n");
        expect_no(text, "hidden");
        expect_no(text, "{instance=\"c\",domain=");
        expect_no(text, "#0");
        free(text);
    }
    one.has_totals = two.has_totals = false;
    char *text = render_parts(exposition_text, parts, 3);
    expect_no(text, "domain_"); /* neither a series nor a head */
    free(text);
}

static void test_absent(void **state)
{
    (void)state;
    struct snapshot snapshot;
    snapshot_clear(&snapshot);
    char *text = render(exposition_text, &snapshot);
    assert_string_equal(text, "");
    free(text);
    text = render(exposition_openmetrics, &snapshot);
    assert_string_equal(text, "# EOF\n");
    free(text);
    snapshot.gauges[gauge_up] = 0;
    text = render(exposition_text, &snapshot);
    expect(text, "# TYPE milterscope_up gauge\nmilterscope_up 0\n");
    expect_no(text, "_total");
    free(text);
    snapshot = some_values();
    text = render(exposition_text, &snapshot);
    expect_no(text, "program=\"pusher\",version");
    expect_no(text, "milterscope_filter_up");
    free(text);
}

static void test_escaping(void **state)
{
    static const struct {
        enum exposition_format format;
        const char *help, *written;
    } rows[] = {
        {exposition_text, "plain", "plain"},
        {exposition_text, "a\nb\\c\"d", "a\\nb\\\\c\"d"},
        {exposition_openmetrics, "a\nb\\c\"d", "a\\nb\\\\c\\\"d"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64] = "";
        FILE *out = fmemopen(text, sizeof text, "w");
        assert_non_null(out);
        write_escaped(out, rows[i].format, rows[i].help);
        fclose(out);
        assert_string_equal(text, rows[i].written);
    }
}

static size_t write_series(const struct snapshot *snapshot, unsigned i, char *text)
{
    if (i >= total_COUNT) {
        const struct metric *gauge = catalogue_gauge_metric(i - total_COUNT);
        return places_series(&snapshot->places, gauge, i - total_COUNT - gauge->first, text);
    }
    const struct metric *metric = catalogue_total_metric(i);
    return domains_series(&snapshot->domains, metric, i - metric->first, text);
}

/* Every series of the catalogue stands in the text exactly once, at 0 from the first scrape. */
static void test_complete(void **state)
{
    (void)state;
    struct snapshot snapshot;
    char line[SERIES_TEXT_MAX + 2] = "\n";
    snapshot_clear(&snapshot);
    snapshot.has_totals = snapshot.has_node = true;
    for (unsigned i = 0; i < PLACES_COUNT; i++)
        snprintf(snapshot.places.names[i], PLACE_BYTES, "name-%u", i);
    for (unsigned i = 0; i < DOMAINS_MAX; i++)
        snprintf(snapshot.domains.names[i], DOMAIN_BYTES, "d%u.example.org", i);
    snapshot.domains.shown = UINT64_MAX;
    for (unsigned i = 0; i < gauge_COUNT; i++)
        snapshot.gauges[i] = 1;
    char *text = render(exposition_text, &snapshot);
    for (unsigned i = 0; i < (unsigned)total_COUNT + (unsigned)gauge_COUNT; i++) {
        size_t length = write_series(&snapshot, i, line + 1);
        line[length + 1] = ' ';
        line[length + 2] = '\0';
        const char *found = strstr(text, line);
        if (found == NULL || strstr(found + 1, line) != NULL)
            fail_msg("%s: %s", line + 1, found == NULL ? "missing" : "twice");
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_openmetrics), cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_huge_histogram), cmocka_unit_test(test_instances),   cmocka_unit_test(test_absent),
        cmocka_unit_test(test_escaping),       cmocka_unit_test(test_complete),    cmocka_unit_test(test_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
