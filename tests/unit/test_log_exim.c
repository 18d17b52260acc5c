/* exporter/collect/log_exim*.c: lines of versions and options that do not stand in tests/data, what stands in several logs, and lines that
 * deceive. Formats: the sources of Exim 4.80 to 4.99 (deliver.c, smtp_in.c, receive.c, daemon.c, log.c). */
#include "exporter/collect/log_exim.h"

#include "log_rows.h"

#define ID                       "1xUVMF-0002qP-0W "
#define DELIVERED(place, status) SERIES_2(deliveries_total, destination_##place, status_##status)
#define FAILED(class, status)    SERIES_2(delivery_problems_total, problem_##class, failing_##status)
#define REFUSED(where, class)    SERIES_2(log_rejects_total, where_##where, class_##class)
#define PROBLEM(severity)        SERIES_1(log_problems_total, severity_##severity)

static const struct log_row rows[] = {
    /* ---- deliveries */
    {ID "=> alice <a@example.test> R=local T=maildir", line_used, {{DELIVERED(local, sent), 1}}},
    {"1xUUt6-00000000EIn-3Yz6 => a@example.org R=dnslookup T=remote_smtp H=mx.example.org [192.0.2.1]:25 "
     "X=TLS1.3:ECDHE_SECP256R1__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=yes DN=\"CN=mx H=x [10.0.0.1]\" K C=\"250 "
     "2.0.0 Ok\" "
     "QT=1m5s DT=3s",
     line_used,
     {{DELIVERED(external, sent), 1}}},
    {ID "-> b@example.org R=dnslookup T=remote_smtp H=mx.example.org [2001:db8::1] C=\"250 OK\"",
     line_used,
     {{DELIVERED(external, sent), 1}}},
    {ID ">> a@example.org R=dnslookup T=remote_smtp H=mx.example.org [192.0.2.1] C=\"250 OK\"",
     line_used,
     {{DELIVERED(external, sent), 1}}},
    {ID "*> a@example.org R=dnslookup T=remote_smtp", line_ignored, {{0}}},
    {ID "=> |/usr/bin/procmail -d a H=x [10.0.0.1] <a@example.test> R=procmail T=address_pipe",
     line_used,
     {{DELIVERED(local, sent), 1}}},
    {ID "=> /var/mail/archive <a@example.test> R=system_aliases T=address_file",
     line_used,
     {{DELIVERED(local, sent), 1}}},
    {ID "=> :blackhole: <a@example.test> R=system_aliases", line_used, {{DELIVERED(local, sent), 1}}},
    {ID "=> \"odd H=x [10.0.0.1] name\"@example.org R=dnslookup T=remote_smtp H=mx.example.org [192.0.2.1]",
     line_used,
     {{DELIVERED(external, sent), 1}}},
    {ID "=> discarded (system filter)", line_ignored, {{0}}},
    {ID "=> blackhole (DATA ACL discarded recipients)", line_ignored, {{0}}},
    /* failures, as 4.8x names the host, and as later ones do */
    {ID "== a@example.org R=dnslookup T=remote_smtp defer (-44): SMTP error from remote mail server after RCPT "
        "TO:<a@example.org>: "
        "host mx.example.org [192.0.2.1]: 450 4.7.1 Greylisted, see http://x/",
     line_used,
     {{DELIVERED(external, deferred), 1}, {FAILED(greylisted, deferred), 1}}},
    {ID "** a@example.org R=dnslookup T=remote_smtp: SMTP error from remote mail server after end of data: host "
        "mx.example.org "
        "[192.0.2.1]: 550 5.7.1 This looks like spam",
     line_used,
     {{DELIVERED(external, bounced), 1}, {FAILED(refused_spam, bounced), 1}}},
    {ID "== greylisted@example.org R=dnslookup T=remote_smtp H=mx.example.org [192.0.2.1]:25: SMTP error from remote "
        "mail server after "
        "pipelined RCPT TO:<greylisted@example.org>: 452 4.2.2 Mailbox full",
     line_used,
     {{DELIVERED(external, deferred), 1}, {FAILED(mailbox_full, deferred), 1}}},
    {ID "** a@example.org R=dnslookup T=remote_smtp H=mx.example.org [192.0.2.1] X=TLS1.2:RSA:256 CV=no : Connection "
        "timed out",
     line_used,
     {{DELIVERED(external, bounced), 1}, {FAILED(connection_timeout, bounced), 1}}},
    {ID "== a@example.org R=dnslookup defer (-1): host lookup did not complete",
     line_used,
     {{DELIVERED(external, deferred), 1}, {FAILED(dns, deferred), 1}}},
    {ID "== a@example.org routing defer (-51): retry time not reached", line_ignored, {{0}}},
    {ID "== a@example.org R=dnslookup T=remote_smtp defer (-53): retry time not reached for any host for 'example.org'",
     line_ignored,
     {{0}}},
    {ID "== alice <a@example.test> R=local T=mail_spool defer (-22): mailbox is full",
     line_used,
     {{DELIVERED(local, deferred), 1}, {FAILED(mailbox_full, deferred), 1}}},
    {ID "** a@nohost.test: all relevant MX records point to non-existent hosts",
     line_used,
     {{DELIVERED(external, bounced), 1}, {FAILED(dns, bounced), 1}}},
    {ID "** alice <a@example.test>: Unrouteable address",
     line_used,
     {{DELIVERED(local, bounced), 1}, {FAILED(user_unknown, bounced), 1}}},
    /* what a transport did before tells where the next one goes */
    {ID "=> alice <a@example.test> R=local T=lmtp\n" ID "** b@example.test R=local T=lmtp: 550 5.1.1 User unknown",
     line_used,
     {{DELIVERED(local, sent), 1}, {DELIVERED(local, bounced), 1}, {FAILED(user_unknown, bounced), 1}}},
    /* given up: by retry.c, and when all hosts fail for long; to where it was deferred before */
    {ID "** a@example.org: retry timeout exceeded", line_used, {{DELIVERED(external, expired), 1}}},
    {ID "== alice <a@example.test> R=local T=mail_spool defer (-22): mailbox is full\n" ID
        "** alice <a@example.test>: retry timeout "
        "exceeded",
     line_used,
     {{DELIVERED(local, deferred), 1}, {FAILED(mailbox_full, deferred), 1}, {DELIVERED(local, expired), 1}}},
    {ID "** a@example.org R=dnslookup T=remote_smtp: all hosts for 'example.org' have been failing for a long time and "
        "were last tried "
        "after this message arrived",
     line_used,
     {{DELIVERED(external, expired), 1}}},

    /* ---- notices: of a failure, not of a delay, and not the answer of an absent user */
    {ID
     "** a@example.org: retry timeout exceeded\n1xUVMG-0002qQ-0X <= <> R=1xUVMF-0002qP-0W U=Debian-exim P=local S=1420",
     line_used,
     {{DELIVERED(external, expired), 1}, {SERIES_0(bounces_sent_total), 1}}},
    {"1xUVMG-0002qQ-0X <= <> R=1xUVMF-0002qP-0W U=Debian-exim P=local S=1420", line_ignored, {{0}}},
    {ID "== a@example.org R=dnslookup T=remote_smtp defer (111): Connection refused\n1xUVMG-0002qQ-0X <= <> "
        "R=1xUVMF-0002qP-0W "
        "U=Debian-exim P=local S=1420",
     line_ignored,
     {{DELIVERED(external, deferred), 1}, {FAILED(connection_refused, deferred), 1}}},
    {"1xUVMG-0002qQ-0X <= <> H=mx.example.org [192.0.2.1] P=esmtp S=2000", line_ignored, {{0}}},
    {ID "Completed", line_ignored, {{0}}},
    {ID "Frozen (delivery error message)", line_ignored, {{0}}},
    {ID "H=mx.example.org [192.0.2.1] Connection refused", line_ignored, {{0}}},

    /* ---- refusals */
    {"H=(x y) [192.0.2.9]:4711 I=[192.0.2.1]:25 F=<\"a rejected MAIL b: c\"@example.org> rejected RCPT "
     "<a@example.test>: relay not "
     "permitted",
     line_used,
     {{REFUSED(rcpt, relay_denied), 1}}},
    {"H=(x) [192.0.2.9] X=TLS1.3:X:256 CV=no F=<a@example.org> A=plain:joe temporarily rejected RCPT <a@example.test>: "
     "Greylisted",
     line_used,
     {{REFUSED(rcpt, greylist), 1}}},
    {"H=(x) [192.0.2.9] rejected EHLO or HELO x: bad", line_used, {{REFUSED(helo, helo), 1}}},
    {"rejected HELO from [192.0.2.9]: syntactically invalid argument(s): a_b", line_used, {{REFUSED(helo, helo), 1}}},
    {"rejected MAIL from [192.0.2.9]: no HELO/EHLO given", line_used, {{REFUSED(mail, other), 1}}},
    {ID "H=(x) [192.0.2.9] F=<a@example.org> rejected during MIME ACL checks: virus",
     line_used,
     {{REFUSED(message, other), 1}}},
    {ID "H=(x) [192.0.2.9] F=<a@example.org> rejected DATA: spam detected", line_used, {{REFUSED(data, spam), 1}}},
    {"rejected from <a@example.org> H=(x) [192.0.2.9]: message too big: read=60000000 max=50000000",
     line_used,
     {{REFUSED(message, policy), 1}}},
    {ID "F=<a@example.org> rejected by non-SMTP ACL: no", line_used, {{REFUSED(message, other), 1}}},
    {"H=(x) [192.0.2.9] rejected AUTH PLAIN: no", line_used, {{REFUSED(helo, other), 1}}},
    {"SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from "
     "H=[192.0.2.9] input=\"x\"",
     line_used,
     {{REFUSED(connect, client), 1}}},
    {"unqualified sender rejected: <a> H=(x) [192.0.2.9]", line_used, {{REFUSED(mail, sender), 1}}},
    {"refused connection from H=[192.0.2.9] (host_reject_connection)", line_used, {{REFUSED(connect, client), 1}}},
    {"H=(x) [192.0.2.9] sender verify fail for <a@example.org>: Unrouteable address", line_ignored, {{0}}},
    {"H=(\"x) [192.0.2.9] F=<a@example.org> rejected RCPT <a@example.test>: relay not permitted",
     line_used,
     {{REFUSED(rcpt, relay_denied), 1}}},

    /* ---- events */
    {"dovecot_login authenticator failed for (x) [192.0.2.9]: 535 Incorrect authentication data (set_id=joe)",
     line_used,
     {{SERIES_0(log_auth_failures_total), 1}}},
    {"unexpected disconnection while reading SMTP command from [192.0.2.9] D=0s",
     line_used,
     {{SERIES_0(log_connections_lost_total), 1}}},
    {"SMTP command timeout on TLS connection from (x) [192.0.2.9] D=5m",
     line_used,
     {{SERIES_0(log_connections_lost_total), 1}}},
    {"SMTP data timeout (message abandoned) on connection from (x) [192.0.2.9] F=<a@example.org> D=5m",
     line_used,
     {{SERIES_0(log_connections_lost_total), 1}}},
    {"SMTP connection from (x) [192.0.2.9] lost while reading message data (header)",
     line_used,
     {{SERIES_0(log_connections_lost_total), 1}}},
    {"SMTP connection from (x) [192.0.2.9] lost D=0s", line_ignored, {{0}}},
    {"Connection from [192.0.2.9] refused: load average = 12.34", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"SMTP call from [192.0.2.9] dropped: too many nonmail commands (last was \"RSET\")",
     line_used,
     {{SERIES_0(log_limits_total), 1}}},
    {"temporarily refused connection from [192.0.2.9]: not in reserve list: connected=20 max=20 reserve=5",
     line_used,
     {{SERIES_0(log_limits_total), 1}}},
    {ID "no immediate delivery: load average 12.34", line_used, {{SERIES_0(log_limits_total), 1}}},
    {ID "no immediate delivery: queued by ACL", line_ignored, {{0}}},
    {"TLS error on connection from (x) [192.0.2.9] (gnutls_handshake): No supported cipher suites have been found.",
     line_used,
     {{PROBLEM(warning), 1}}},
    {"Warning: No server certificate defined; will use a selfsigned one.", line_used, {{PROBLEM(warning), 1}}},
    {"Start queue run: pid=4711", line_ignored, {{0}}},
    {"", line_ignored, {{0}}},
    {ID, line_ignored, {{0}}},
};

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
