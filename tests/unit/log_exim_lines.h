/* Lines of Exim's logs, of versions and options that do not stand in tests/data, and what each counts. */
#ifndef TESTS_UNIT_LOG_EXIM_LINES_H
#define TESTS_UNIT_LOG_EXIM_LINES_H

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
    {"H=(x) [192.0.2.9] rejected VRFY a: no", line_used, {{REFUSED(helo, other), 1}}},
    {"H=(x) [192.0.2.9] rejected EXPN a: no", line_used, {{REFUSED(helo, other), 1}}},
    {"H=(x) [192.0.2.9] rejected ETRN #a: no", line_used, {{REFUSED(helo, other), 1}}},
    {"H=(x) [192.0.2.9] rejected STARTTLS: no", line_used, {{REFUSED(helo, other), 1}}},
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
    {"Connection from [192.0.2.9] refused: too many connections", line_used, {{SERIES_0(log_limits_total), 1}}},
    {"too many recipients: max=100 H=(x) [192.0.2.9]", line_used, {{SERIES_0(log_limits_total), 1}}},
    {ID "no immediate delivery: too many connections (20, max 10)", line_used, {{SERIES_0(log_limits_total), 1}}},
    {ID "SMTP connection lost after final dot H=(x) [192.0.2.9] P=esmtp",
     line_used,
     {{SERIES_0(log_connections_lost_total), 1}}},
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

#endif
