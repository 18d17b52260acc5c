/* Lines of logs, taken apart. */
#include "exporter/collect/log_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* 2026-11-20 12:00:00, in a zone that is an hour east. */
static const int64_t NOW = INT64_C(1795172400), SECOND = 1000000;

static struct log_clock clock_of(int64_t now)
{
    return (struct log_clock){.now_us = now * SECOND};
}

struct row {
    const char *text;
    int64_t time_us; /* since NOW */
    const char *program;
    int64_t pid;
    const char *message;
};

#define DAYS  (INT64_C(86400) * SECOND)
#define HOURS (INT64_C(3600) * SECOND)

static const struct row rows[] = {
    {"Nov 20 12:00:01 mx postfix/smtp[123]: m", SECOND, "postfix/smtp", 123, "m"},
    {"Nov  3 12:00:00 mx postfix-out/relay/smtp[1]: x: y [z]", -17 * DAYS, "postfix-out/relay/smtp", 1, "x: y [z]"},
    {"Nov 20 12:00:00.250000 mx sm-mta[12]: m", SECOND / 4, "sm-mta", 12, "m"},
    {"<22>Nov 20 12:00:00 mx sendmail[12]: m", 0, "sendmail", 12, "m"},
    {"Nov 20 12:00:00 mx MailScanner: m", 0, "MailScanner", 0, "m"},
    {"Nov 20 12:00:00 <mail.info> mx sm-mta[12]: m", 0, "sm-mta", 12, "m"},
    {"Nov 20 12:00:00 postfix/smtp[123]: m", 0, "postfix/smtp", 123, "m"},
    {"Nov 20 12:00:00 mx sendmail[12]: [ID 801593 mail.info] m", 0, "sendmail", 12, "m"},
    {"Nov 20 12:00:00 mx last message repeated 2 times", 0, "", 0, "last message repeated 2 times"},
    {"Nov 20 12:00:00 mx a b[12]: m", 0, "", 0, "a b[12]: m"},
    {"Nov 20 12:00:00 mx postfix/smtp[123]:", 0, "postfix/smtp", 123, ""},
    {"Nov 20 12:00:00 mx", 0, "", 0, ""},
    {"Nov 21 11:00:00 mx a: m", 23 * HOURS, "a", 0, "m"},
    {"Nov 22 12:00:00 mx a: m", -363 * DAYS, "a", 0, "m"}, /* of the year before */
    {"Dec 31 23:59:59 mx a: m", -324 * DAYS + 12 * HOURS - SECOND, "a", 0, "m"},
    {"2026-11-20T12:00:00.5+01:00 mx postfix/smtp[123]: m", SECOND / 2, "postfix/smtp", 123, "m"},
    {"2026-11-20T11:00:00Z mx postfix/smtp[123]: m", 0, "postfix/smtp", 123, "m"},
    {"2026-11-20T03:30:00-0730 mx postfix/smtp[123]: m", 0, "postfix/smtp", 123, "m"},
    {"2026-11-20T11:00:01.123456789Z mx a: m", SECOND + 123456, "a", 0, "m"},
    {"<22>1 2026-11-20T11:00:00Z mx postfix/smtp 123 - - m", 0, "postfix/smtp", 123, "m"},
    {"<22>1 2026-11-20T11:00:00Z mx exim 123 ID [a b=\"c\"] \xef\xbb\xbfm", 0, "exim", 123, "m"},
    {"2026-11-20 12:00:00 1aB-2cD-3e <= a@b", 0, "", 0, "1aB-2cD-3e <= a@b"},
    {"2026-11-20 12:00:00.125 [77] 1aB-2cD-3e => a@b", SECOND / 8, "", 77, "1aB-2cD-3e => a@b"},
    {"2026-11-20 12:00:00 +0100 [77] m", 0, "", 77, "m"},
    {"2026-11-20 06:00:00 -0500 m", 0, "", 0, "m"},
    {"2026-11-20 12:00:00 [192.0.2.1] m", 0, "", 0, "[192.0.2.1] m"},
    {"2024-02-29 12:00:00 m", -995 * DAYS, "", 0, "m"},
};

