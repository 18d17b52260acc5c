/* Lines of Postfix' log, and what each counts, as counted_line.h has it. */
#ifndef TESTS_UNIT_LOG_POSTFIX_LINES_H
#define TESTS_UNIT_LOG_POSTFIX_LINES_H

struct row {
    const char *program, *message, *counted;
};

#define SENT(place, le) "used: deliveries " place " sent, delivery_seconds_bucket " place " " le ", "
#define STAGES(a, b, c, d)                                                                                             \
    "delivery_stage_seconds_bucket before_queue " a ", delivery_stage_seconds_bucket in_queue " b                      \
    ", delivery_stage_seconds_bucket connect " c ", delivery_stage_seconds_bucket transmission " d ", "
#define FAST STAGES("0.1", "0.1", "0.1", "0.1")

static const struct row deliveries[] = {
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=mx.example.com[192.0.2.44]:25, delay=1.2, delays=0.1/0.01/0.5/0.6, "
     "dsn=2.0.0, "
     "status=sent (250 2.0.0 Ok: queued as 4XvKwn5rTdz1c)",
     SENT("external", "5.0") STAGES("0.1", "0.1", "0.5", "1.0") "delivery_codes 2.0.0 sent"},
    {"postfix-out/smtp",
     "4XvKwn5rTdz1c2D: to=<joe@example.com>, orig_to=<joe>, relay=mx.example.com[2001:db8::44]:25, conn_use=3, "
     "delay=0.03, "
     "delays=0.01/0/0.01/0.01, dsn=2.1.5, status=sent (250 2.1.5 Ok)",
     SENT("external", "0.1") FAST "delivery_codes 2.1.5 sent"},
    {"postfix/relay/smtp",
     "4XvKwn5rTdz1c: to=<joe@hub.example.org>, relay=hub[10.0.0.7]:25, delay=0.03, delays=0.01/0/0.01/0.01, tls=may, "
     "other, "
     "dsn=2.0.0, status=sent (250 Ok)",
     SENT("internal", "0.1") FAST "delivery_codes 2.0.0 sent"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@own.example>, relay=192.0.2.9[192.0.2.9]:25, delay=0.2, delays=0.1/0.1/0/0, dsn=2.0.0, "
     "status=sent (250 Ok)",
     SENT("internal", "0.5") FAST "delivery_codes 2.0.0 sent"},
    {"postfix/lmtp",
     "4F2A31C0D5: to=<joe@example.net>, relay=mx.example.net[private/dovecot-lmtp], delay=0.2, delays=0.1/0.1/0/0, "
     "dsn=2.0.0, "
     "status=sent (250 2.0.0 <joe@example.net> abc Saved)",
     SENT("local", "0.5") FAST "delivery_codes 2.0.0 sent"},
    {"postfix/local",
     "4F2A31C0D5: to=<joe@example.net>, relay=local, delay=86400, delays=86399/1/0/0, dsn=2.0.0, status=sent "
     "(delivered to mailbox)",
     SENT("local", "86400.0") STAGES("86400.0", "1.0", "0.1", "0.1") "delivery_codes 2.0.0 sent"},
    {"postfix/virtual",
     "4F2A31C0D5: to=<joe@example.net>, relay=virtual, delay=0.2, delays=0.1/0.1/0/0, dsn=2.0.0, status=sent "
     "(delivered to maildir)",
     SENT("local", "0.5") FAST "delivery_codes 2.0.0 sent"},
    {"postfix/pipe",
     "4F2A31C0D5: to=<joe@example.net>, relay=dovecot, delay=0.2, delays=0.1/0.1/0/0, dsn=2.0.0, status=sent "
     "(delivered via dovecot service)",
     SENT("local", "0.5") FAST "delivery_codes 2.0.0 sent"},
    {"postfix/discard",
     "4F2A31C0D5: to=<joe@example.net>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (gone)",
     SENT("local", "0.1") FAST "delivery_codes 2.0.0 sent"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=mx.example.com[192.0.2.44], delay=2, status=sent (250 2.6.0 taken)",
     SENT("external", "5.0") "delivery_codes 2.6.0 sent"}, /* Postfix 2.2 */
    {"postfix/smtp",
     "4F2A31C0D5: to=<\"a>, relay=local, delay=1, status=sent (x)\"@example.com>, relay=mx.example.com[192.0.2.44]:25, "
     "delay=0.2, "
     "delays=0.1/0.1/0/0, dsn=5.1.1, status=bounced (host mx.example.com[192.0.2.44] said: 550 5.1.1 No such user (in "
     "reply to RCPT TO))",
     "used: deliveries external bounced, delivery_problems user_unknown bounced, delivery_codes 5.1.1 bounced"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<\"a\\\"b>, relay=x\"@own.example>, relay=mx[192.0.2.44]:25, delay=0, delays=0/0/0/0, dsn=2.0.0, "
     "status=sent (250 Ok)",
     SENT("internal", "0.1") FAST "delivery_codes 2.0.0 sent"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=30, delays=0/0/30/0, dsn=4.4.1, status=deferred (connect to "
     "mx.example.com[192.0.2.44]:25: Connection timed out)",
     "used: deliveries external deferred, delivery_problems connection_timeout deferred, delivery_codes 4.4.1 "
     "deferred"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=30, delays=0/0/30/0, dsn=4.4.1, status=deferred (connect to "
     "10.0.0.9[10.0.0.9]:25: Connection refused)",
     "used: deliveries internal deferred, delivery_problems connection_refused deferred, delivery_codes 4.4.1 "
     "deferred"},
    {"postfix/lmtp",
     "4F2A31C0D5: to=<joe@example.net>, relay=none, delay=30, delays=0/0/30/0, dsn=4.4.1, status=deferred (connect to "
     "mx.example.net[private/dovecot-lmtp]: No such file or directory)",
     "used: deliveries local deferred, delivery_problems connection_refused deferred, delivery_codes 4.4.1 deferred"},
    {"postfix/qmgr",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=30, delays=30/0/0/0, dsn=4.4.1, status=deferred (delivery "
     "temporarily "
     "suspended: connect to mx.example.com[192.0.2.44]:25: Connection timed out)",
     "used: deliveries external deferred, delivery_problems connection_timeout deferred, delivery_codes 4.4.1 "
     "deferred"},
    {"postfix/qmgr",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=30, delays=30/0/0/0, dsn=4.4.1, status=deferred (delivery "
     "temporarily "
     "suspended: connect to 10.0.0.9[10.0.0.9]:25: Connection refused)",
     "used: deliveries internal deferred, delivery_problems connection_refused deferred, delivery_codes 4.4.1 "
     "deferred"},
    {"postfix/error",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=0, delays=0/0/0/0, dsn=5.4.6, status=bounced (mail for "
     "example.com loops "
     "back to myself)",
     "used: deliveries external bounced, delivery_problems loop bounced, delivery_codes 5.4.6 bounced"},
    {"postfix/local",
     "4F2A31C0D5: to=<joe@example.net>, relay=local, delay=0, delays=0/0/0/0, dsn=5.1.1, status=SOFTBOUNCE (unknown "
     "user: \"joe\")",
     "used: deliveries local deferred, delivery_problems user_unknown deferred, delivery_codes 5.1.1 deferred"},
    {"postfix/bounce",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=0, delays=0/0/0/0, dsn=5.7.999, status=bounced (strange)",
     "used: deliveries external bounced, delivery_problems other bounced, delivery_codes other bounced"},
    /* Not to be counted: hops of our own, probes, mail that goes on under another ID. */
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=127.0.0.1[127.0.0.1]:10024, delay=0, delays=0/0/0/0, dsn=2.0.0, "
     "status=sent (250 Ok)",
     "ignored"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=127.0.0.1[127.0.0.1]:10025, delay=0, delays=0/0/0/0, dsn=2.0.0, "
     "status=sent (250 Ok)",
     SENT("external", "0.1") FAST "delivery_codes 2.0.0 sent"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=mx[192.0.2.4]:25, delay=0, delays=0/0/0/0, dsn=2.1.5, status=deliverable "
     "(250 Ok)",
     "ignored"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=mx[192.0.2.4]:25, delay=0, delays=0/0/0/0, dsn=5.1.1, "
     "status=undeliverable (550 no)",
     "ignored"},
    {"postfix/local",
     "4F2A31C0D5: to=<joe@example.net>, relay=local, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (forwarded as "
     "4F2A31C0D6)",
     "ignored"},
    /* Cut, or what no Postfix writes. */
    {"postfix/smtp", "4F2A31C0D5: to=<joe@example.com", "unparsed"},
    {"postfix/smtp", "4F2A31C0D5: to=<\"joe@example.com>, relay=none, delay=0, status=sent (x)", "unparsed"},
    {"postfix/smtp", "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=0, delays=0/0/0/0, dsn=4.0.0", "unparsed"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=0, delays=0/0/0/0, dsn=4.0.0, status=", "unparsed"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=0, delays=0/0/0/0, dsn=4.0.0, status=eaten (x)", "unparsed"},
    {"postfix/smtp",
     "4F2A31C0D5: to=<joe@example.com>, relay=none, delay=-1, delays=0/0/0/0, dsn=2.0.0, status=sent (x)", "unparsed"},
    {"postfix/smtp", "4F2A31C0D5: to=<joe@example.com>, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (x)",
     "unparsed"},
};

#define FROM   "; from=<a@ext.example> to=<x@example.org> proto=ESMTP helo=<mx.ext.example>"
#define CLIENT " from unknown[192.0.2.1]: "

static const struct row rejects[] = {
    {"postfix/smtpd",
     "NOQUEUE: reject: CONNECT" CLIENT
     "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied; proto=SMTP",
     "used: log_rejects connect client"},
    {"postfix/smtpd",
     "NOQUEUE: reject: HELO" CLIENT
     "504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname; proto=SMTP helo=<x>",
     "used: log_rejects helo helo"},
    {"postfix/smtpd",
     "NOQUEUE: reject: EHLO" CLIENT "504 5.5.2 <x>: Helo command rejected: Host not found; proto=SMTP helo=<x>",
     "used: log_rejects helo helo"},
    {"postfix/smtpd",
     "NOQUEUE: reject: MAIL" CLIENT
     "450 4.1.8 <a@ext.example>: Sender address rejected: Domain not found; from=<a@ext.example> proto=ESMTP helo=<x>",
     "used: log_rejects mail sender"},
    {"postfix/smtpd", "NOQUEUE: reject: MAIL" CLIENT "552 5.3.4 Message size exceeds fixed limit; proto=ESMTP helo=<x>",
     "used: log_rejects mail policy"},
    {"postfix/submission/smtpd", "NOQUEUE: reject: RCPT" CLIENT "554 5.7.1 <x@example.com>: Relay access denied" FROM,
     "used: log_rejects rcpt relay_denied"},
    {"postfix/smtpd",
     "NOQUEUE: reject: RCPT" CLIENT
     "550 5.1.1 <x@example.org>: Recipient address rejected: User unknown in local recipient table" FROM,
     "used: log_rejects rcpt user_unknown"},
    {"postfix/smtpd",
     "NOQUEUE: reject: RCPT" CLIENT "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using "
     "zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1" FROM,
     "used: log_rejects rcpt dnsbl"},
    {"postfix/smtpd",
     "NOQUEUE: reject: RCPT" CLIENT "450 4.2.0 <x@example.org>: Recipient address rejected: Greylisted; from=<> "
     "to=<x@example.org> proto=ESMTP helo=<x>",
     "used: log_rejects rcpt greylist"},
    {"postfix/smtpd", "NOQUEUE: reject: RCPT" CLIENT "450 4.7.1 our own words for it" FROM,
     "used: log_rejects rcpt auth_required"}, /* reject_texts */
    {"postfix/smtpd",
     "NOQUEUE: reject: RCPT" CLIENT "450 4.7.1 <x@example.org>: Recipient address rejected: Rate limit exceeded" FROM,
     "used: log_rejects rcpt rate, log_limits"},
    {"postfix/smtpd", "4F2A31C0D5: reject: RCPT" CLIENT "452 4.3.1 Insufficient system storage" FROM,
     "used: log_rejects rcpt other"},
    {"postfix/smtpd",
     "4F2A31C0D5: reject: DATA" CLIENT "503 5.5.0 <DATA>: Data command rejected: Multi-recipient bounce" FROM,
     "used: log_rejects data policy"},
    {"postfix/smtpd",
     "4F2A31C0D5: reject: BDAT" CLIENT "503 5.5.0 <BDAT>: Data command rejected: Multi-recipient bounce" FROM,
     "used: log_rejects data policy"},
    {"postfix/smtpd",
     "4F2A31C0D5: reject: END-OF-MESSAGE" CLIENT "554 5.7.1 <x>: End-of-data rejected: Spam message" FROM,
     "used: log_rejects message spam"},
    {"postfix/smtpd", "4F2A31C0D5: reject: DATA content" CLIENT "421 4.3.0 mx Server local data error",
     "used: log_rejects message other"},
    {"postfix/smtpd",
     "NOQUEUE: reject: VRFY" CLIENT
     "550 5.1.1 <x>: Recipient address rejected: User unknown; to=<x> proto=SMTP helo=<x>",
     "used: log_rejects helo user_unknown"},
    {"postfix/smtpd", "4F2A31C0D5: reject: END-OF-MESSAGE" CLIENT "bare <LF> received" FROM,
     "used: log_rejects message other"},
    {"postfix/smtpd",
     "NOQUEUE: milter-reject: CONNECT" CLIENT "451 4.7.1 Service unavailable - try again later; proto=SMTP",
     "used: log_rejects connect greylist"},
    {"postfix/smtpd",
     "NOQUEUE: milter-reject: EHLO" CLIENT "550 5.7.1 Command rejected; proto=SMTP helo=<mx.ext.example>",
     "used: log_rejects helo other"},
    {"postfix/smtpd",
     "NOQUEUE: milter-reject: HELO" CLIENT "451 4.7.1 Service unavailable - try again later; proto=SMTP helo=<x>",
     "used: log_rejects helo greylist"},
    {"postfix/smtpd",
     "NOQUEUE: milter-reject: MAIL" CLIENT
     "550 5.7.1 Command rejected; from=<a@ext.example> proto=ESMTP helo=<mx.ext.example>",
     "used: log_rejects mail other"},
    {"postfix/smtpd", "4F2A31C0D5: milter-reject: DATA" CLIENT "550 5.7.1 Command rejected" FROM,
     "used: log_rejects data other"},
    {"postfix/cleanup", "4F2A31C0D5: milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 4.7.1 Greylisted" FROM,
     "used: log_rejects message greylist"},
    {"postfix/smtpd",
     "NOQUEUE: milter-reject: RCPT" CLIENT "451 4.7.1 Greylisting in action, please come back in 00:05:00" FROM,
     "used: log_rejects rcpt greylist"},
    {"postfix/cleanup", "4F2A31C0D5: milter-reject: END-OF-MESSAGE" CLIENT "5.7.1 Gtube pattern" FROM,
     "used: log_rejects message spam"},
    {"postfix/cleanup", "4F2A31C0D5: milter-reject: END-OF-MESSAGE" CLIENT "Blocked by SpamAssassin" FROM,
     "used: log_rejects message spam"},
    {"postfix/smtpd",
     "proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, id=1 - Spam message; from=<a@ext.example> to=<x@example.org> "
     "proto=ESMTP helo=<x>",
     "used: log_rejects message spam"},
    {"postfix/cleanup",
     "4F2A31C0D5: reject: header Subject: buy from unknown[192.0.2.1]" FROM ": 5.7.1 Spam message rejected",
     "used: log_rejects message spam"},
    {"postfix/cleanup",
     "4F2A31C0D5: reject: header Subject: >: user unknown; from unknown[192.0.2.1]" FROM
     ": 5.7.1 message content rejected",
     "used: log_rejects message policy"},
    {"postfix/cleanup", "4F2A31C0D5: reject: body MZ from local; from=<a@ext.example> to=<x@example.org>",
     "used: log_rejects message policy"},
    {"postfix/cleanup",
     "4F2A31C0D5: reject: mime-error improper use of 8-bit data in message header: x from unknown[192.0.2.1]" FROM,
     "used: log_rejects message policy"},
    {"postfix/postscreen",
     "NOQUEUE: reject: RCPT from [192.0.2.1]:4321: 550 5.7.1 Service unavailable; client [192.0.2.1] blocked using "
     "zen.spamhaus.org; from=<a@x>, to=<b@y>, proto=ESMTP, helo=<z>",
     "used: log_rejects postscreen dnsbl"},
    {"postfix/postscreen",
     "NOQUEUE: reject: RCPT from [2001:db8::1]:4321: 450 4.3.2 Service currently unavailable; from=<a@x>, to=<b@y>, "
     "proto=ESMTP, helo=<z>",
     "used: log_rejects postscreen greylist"},
    {"postfix/postscreen", "NOQUEUE: reject: CONNECT from [192.0.2.1]:4321: too many connections",
     "used: log_rejects postscreen rate, log_limits"},
    {"postfix/postscreen", "NOQUEUE: reject: CONNECT from [192.0.2.1]:4321: all server ports busy",
     "used: log_rejects postscreen rate, log_limits"},
    {"postfix/postscreen", "reject: connect from [192.0.2.1]:4321: all screening ports busy",
     "used: log_rejects postscreen rate, log_limits"},
    /* Words of the client where a reason is looked for. */
    {"postfix/smtpd",
     "NOQUEUE: reject: RCPT" CLIENT
     "554 5.7.1 <; from=<x> User unknown>: blocked using@example.org>: Relay access denied" FROM,
     "used: log_rejects rcpt relay_denied"},
    {"postfix/smtpd",
     "NOQUEUE: reject: RCPT" CLIENT "554 5.7.1 <x@example.com>: Relay access denied; from=<\"a>: user unknown\"@x> "
     "to=<y> proto=SMTP helo=<>: mailbox full>",
     "used: log_rejects rcpt relay_denied"},
    /* None. */
    {"postfix/smtpd", "NOQUEUE: reject_warning: RCPT" CLIENT "554 5.7.1 <x>: Relay access denied" FROM, "ignored"},
    {"postfix/smtpd", "NOQUEUE: hold: RCPT" CLIENT "<x>: Recipient address triggers HOLD action" FROM, "ignored"},
    {"postfix/smtpd", "NOQUEUE: discard: RCPT" CLIENT "<x>: Recipient address triggers DISCARD action" FROM, "ignored"},
    {"postfix/smtpd", "NOQUEUE: filter: RCPT" CLIENT "<x>: Recipient address triggers FILTER x" FROM, "ignored"},
    {"postfix/cleanup", "4F2A31C0D5: milter-hold: END-OF-MESSAGE" CLIENT "milter triggers HOLD action" FROM, "ignored"},
    {"postfix/cleanup", "4F2A31C0D5: warning: header Subject: x from unknown[192.0.2.1]" FROM, "ignored"},
    {"postfix/postscreen", "PREGREET 17 after 0 from [192.0.2.1]:4321: EHLO x\\r\\n", "ignored"},
    {"postfix/postscreen", "DNSBL rank 3 for [192.0.2.1]:4321", "ignored"},
    {"postfix/postscreen", "PASS NEW [192.0.2.1]:4321", "ignored"},
    {"postfix/smtpd", "NOQUEUE: reject: RCPT", "unparsed"},
    {"postfix/smtpd", "NOQUEUE: reject: RCPT from unknown[192.0.2.1]", "unparsed"},
    {"postfix/smtpd", "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: ", "unparsed"},
    {"postfix/postscreen", "NOQUEUE: reject: RCPT from", "unparsed"},
    {"postfix/cleanup", "4F2A31C0D5: reject: header Subject: buy", "unparsed"},
};

static const struct row events[] = {
    {"postfix/smtpd", "connect from unknown[192.0.2.1]", "ignored"},
    {"postfix/smtpd", "4F2A31C0D5: client=unknown[192.0.2.1]", "ignored"},
    {"postfix/qmgr", "4F2A31C0D5: from=<a@ext.example>, size=340, nrcpt=1 (queue active)", "ignored"},
    {"postfix/qmgr", "4F2A31C0D5: removed", "ignored"},
    {"postfix/pickup", "4F2A31C0D5: uid=0 from=<root>", "ignored"},
    {"postfix/anvil", "statistics: max connection rate 3/60s for (smtp:192.0.2.1) at Nov 20 20:00:00", "ignored"},
    {"postfix/bounce", "4F2A31C0D5: sender non-delivery notification: 4F2A31C0D6", "used: bounces_sent"},
    {"postfix/bounce", "4F2A31C0D5: postmaster non-delivery notification: 4F2A31C0D6", "ignored"},
    {"postfix/bounce", "4F2A31C0D5: sender delay notification: 4F2A31C0D6", "ignored"},
    {"postfix/smtpd", "lost connection after RCPT from unknown[192.0.2.1]", "used: log_connections_lost"},
    {"postfix/smtpd", "lost connection after DATA (1234 bytes) from unknown[192.0.2.1]", "used: log_connections_lost"},
    {"postfix/smtpd", "NOQUEUE: lost connection after CONNECT from unknown[192.0.2.1]", "used: log_connections_lost"},
    {"postfix/smtpd", "timeout after END-OF-MESSAGE from unknown[192.0.2.1]", "used: log_connections_lost"},
    {"postfix/smtpd", "too many errors after AUTH from unknown[192.0.2.1]", "used: log_limits"},
    {"postfix/postscreen", "HANGUP after 0.5 from [192.0.2.1]:4321 in tests before SMTP handshake",
     "used: log_connections_lost"},
    {"postfix/postscreen", "COMMAND TIME LIMIT from [192.0.2.1]:4321 after CONNECT", "used: log_connections_lost"},
    {"postfix/postscreen", "COMMAND COUNT LIMIT from [192.0.2.1]:4321 after RCPT", "used: log_limits"},
    {"postfix/smtp",
     "4F2A31C0D5: lost connection with mx.example.com[192.0.2.44] while receiving the initial server greeting",
     "ignored"},
    {"postfix/smtp",
     "4F2A31C0D5: host mx.example.com[192.0.2.44] said: 450 4.2.0 Greylisted (in reply to RCPT TO command)", "ignored"},
    {"postfix/smtp", "connect to mx.example.com[192.0.2.44]:25: Connection refused", "ignored"},
    {"postfix/smtpd", "warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
     "used: log_auth_failures, log_problems warning"},
    {"postfix/smtpd", "warning: unknown[192.0.2.1]: SASL LOGIN authentication aborted", "used: log_problems warning"},
    {"postfix/smtpd", "warning: proxy 127.0.0.1:10024 rejected \"AUTH\": \"535 5.7.8 authentication failed\"",
     "used: log_problems warning"},
    {"postfix/smtpd", "warning: SASL authentication failure: Password verification failed",
     "used: log_problems warning"},
    {"postfix/smtpd", "warning: Connection rate limit exceeded: 31 from unknown[192.0.2.1] for service smtp",
     "used: log_limits, log_problems warning"},
    {"postfix/smtpd", "warning: Connection concurrency limit exceeded: 51 from unknown[192.0.2.1] for service smtp",
     "used: log_limits, log_problems warning"},
    {"postfix/smtpd", "warning: Recipient address rate limit exceeded: 31 from unknown[192.0.2.1] for service smtp",
     "used: log_limits, log_problems warning"},
    {"postfix/smtpd", "warning: 4F2A31C0D5: queue file size limit exceeded", "used: log_problems warning"},
    {"postfix/master",
     "warning: service \"smtp\" (25) has reached its process limit \"100\": new clients may experience noticeable "
     "delays",
     "used: log_limits, log_problems warning"},
    {"postfix/smtpd", "warning: milter unix:/run/x.sock: can't read SMFIC_OPTNEG reply packet header: Success",
     "used: log_milter_errors, log_problems warning"},
    {"postfix/cleanup", "warning: connect to Milter service inet:127.0.0.1:8891: Connection refused",
     "used: log_milter_errors, log_problems warning"},
    {"postfix/cleanup", "warning: invalid transport name: x in Milter service: x:/run/x.sock",
     "used: log_milter_errors, log_problems warning"},
    {"postfix/smtpd", "warning: Milter service needs transport:endpoint instead of \"x\"",
     "used: log_milter_errors, log_problems warning"},
    {"postfix/postscreen", "COMMAND LENGTH LIMIT from [192.0.2.1]:4321 after RCPT", "used: log_limits"},
    {"postfix/smtpd", "error: open database /etc/aliases.db: No such file or directory", "used: log_problems error"},
    {"postfix/master", "fatal: bind 0.0.0.0 port 25: Address already in use", "used: log_problems fatal"},
    {"postfix/qmgr", "panic: myfree: corrupt or unallocated memory block", "used: log_problems panic"},
    {"postfix", "fatal: usage", "used: log_problems fatal"},
    {"mx7/smtpd", "lost connection after RCPT from unknown[192.0.2.1]", "used: log_connections_lost"},
    {"mx7/submission/smtpd", "lost connection after AUTH from unknown[192.0.2.1]", "used: log_connections_lost"},
    {"mx7/trivial-rewrite", "warning: do not list domain example.org in BOTH mydestination and relay_domains",
     "used: log_problems warning"},
    {"mx7/tlsproxy", "warning: TLS library problem", "used: log_problems warning"},
    {"mx7/tlsmgr", "fatal: open database", "used: log_problems fatal"},
    {"mx7/proxymap", "error: open database /etc/aliases.db: No such file or directory", "used: log_problems error"},
    {"mx7/verify", "panic: myfree", "used: log_problems panic"},
    {"mx7/postdrop", "warning: mail_queue_enter: create file maildrop/1.2: No space left on device",
     "used: log_problems warning"},
    {"mx7/postfix-script", "fatal: the Postfix mail system is not running", "used: log_problems fatal"},
    /* Programs that are not Postfix. */
    {"dovecot", "warning: lost", "ignored"},
    {"cyrus/imap", "error: lost", "ignored"},
    {"amavis", "4F2A31C0D5: reject: RCPT", "ignored"},
    {"", "warning: a log without programs", "ignored"},
    {"postfix/smtpd", "", "ignored"},
};

#endif
