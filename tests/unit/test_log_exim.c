/* exporter/collect/log_exim*.c: lines of versions and options that do not stand in tests/data, what stands in several logs, and lines that
 * deceive. Formats: the sources of Exim 4.80 to 4.99 (deliver.c, smtp_in.c, receive.c, daemon.c, log.c). */
#include "exporter/collect/log_exim.h"

#include "log_exim_lines.h"

static enum label_line count_it(void *state, const struct counting *counting, const struct log_line *line)
{
    return log_exim_count(state, counting, line);
}

static void test_rows(void **state)
{
    struct log_exim *kept = malloc(sizeof *kept);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(kept, 0, sizeof *kept);
        row_play(&rows[i], count_it, kept, i % 2 ? "exim4" : "");
    }
    free(kept);
}

/* ---- what stands in two logs */

#define REJECTED "H=(x) [192.0.2.9] F=<a@example.org> rejected RCPT <a@example.test>: relay not permitted"

/* Plays the line to the log, so often; returns how often it was counted. */
static unsigned refused(struct log_exim *kept, enum log_exim_file file, const char *program, int64_t second, int times)
{
    struct log_line line = {
        .time_us = second * 1000000, .program = {program, strlen(program)}, .message = SPAN(REJECTED)};
    const unsigned total = REFUSED(rcpt, relay_denied);
    row_totals[total] = 0;
    kept->file = file;
    for (int i = 0; i < times; i++)
        log_exim_count(kept, &row_counting, &line);
    return (unsigned)row_totals[total];
}

static void test_two_logs(void **state)
{
    struct log_exim *kept = calloc(1, sizeof *kept);
    (void)state;
    assert_int_equal(refused(kept, log_exim_main, "", 100, 2), 2);
    assert_int_equal(refused(kept, log_exim_reject, "", 100, 2), 0);
    assert_int_equal(refused(kept, log_exim_reject, "", 200, 3), 3);
    assert_int_equal(refused(kept, log_exim_main, "", 200, 2), 0);
    assert_int_equal(refused(kept, log_exim_main, "", 200, 2), 1);     /* the third, and one more */
    assert_int_equal(refused(kept, log_exim_main, "exim", 300, 4), 2); /* in syslog each stands twice */
    free(kept);
}

/* As syslog gets them: with the time and the process of the line, if these are not switched off; with a message that was refused, its
 * headers, each a line of its own; and once for each log that a line is in. */
static void test_syslog(void **state)
{
#define TIME    "2026-11-21 00:06:37 "
#define REFUSAL ID "H=(x.test) [127.0.0.1] F=<a@ext.test> rejected after DATA: spam detected"
#define DEFER   ID "== a@example.org R=remote T=smtp defer (-1): smtp transport process returned non-zero status 0x0100"
#define FULL    "Connection from [192.0.2.9] refused: too many connections from that IP address"
    static const struct log_row lines[] = {
        {TIME ID "=> alice <a@example.test> R=local T=maildir", line_used, {{DELIVERED(local, sent), 1}}},
        {"2026-11-21 00:06:02.996 +0100 [27576] " ID "=> alice <a@example.test> R=local T=maildir",
         line_used,
         {{DELIVERED(local, sent), 1}}},
        {"[27576] " ID "=> alice <a@example.test> R=local T=maildir", line_used, {{DELIVERED(local, sent), 1}}},
        {"[1/2] " TIME ID "** a@example.org R=remote T=smtp: host unknown\n[2/2] " TIME ID "=> b H=x",
         line_ignored,
         {{DELIVERED(external, bounced), 1}, {FAILED(dns, bounced), 1}}},
        {TIME REFUSAL "\n[1\\13] " TIME REFUSAL
                      "\n[2\\13] Envelope-from: <a@ext.test>\n[10\\13]   Subject: x rejected RCPT yes\n"
                      "[12/13]   X: y\n[13/13]H=x rejected RCPT <a>: no",
         line_ignored,
         {{REFUSED(message, spam), 1}}},
        {TIME DEFER "\n" TIME DEFER, line_ignored, {{DELIVERED(external, deferred), 1}, {FAILED(other, deferred), 1}}},
        {TIME FULL "\n" TIME FULL "\n" TIME FULL, line_used, {{SERIES_0(log_limits_total), 3}}}, /* in mainlog alone */
        {"[1/2", line_ignored, {{0}}},
        {"[1\\2]", line_ignored, {{0}}},
    };
    struct log_exim *kept = malloc(sizeof *kept);
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        memset(kept, 0, sizeof *kept);
        row_play(&lines[i], count_it, kept, "exim4");
    }
    free(kept);
}

/* Many at once: all of mainlog is read before rejectlog. */
static void test_many(void **state)
{
    enum { MANY = 1000 };
    struct log_exim *kept = calloc(1, sizeof *kept);
    (void)state;
    memset(row_totals, 0, sizeof row_totals);
    for (int i = 0; i < 2 * MANY; i++) {
        char text[128];
        int length = snprintf(text, sizeof text,
                              "H=(x) [192.0.2.9] rejected RCPT <a%d@example.test>: relay not permitted", i % MANY);
        struct log_line line = {.time_us = 5000000 + i % MANY, .message = {text, (size_t)length}};
        kept->file = i < MANY ? log_exim_main : log_exim_reject;
        log_exim_count(kept, &row_counting, &line);
    }
    assert_int_equal(row_totals[REFUSED(rcpt, relay_denied)], MANY);
    free(kept);
}