static void test_forms(void **state)
{
    (void)state;
    struct log_clock clock = clock_of(NOW);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct log_line line;
        const struct row *row = &rows[i];
        if (!log_line_read(&clock, row->text, strlen(row->text), &line))
            fail_msg("is none: %s", row->text);
        if (line.time_us != NOW * SECOND + row->time_us)
            fail_msg("%s: %ld µs of now", row->text, (long)(line.time_us - NOW * SECOND));
        if (!span_is(line.program, (struct span){row->program, strlen(row->program)}) || line.pid != row->pid ||
            !span_is(line.message, (struct span){row->message, strlen(row->message)}))
            fail_msg("%s: program %.*s, pid %ld, message %.*s", row->text, (int)line.program.length, line.program.at,
                     (long)line.pid, (int)line.message.length, line.message.at);
    }
}

static void test_none(void **state)
{
    static const char *const texts[] = {
        "",
        "x",
        "Nov 20",
        "Nov 20 12:00:00",
        "Nov 20 12:00:0",
        "Nov 20 12:00:0x mx a: m",
        "Nov 20 12-00-00 mx a: m",
        "Nub 20 12:00:00 mx a: m",
        "Nov xx 12:00:00 mx a: m",
        "Nov 20 12:00:00mx a: m",
        "<22>",
        "<22>1 ",
        "2026-11-20T12:00:00",
        "2026-11-20T12:00:00Zmx",
        "2026/11/20T12:00:00Z mx a: m",
        "2026-11-20_12:00:00Z mx a: m",
        "2026-11-20 12:00 m",
        "\tat java.lang.Thread.run(Thread.java)",
        "message without anything before it, long enough",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct log_clock clock = clock_of(NOW);
        struct log_line line;
        if (log_line_read(&clock, texts[i], strlen(texts[i]), &line))
            fail_msg("is one: %s", texts[i]);
        assert_int_equal(line.message.length, 0);
    }
}

/* An hour that was none is not taken for the one of the next line. */
static void test_hours_are_kept(void **state)
{
    struct log_clock clock = clock_of(NOW);
    struct log_line line;
    (void)state;
    for (int turn = 0; turn < 2; turn++)
        assert_false(log_line_read(&clock, "Nov zz 04:05:06 mx a: m", 23, &line));
    for (int second = 0; second < 60; second++) {
        char text[64];
        int length = snprintf(text, sizeof text, "Nov 20 12:%02d:%02d mx a: m", second / 2, second);
        assert_true(log_line_read(&clock, text, (size_t)length, &line));
        assert_int_equal(line.time_us - NOW * SECOND, (second / 2 * 60 + second) * SECOND);
    }
}

/* On New Year's Day yesterday is of the year before, and a clock that is ahead says tomorrow. */
static void test_turn_of_the_year(void **state)
{
    const int64_t new_year = INT64_C(1798758000); /* 2027-01-01 00:00:00 */
    struct log_clock clock = clock_of(new_year);
    struct log_line line;
    (void)state;
    assert_true(log_line_read(&clock, "Dec 31 23:59:59 mx a: m", 23, &line));
    assert_int_equal(line.time_us, (new_year - 1) * SECOND);
    assert_true(log_line_read(&clock, "Jan  1 00:00:01 mx a: m", 23, &line));
    assert_int_equal(line.time_us, (new_year + 1) * SECOND);
    clock = clock_of(new_year - 1);
    assert_true(log_line_read(&clock, "Jan  1 00:00:01 mx a: m", 23, &line));
    assert_int_equal(line.time_us, (new_year + 1) * SECOND);
}

/* Every line, cut anywhere, in memory of its own. */
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t length = 0; length <= strlen(rows[i].text); length++) {
            struct log_clock clock = clock_of(NOW);
            struct log_line line;
            char *copy = malloc(length + (length == 0));
            memcpy(copy, rows[i].text, length);
            log_line_read(&clock, copy, length, &line);
            assert_true(line.message.at >= copy && line.message.at + line.message.length <= copy + length);
            assert_true(line.program.at >= copy && line.program.at + line.program.length <= copy + length);
            free(copy);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    setenv("TZ", "CET-1", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_hours_are_kept),
        cmocka_unit_test(test_turn_of_the_year),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
