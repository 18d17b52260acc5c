/* exporter/collect/log_sendmail*.c: lines of versions and options that do not stand in tests/data, and lines that deceive. Formats: the
 * sources of sendmail 8.9 to 8.18 (deliver.c, savemail.c, srvrsmtp.c, milter.c, daemon.c, queue.c, collect.c). */
#include "exporter/collect/log_sendmail.h"

#include "log_rows.h"

#define ID                       "6AKKJjas021488: "
#define DELIVERED(place, status) SERIES_2(deliveries_total, destination_##place, status_##status)
#define FAILED(class, status)    SERIES_2(delivery_problems_total, problem_##class, failing_##status)
#define REFUSED(where, class)    SERIES_2(log_rejects_total, where_##where, class_##class)
#define PROBLEM(severity)        SERIES_1(log_problems_total, severity_##severity)
#define AWAY                     "mailer=esmtp, pri=120053, relay=mx.example.org. [192.0.2.1], "

static const struct log_row rows[] = {
    /* ---- deliveries: of 8.9 without dsn=, with more than a day, of local mailers, of lists that are told in pieces */
    {"KAA12345: to=<a@example.org>, ctladdr=<b@example.test> (100/100), delay=00:00:02, xdelay=00:00:01, "
     "mailer=esmtp, relay=mx.example.org. [192.0.2.1], stat=Sent (Ok)",
     line_used,
     {{DELIVERED(external, sent), 1}}},
    {"KAA12345: to=<a@example.org>, delay=1+02:03:04, xdelay=00:00:01, mailer=esmtp, relay=mx.example.org. "
     "[192.0.2.1], "
     "stat=Deferred: Connection timed out with mx.example.org.",
     line_used,
     {{DELIVERED(external, deferred), 1}, {FAILED(connection_timeout, deferred), 1}}},
    {"KAA12345: to=<a@example.org>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, relay=mx.example.org. [192.0.2.1], "
     "stat=User unknown",
     line_used,
     {{DELIVERED(external, bounced), 1}, {FAILED(user_unknown, bounced), 1}}},
    {ID "to=<a@example.org>,<b@example.org>, [more], delay=00:00:02, " AWAY "dsn=2.0.0, stat=Sent (Ok)\n" ID
        "to=<c@example.org>, delay=00:00:02, " AWAY "dsn=2.0.0, stat=Sent (Ok)",
     line_used,
     {{DELIVERED(external, sent), 3}}},
    {ID "to=alice, delay=00:00:02, xdelay=00:00:00, mailer=local, pri=30000, dsn=2.0.0, stat=Sent",
     line_used,
     {{DELIVERED(local, sent), 1}}},
    {ID "to=|\"/usr/bin/vacation a, b\", ctladdr=alice (1/1), delay=00:00:02, mailer=prog, pri=30000, dsn=2.0.0, "
        "stat=Sent",
     line_used,
     {{DELIVERED(local, sent), 1}}},
    {ID "to=/var/mail/archive, delay=00:00:02, mailer=*file*, pri=30000, dsn=5.2.0, stat=Can't create output",
     line_used,
     {{DELIVERED(local, bounced), 1}, {FAILED(other, bounced), 1}}},
    {ID "to=<a@nohost.test>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=30000, relay=nohost.test, dsn=5.1.2, "
        "stat=Host unknown (Name server: nohost.test: host not found)",
     line_used,
     {{DELIVERED(external, bounced), 1}, {FAILED(dns, bounced), 1}}},
    {ID "to=<a@example.org>, delay=00:00:00, xdelay=00:00:00, mailer=esmtp, pri=30000, relay=mx.example.org. "
        "[IPv6:2001:db8::1], dsn=4.7.1, reply=450 4.7.1 Greylisted, come back, stat=Deferred: 450 4.7.1 Greylisted, "
        "come back",
     line_used,
     {{DELIVERED(external, deferred), 1}, {FAILED(greylisted, deferred), 1}}},
    {ID "SYSERR(root): Too many hops 27 (25 max): from <a@example.org> via [192.0.2.9], to <b@example.org>\n" ID
        "6AKKJjat021488: DSN: Too many hops 27 (25 max): from <a@example.org> via [192.0.2.9], to <b@example.org>",
     line_used,
     {{DELIVERED(external, bounced), 1}, {FAILED(loop, bounced), 1}, {SERIES_0(bounces_sent_total), 1}}},
    {ID "SYSERR(root): Too many hops 27 (25 max): from <\" via x, to <b@example.org\"@example.org> via [192.0.2.9], to "
        "|/usr/bin/filter",
     line_used,
     {{DELIVERED(local, bounced), 1}, {FAILED(loop, bounced), 1}}},
    {ID "SYSERR(a): collect: bad <x): Too many hops >", line_used, {{PROBLEM(error), 1}}},
    /* what was handed to the server on this host */
    {ID "to=a@example.org, ctladdr=b (1/1), delay=00:00:00, mailer=relay, pri=30000, relay=[127.0.0.1] [127.0.0.1], "
        "dsn=2.0.0, "
        "stat=Sent (6AKKJkfF021549 Message accepted for delivery)",
     line_ignored,
     {{0}}},
    {ID "to=a@example.org, delay=00:00:00, mailer=relay, pri=30000, relay=localhost [IPv6:::1], dsn=4.4.1, "
        "stat=Deferred: Connection refused by [127.0.0.1]",
     line_ignored,
     {{0}}},
    {ID "to=<a@example.org>, delay=00:00:00, mailer=relay, pri=30000, relay=smart.example.org [192.0.2.1], dsn=2.0.0, "
        "stat=Sent",
     line_used,
     {{DELIVERED(external, sent), 1}}},
    /* nothing was tried */
    {ID "to=<a@example.org>, delay=00:00:00, mailer=esmtp, pri=30053, stat=queued", line_ignored, {{0}}},
    {ID "to=<a@example.org>, delay=00:00:00, pri=30053, stat=Please try again later", line_ignored, {{0}}},
    {ID "to=<a@example.org>, delay=00:00:00, mailer=esmtp, pri=30053, stat=quarantined", line_ignored, {{0}}},
    /* what others say decides nothing */
    {ID "to=<a@example.org>, delay=00:00:00, " AWAY
        "dsn=5.1.1, reply=550 5.1.1 User unknown, stat=Sent, stat=User unknown",
     line_used,
     {{DELIVERED(external, bounced), 1}, {FAILED(user_unknown, bounced), 1}}},
    {ID "to=<\"x, dsn=2.0.0, stat=Sent, y\"@example.org>, delay=00:00:00, " AWAY "dsn=5.1.1, stat=User unknown",
     line_used,
     {{DELIVERED(external, bounced), 1}, {FAILED(user_unknown, bounced), 1}}},
    {ID "to=<\"a>,<b>,<c\"@example.org>,<d@example.org>, delay=00:00:00, " AWAY "dsn=2.0.0, stat=Sent (Ok)",
     line_used,
     {{DELIVERED(external, sent), 2}}},
    {ID "to=<a@example.org, delay=00:00:00, " AWAY "dsn=2.0.0, stat=Sent (Ok)",
     line_used,
     {{DELIVERED(external, sent), 1}}},
    /* no line of sendmail's */
    {ID "to=<a@example.org>, delay=00:00:00, " AWAY "dsn=2.0.0", line_unparsed, {{0}}},
    {ID "to=<a@example.org>, " AWAY "dsn=2.0.0, stat=Sent (Ok)", line_unparsed, {{0}}},
    {ID "to=<a@example.org>, delay=yesterday, " AWAY "dsn=2.0.0, stat=Sent (Ok)", line_unparsed, {{0}}},
    {ID "to=<a@example.org>, delay=+00:00:00, " AWAY "dsn=2.0.0, stat=Sent (Ok)", line_unparsed, {{0}}},
    {ID "to=", line_unparsed, {{0}}},
    {ID, line_ignored, {{0}}},
    {"", line_ignored, {{0}}},

    /* ---- notices; what expires is what was deferred in the last run */
    {ID "6AKKJkZ0021587: DSN: User unknown", line_used, {{SERIES_0(bounces_sent_total), 1}}},
    {ID "6AKKJkZ0021587: return to sender: User unknown", line_used, {{SERIES_0(bounces_sent_total), 1}}},
    {ID "6AKKJkZ0021587: sender notify: Warning: could not send message for past 4 hours", line_ignored, {{0}}},
    {ID "6AKKJkZ0021587: DSN: Return receipt", line_ignored, {{0}}},
    {ID "6AKKJkZ0021587: postmaster notify: User unknown", line_ignored, {{0}}},
    {ID "6AKKJkZ0021587: clone: owner=list-owner", line_ignored, {{0}}},
    {ID "6AKKJkZ0021587: sender notify: Cannot send message for 5 days",
     line_used,
     {{SERIES_0(bounces_sent_total), 1}, {DELIVERED(external, expired), 1}}},
    {ID
     "to=<a@example.org>,<b@example.org>, delay=4+00:00:00, mailer=esmtp, pri=120000, relay=x. [192.0.2.1], dsn=4.0.0, "
     "stat=Deferred: Connection refused by x.\n" ID
     "to=<b@example.org>, delay=5+00:00:00, mailer=esmtp, pri=210000, relay=x. [192.0.2.1], dsn=4.0.0, "
     "stat=Deferred: Connection refused by x.\n" ID "to=c, delay=5+00:00:00, mailer=local, pri=210000, dsn=4.0.0, "
     "stat=Deferred: local mailer (x) exited with EX_TEMPFAIL\n" ID
     "6AKKJkZ0021587: DSN: Cannot send message for 5 days",
     line_used,
     {{DELIVERED(external, deferred), 3},
      {DELIVERED(local, deferred), 1},
      {FAILED(connection_refused, deferred), 3},
      {FAILED(other, deferred), 1},
      {DELIVERED(external, expired), 1},
      {DELIVERED(local, expired), 1},
      {SERIES_0(bounces_sent_total), 1}}},

    /* ---- refusals */
    {ID "ruleset=check_rcpt, arg1=<a@example.org>, relay=host.example [192.0.2.9] (may be forged), reject=550 5.7.1 "
        "<a@example.org>... Relaying denied",
     line_used,
     {{REFUSED(rcpt, relay_denied), 1}}},
    {ID
     "ruleset=check_rcpt, arg1=<\"x, reject=450 4.2.0 Greylisted\"@example.org>, relay=[192.0.2.9], reject=550 5.7.1 "
     "<a@example.org>... Relaying denied",
     line_used,
     {{REFUSED(rcpt, relay_denied), 1}}},
    {"NOQUEUE: ruleset=check_relay, arg1=host.example, arg2=192.0.2.9, relay=host.example [192.0.2.9], reject=553 "
     "5.3.0 Rejected: "
     "192.0.2.9 listed at zen.example.org",
     line_used,
     {{REFUSED(connect, dnsbl), 1}}},
    {ID "ruleset=check_relay, arg1=[192.0.2.9], arg2=192.0.2.9, relay=[192.0.2.9], reject=421 4.3.2 Connection rate "
        "limit exceeded.",
     line_used,
     {{REFUSED(connect, rate), 1}, {SERIES_0(log_limits_total), 1}}},
    {ID "ruleset=check_mail, arg1=<a@nodomain.test>, relay=[192.0.2.9], reject=553 5.1.8 <a@nodomain.test>... Domain "
        "of sender "
        "address a@nodomain.test does not exist",
     line_used,
     {{REFUSED(mail, sender), 1}}},
    {ID "ruleset=CheckSubject, arg1=spam, relay=[192.0.2.9], reject=550 5.7.1 Spam message rejected",
     line_used,
     {{REFUSED(message, spam), 1}}},
    {ID "ruleset=check_rcpt, arg1=<a@example.org>, relay=[192.0.2.9], discard", line_ignored, {{0}}},
    {ID "ruleset=check_mail, arg1=<a@example.org>, relay=[192.0.2.9], quarantine=looks odd", line_ignored, {{0}}},
    {ID "ruleset=tls_server, arg1=VERIFY, relay=mx.example.org, reject=403 4.7.0 TLS handshake failed",
     line_ignored,
     {{0}}},
    {ID "ruleset=check_rcpt, arg1=<a@example.org>", line_unparsed, {{0}}},
    {ID "ruleset=check_compat, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(rcpt, other), 1}}},
    {ID "ruleset=check_data, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(data, other), 1}}},
    {ID "ruleset=check_helo, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(helo, other), 1}}},
    {ID "ruleset=check_vrfy, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(helo, other), 1}}},
    {ID "ruleset=check_expn, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(helo, other), 1}}},
    {ID "ruleset=check_etrn, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(helo, other), 1}}},
    {ID "ruleset=tls_client, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(mail, other), 1}}},
    {ID "ruleset=trust_auth, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(mail, other), 1}}},
    {ID "ruleset=check_eoh, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(message, other), 1}}},
    {ID "ruleset=check_eom, arg1=x, relay=[192.0.2.9], reject=550 5.7.0 Command refused",
     line_used,
     {{REFUSED(message, other), 1}}},
    {ID "<a@example.test>... No such user here", line_used, {{REFUSED(rcpt, user_unknown), 1}}},
    {"rejecting commands from host.example [192.0.2.9] due to pre-greeting traffic after 5 seconds",
     line_used,
     {{REFUSED(connect, client), 1}}},
    {"tcpwrappers (host.example, 192.0.2.9) rejection", line_used, {{REFUSED(connect, client), 1}}},

    /* ---- milters */
    {ID "Milter: to=<a@example.test>, reject=451 4.7.1 Greylisting in action, please come back in 00:05:00",
     line_used,
     {{REFUSED(rcpt, greylist), 1}}},
    {ID "Milter: from=<a@example.org>, reject=550 5.7.1 Command rejected", line_used, {{REFUSED(mail, other), 1}}},
    {ID "Milter: helo=x.example, reject=550 5.7.1 Command rejected", line_used, {{REFUSED(helo, other), 1}}},
    {ID "Milter: data, reject=550 5.7.1 Blocked by SpamAssassin", line_used, {{REFUSED(message, spam), 1}}},
    {ID "Milter: cmd=data, reject=550 5.7.1 Command rejected", line_used, {{REFUSED(data, other), 1}}},
    {"NOQUEUE: Milter: connect: host=x.example, addr=192.0.2.9, rejecting commands",
     line_used,
     {{REFUSED(connect, other), 1}}},
    {ID "milter=clamav, action=mail, reject=550 5.7.1 Command rejected", line_ignored, {{0}}},
    {ID "Milter: data, discard", line_ignored, {{0}}},
    {ID "Milter (scan): error connecting to filter: Connection refused by /run/scan.sock\n" ID
        "Milter (scan): to error state\n" ID "Milter (scan): init failed to open\n" ID
        "Milter: initialization failed, temp failing commands",
     line_used,
     {{SERIES_0(log_milter_errors_total), 2}}},
    {ID "Milter (scan): timeout before data read, where=eom", line_used, {{SERIES_0(log_milter_errors_total), 1}}},
    {ID "Milter read(scan): timeout before data read, where=eom", line_used, {{SERIES_0(log_milter_errors_total), 1}}},
    {ID "Milter (scan): init success to negotiate", line_ignored, {{0}}},
    {ID "Milter (scan): abort filter", line_ignored, {{0}}},
    {ID "Milter (scan): quit filter", line_ignored, {{0}}},
    {ID "Milter (scan): time command (R), 1", line_ignored, {{0}}},
    {ID "Milter (scan): headers, aborted", line_ignored, {{0}}},
    {ID "Milter (scan): header, X: y", line_ignored, {{0}}},
    {ID "Milter (scan): body, aborted", line_ignored, {{0}}},
    {ID "Milter (scan): add: header: X: y", line_ignored, {{0}}},
    {ID "Milter (scan): add (0): header: X: y", line_ignored, {{0}}},
    {ID "Milter (scan): insert (1): header: X: y", line_ignored, {{0}}},
    {ID "Milter (scan): change (1): header: X: y", line_ignored, {{0}}},
    {ID "Milter (scan): delete (1): header: X", line_ignored, {{0}}},
    {ID "Milter (scan): chgfrom: <a@x>", line_ignored, {{0}}},
    {ID "Milter (scan): message: reject", line_ignored, {{0}}},
    {ID "Milter (scan): set mta=x", line_ignored, {{0}}},
    {ID "Milter (scan): rcpts: <a@x>", line_ignored, {{0}}},
    {ID "Milter (scan): connect to filters", line_ignored, {{0}}},
    {ID "Milter add: header: X-Spam-Status: No", line_ignored, {{0}}},
    {ID "Milter (scan) add: header: X-Spam-Flag: YES): error", line_ignored, {{0}}},

    /* ---- events */
    {ID "timeout waiting for input from mx.example.org. during client greeting", line_ignored, {{0}}},
    {ID "timeout waiting for input from [192.0.2.9] during message collect\n" ID
        "SYSERR(root): collect: read timeout on connection from [192.0.2.9], from=<a@example.org>",
     line_used,
     {{SERIES_0(log_connections_lost_total), 1}}},
    {ID "collect: premature EOM: Connection reset by [192.0.2.9]\n" ID
        "collect: unexpected close on connection from [192.0.2.9], sender=<a@example.org>",
     line_ignored,
     {{SERIES_0(log_connections_lost_total), 1}}},
    {"rejecting connections on daemon MTA: load average: 23", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"deferring connections on daemon MTA: 31 per second", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"delaying connections on daemon MTA: load average=13 >= 12", line_used, {{SERIES_0(log_limits_total), 1}}},
    {ID "delaying=MAIL, load average=13 >= 12", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"Skipping queue run -- load average too high", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"Aborting queue run: load average too high", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"runqueue: Aborting queue run: load average too high", line_used, {{SERIES_0(log_limits_total), 1}}},
    {ID "low on space (mx.example.test needs 1000 bytes + 100 blocks in /var/spool/mqueue), max avail: 17",
     line_used,
     {{SERIES_0(log_limits_total), 1}}},
    {ID "lost input channel from host.example [192.0.2.9] to MTA after rcpt",
     line_used,
     {{SERIES_0(log_connections_lost_total), 1}}},
    {ID "SMTP AUTH command (PLAIN) from host.example [192.0.2.9] tempfailed (due to previous checks)",
     line_used,
     {{SERIES_0(log_auth_failures_total), 1}}},
    {"WARNING: local host name (mx) is not qualified; see cf/README: WHO AM I?", line_used, {{PROBLEM(warning), 1}}},
    {"STARTTLS: write error=generic SSL error (-1), errno=32", line_used, {{PROBLEM(warning), 1}}},
    {"STARTTLS: read error=timeout (-1), errno=0", line_used, {{PROBLEM(warning), 1}}},
    {"AUTH warning: no mechanisms", line_used, {{PROBLEM(warning), 1}}},
    {"AUTH error: listmech=0, num=0", line_used, {{PROBLEM(error), 1}}},
    {"rejecting connections on daemon MTA: 12 children, max 12", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"have been rejecting connections on daemon MTA for 00:15:00", line_ignored, {{0}}},
    {"runqueue: Skipping queue run -- load average too high", line_used, {{SERIES_0(log_limits_total), 1}}},
    {ID "host.example [192.0.2.9]: possible SMTP attack: command=AUTH, count=7",
     line_used,
     {{SERIES_0(log_limits_total), 1}}},
    {"rejecting new messages: min free: 100", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"NOQUEUE: SYSERR(root): opendaemonsocket: daemon MTA: cannot bind: Address already in use",
     line_used,
     {{PROBLEM(error), 1}}},
    {ID "SYSERR(root): mx.example.test. config error: mail loops back to me (MX problem?)",
     line_used,
     {{PROBLEM(error), 1}}},
    {ID "Losing ./qf6AKKJjas021488: savemail panic\n" ID "SYSERR(root): savemail: cannot save rejected email anywhere",
     line_ignored,
     {{PROBLEM(panic), 1}}},
    {ID "Authentication-Warning: mx.example.test: www-data set sender to a@example.org using -f",
     line_used,
     {{PROBLEM(warning), 1}}},
    {"STARTTLS=client, error: connect failed=-1, reason=sslv3 alert handshake failure, SSL_error=1, errno=0, retry=-1",
     line_used,
     {{PROBLEM(warning), 1}}},
    {"STARTTLS=client, relay=mx.example.org., version=TLSv1.3, verify=OK, cipher=TLS_AES_256_GCM_SHA384, bits=256/256",
     line_ignored,
     {{0}}},
    {ID "AUTH=server, relay=x [192.0.2.9], authid=joe, mech=PLAIN, bits=0", line_ignored, {{0}}},
    {ID "from=<a@example.org>, size=1000, class=0, nrcpts=1, msgid=<x, stat=Sent>, relay=x [192.0.2.9]",
     line_ignored,
     {{0}}},
    {"starting daemon (8.18.1): SMTP+queueing@00:10:00", line_ignored, {{0}}},
};

static enum label_line count_it(void *state, const struct counting *counting, const struct log_line *line)
{
    return log_sendmail_count(state, counting, line);
}

static void test_rows(void **state)
{
    struct log_sendmail *kept = malloc(sizeof *kept);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(kept, 0, sizeof *kept);
        row_play(&rows[i], count_it, kept, i % 2 ? "sm-mta" : "sendmail");
    }
    free(kept);
}

static void test_others(void **state)
{
    static const struct log_row other = {
        ID "to=a, delay=00:00:02, mailer=local, pri=3, dsn=2.0.0, stat=Sent", line_ignored, {{0}}};
    struct log_sendmail *kept = calloc(1, sizeof *kept);
    (void)state;
    row_play(&other, count_it, kept, "postfix/local");
    row_play(&other, count_it, kept, "");
    free(kept);
}

/* A value that is cut anywhere, and bytes behind its end that are not its own. */
static void test_cut(void **state)
{
    struct log_sendmail *kept = calloc(1, sizeof *kept);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t length = 0; length <= strlen(rows[i].lines); length++) {
            char *text = malloc(length + 1);
            memcpy(text, rows[i].lines, length);
            struct log_line line = {.program = SPAN("sendmail"), .message = {text, length}};
            assert_true(log_sendmail_count(kept, &row_counting, &line) < line_COUNT);
            free(text);
        }
    }
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_others),
                                       cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
