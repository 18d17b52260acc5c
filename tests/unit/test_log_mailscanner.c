/* exporter/collect/log_mailscanner.c: batches of several processes. Formats: MailScanner 4 and 5 (Message.pm, MessageBatch.pm, Sendmail.pm,
 * SweepViruses.pm, SA.pm). */
#include "exporter/collect/log_mailscanner.h"

#include "log_rows.h"

#define FOUND(verdict)    SERIES_1(log_scanned_total, scanned_##verdict)
#define PROBLEM(severity) SERIES_1(log_problems_total, severity_##severity)
#define ID                "6AKKJjas021488"

static const struct log_row rows[] = {
    /* spam that is delivered, one infected message, and what is said of each */
    {"New Batch: Scanning 5 messages, 25160 bytes\n"
     "Message " ID " from 192.0.2.1 (a@example.org) to example.test is spam, SpamAssassin (score=12.3, required 6)\n"
     "Spam Checks: Found 2 spam messages\n"
     "Spam Actions: message " ID " actions are deliver\n"
     "Virus and Content Scanning: Starting\n"
     "Infected message 6AKKJjas021499 came from 192.0.2.2\n"
     "Virus Scanning: Found 3 viruses\n"
     "Uninfected: Delivered 4 messages",
     line_used,
     {{FOUND(spam), 2}, {FOUND(infected), 1}, {FOUND(clean), 2}}},
    /* spam that is thrown away */
    {"New Batch: Scanning 5 messages, 25160 bytes\nSpam Checks: Found 2 spam messages\nUninfected: Delivered 3 "
     "messages",
     line_used,
     {{FOUND(spam), 2}, {FOUND(clean), 3}}},
    /* nothing was found; the log begins in the middle */
    {"New Batch: Scanning 1 messages, 2516 bytes\nUninfected: Delivered 1 messages", line_used, {{FOUND(clean), 1}}},
    {"Uninfected: Delivered 7 messages", line_used, {{FOUND(clean), 7}}},
    {"Spam Checks: Found 1 spam messages", line_used, {{FOUND(spam), 1}}},
    /* a batch that delivers nothing does not lend to the next one */
    {"New Batch: Scanning 2 messages, 1 bytes\nSpam Checks: Found 2 spam messages\nNew Batch: Scanning 2 messages, 1 "
     "bytes\n"
     "Uninfected: Delivered 2 messages",
     line_used,
     {{FOUND(spam), 2}, {FOUND(clean), 2}}},
    {"Infected message a came from 192.0.2.1\nInfected message a came from 192.0.2.1\nUninfected: Delivered 9 messages",
     line_used,
     {{FOUND(infected), 2}, {FOUND(clean), 9}}},
    /* complaints */
    {"Virus Scanning: No virus scanners worked, so message batch was abandoned and retried!",
     line_used,
     {{PROBLEM(error), 1}}},
    {"Virus Scanning: Batch scan timed out, retry attempt 2", line_used, {{PROBLEM(warning), 1}}},
    {"SpamAssassin timed out and was killed, failure 1 of 10", line_used, {{PROBLEM(warning), 1}}},
    {"Commercial scanner clamav timed out!", line_used, {{PROBLEM(warning), 1}}},
    /* nothing to us, or broken */
    {"New Batch: Found 100 messages waiting", line_ignored, {{0}}},
    {"Unscanned: Delivered 3 messages", line_ignored, {{0}}},
    {"Cleaned: Delivered 1 cleaned messages", line_ignored, {{0}}},
    {"MailScanner Email Processor version 5.5.3 starting...", line_ignored, {{0}}},
    {"Uninfected: Delivered many messages", line_unparsed, {{0}}},
    {"Uninfected: Delivered 99999999999 messages", line_unparsed, {{0}}},
    {"Uninfected: Delivered", line_ignored, {{0}}},
    {"", line_ignored, {{0}}},
};

static enum label_line count_it(void *state, const struct counting *counting, const struct log_line *line)
{
    return log_mailscanner_count(state, counting, line);
}

static void test_rows(void **state)
{
    struct log_mailscanner *kept = malloc(sizeof *kept);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(kept, 0, sizeof *kept);
        row_play(&rows[i], count_it, kept, "MailScanner");
    }
    free(kept);
}

/* Two processes that work at the same time, and lines of others. */
static void test_processes(void **state)
{
    static const struct {
        int64_t pid;
        const char *program;
        struct span text;
    } lines[] = {
        {10, "MailScanner", SPAN_TEXT("New Batch: Scanning 3 messages, 1 bytes")},
        {11, "MailScanner", SPAN_TEXT("New Batch: Scanning 9 messages, 1 bytes")},
        {10, "MailScanner", SPAN_TEXT("Spam Checks: Found 1 spam messages")},
        {10, "sendmail", SPAN_TEXT("Uninfected: Delivered 90 messages")},
        {11, "MailScanner", SPAN_TEXT("Uninfected: Delivered 9 messages")},
        {10, "MailScanner", SPAN_TEXT("Uninfected: Delivered 3 messages")},
        {-5, "MailScanner", SPAN_TEXT("Uninfected: Delivered 1 messages")},
    };
    struct log_mailscanner *kept = calloc(1, sizeof *kept);
    (void)state;
    memset(row_totals, 0, sizeof row_totals);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct log_line line = {
            .pid = lines[i].pid, .program = {lines[i].program, strlen(lines[i].program)}, .message = lines[i].text};
        log_mailscanner_count(kept, &row_counting, &line);
    }
    assert_int_equal(row_totals[FOUND(clean)], 2 + 9 + 1);
    assert_int_equal(row_totals[FOUND(spam)], 1);
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_processes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