/* The same client, each second for a minute: all of mainlog is read before rejectlog. */
static void test_again_and_again(void **state)
{
    enum { SECONDS = 60 };
    struct log_exim *kept = calloc(1, sizeof *kept);
    unsigned counted = 0;
    (void)state;
    for (int i = 0; i < 2 * SECONDS; i++)
        counted += refused(kept, i < SECONDS ? log_exim_main : log_exim_reject, "", 1000 + i % SECONDS, 1);
    assert_int_equal(counted, SECONDS);
    free(kept);
}

/* What no router knows is a user of our own domains, and another's domain that does not exist; nobody knows where ours are not named. */
static void test_unrouteable(void **state)
{
    static struct settings named, unnamed;
    static const struct {
        const struct settings *settings;
        const char *address;
        enum label_problem problem;
    } cases[] = {
        {&named, "a@nohost.test", problem_dns},
        {&named, "b@example.test", problem_user_unknown},
        {&named, "alice <b@nohost.test>", problem_user_unknown},
        {&unnamed, "a@nohost.test", problem_user_unknown},
    };
    struct log_exim *kept = calloc(1, sizeof *kept);
    (void)state;
    own_domains_add(&named.domains, "example.test", "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128];
        int length = snprintf(text, sizeof text, ID "** %s: Unrouteable address", cases[i].address);
        struct log_line line = {.message = {text, (size_t)length}};
        memset(row_totals, 0, sizeof row_totals);
        const struct counting counting = {.settings = cases[i].settings, .tally = &row_tally};
        assert_int_equal(log_exim_count(kept, &counting, &line), line_used);
        assert_int_equal(row_totals[SERIES_2(delivery_problems_total, cases[i].problem, failing_bounced)], 1);
    }
    free(kept);
}

static void test_paniclog(void **state)
{
    static const struct log_row row = {"anything: whatever it is", line_used, {{PROBLEM(panic), 1}}};
    struct log_exim *kept = calloc(1, sizeof *kept);
    (void)state;
    kept->file = log_exim_file_of("/var/log/exim4/paniclog");
    row_play(&row, count_it, kept, "");
    free(kept);
    assert_int_equal(log_exim_file_of("/var/log/exim/reject.log"), log_exim_reject);
    assert_int_equal(log_exim_file_of("/var/log/reject/mainlog"), log_exim_main);
}

/* ---- times: of an ID, whose zone an arrival tells */

static int64_t delay(const char *text, int64_t arrived, int64_t delivered)
{
    struct log_exim *kept = calloc(1, sizeof *kept);
    struct log_line line = {.time_us = arrived * 1000000,
                            .message = SPAN("0UuTV6-00054X-10 <= a@example.org P=local S=1")};
    unsigned sum = (unsigned)(total_delivery_seconds_LAST);
    memset(row_totals, 0, sizeof row_totals);
    if (arrived != 0)
        log_exim_count(kept, &row_counting, &line);
    line = (struct log_line){.time_us = delivered * 1000000, .message = {text, strlen(text)}};
    assert_int_equal(log_exim_count(kept, &row_counting, &line), line_used);
    free(kept);
    return (int64_t)row_totals[sum];
}

static void test_times(void **state)
{
    static const char *const text = "0UuTV6-00054X-10 => a@example.org R=r T=t H=x [192.0.2.1]";
    int64_t seconds = 0;
    (void)state;
    for (const char *c = "0UuTV6"; *c != '\0'; c++)
        seconds = seconds * 62 + (*c <= '9' ? *c - '0' : *c <= 'Z' ? *c - 'A' + 10 : *c - 'a' + 36);
    assert_int_equal(delay(text, seconds + 1, seconds + 40), 40 * 1000000);
    assert_int_equal(delay(text, seconds + 19800, seconds + 19840),
                     40 * 1000000); /* half an hour from the next full one */
    assert_int_equal(delay(text, seconds - 7200, seconds - 7100), 100 * 1000000);
    assert_int_equal(delay(text, 0, seconds + 40), 0); /* no arrival was seen: the zone is not known */
    static const struct {
        const char *text;
        int64_t us;
    } told[] = {{"0s", 0},
                {"3s", 3000000},
                {"1m5s", 65000000},
                {"2h", INT64_C(7200000000)},
                {"1w1d", INT64_C(691200000000)},
                {"0.250s", 250000},
                {"1m0.5s", 60500000},
                {"5", 0},
                {"x", 0},
                {"", 0}};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        char line[128];
        snprintf(line, sizeof line, "0UuTV6-00054X-10 => a@example.org R=r T=t H=x [192.0.2.1] QT=%s DT=1s",
                 told[i].text);
        if (delay(line, 0, seconds) != told[i].us)
            fail_msg("%s: %d", told[i].text, (int)delay(line, 0, seconds));
    }
}

/* A line that is cut anywhere, and bytes behind its end that are not its own. */
static void test_cut(void **state)
{
    struct log_exim *kept = calloc(1, sizeof *kept);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t length = 0; length <= strlen(rows[i].lines); length++) {
            char *text = malloc(length + 1);
            memcpy(text, rows[i].lines, length);
            struct log_line line = {.message = {text, length}};
            assert_true(log_exim_count(kept, &row_counting, &line) < line_COUNT);
            free(text);
        }
    }
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_two_logs),        cmocka_unit_test(test_syslog),
        cmocka_unit_test(test_many),     cmocka_unit_test(test_again_and_again), cmocka_unit_test(test_unrouteable),
        cmocka_unit_test(test_paniclog), cmocka_unit_test(test_times),           cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
