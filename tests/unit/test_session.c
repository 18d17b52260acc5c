/* milter/filter/session.c: sequences of events, and every total that they move. The sources of messages, one by one, and sizes:
 * test_session_mail.c. */
#include "tests/unit/session_player.h"

#define SERIES(name, labels, n)        name "{" labels "} " #n "\n"
#define CONNECTED(client)              SERIES("connections_total", "client='" client "'", 1)
#define CLOSED                         SERIES("session_seconds_bucket", "le='0.01'", 1)
#define SESSION(client)                CONNECTED(client) CLOSED
#define UNUSED(client)                 SERIES("sessions_without_mail_total", "client='" client "'", 1)
#define MESSAGE(source, verdict)       SERIES("messages_total", "source='" source "',verdict='" verdict "'", 1)
#define RECIPIENTS(source, outcome, n) SERIES("recipients_total", "source='" source "',outcome='" outcome "'", n)
#define REJECTS(class, reply, n)       SERIES("rejects_total", "class='" class "',reply='" reply "'", n)
#define CODE(code, n)                  SERIES("reject_codes_total", "code='" code "'", n)
#define SPAM(source, verdict)          SERIES("spam_verdicts_total", "source='" source "',verdict='" verdict "'", 1)
#define HOPS(le, n)                    SERIES("received_hops_bucket", "le='" le "'", 1) "received_hops_sum " #n "\n"
#define PASSED_TO(le, n)               SERIES("message_recipients_bucket", "le='" le "'", 1) "message_recipients_sum " #n "\n"
#define COUNT(le, n)                   PASSED_TO(le, n) HOPS("1.0", 0)
#define AT_ONCE                        SERIES("message_seconds_bucket", "le='0.01'", 1)
#define NULL_SENDER(source)            SERIES("null_sender_total", "source='" source "'", 1)
/* A message to one recipient that passes at once, without a declared size. */
#define PASSED(source)                                                                                                 \
    MESSAGE(source, "passed") RECIPIENTS(source, "accepted", 1) COUNT("1.0", 1) AT_ONCE SPAM(source, "unscanned")

#define OUTSIDE "connect 192.0.2.1,1025 Postfix 3.7.11"
#define UNKNOWN "refuse 5.1.1 Recipient address rejected: User unknown in local recipient table"
#define GREY    "refuse 4.2.0 Recipient address rejected: Greylisted"

struct row {
    const char *title, *script, *expected;
};

static void play_all(const struct row *rows, size_t count, bool body)
{
    for (size_t i = 0; i < count; i++) {
        struct player player;
        player_begin(&player);
        player.settings.milter_body = body;
        player_play(&player, rows[i].script);
        player_expect(&player, rows[i].title, rows[i].expected);
        player_end(&player);
    }
}
#define PLAY(rows, body) play_all(rows, sizeof(rows) / sizeof(rows)[0], body)

static void test_sessions(void **state)
{
    static const struct row rows[] = {
        {"nothing", "close", ""},
        {"a check: no connect", "data|close", ""},
        {"connected, not closed", OUTSIDE, CONNECTED("external")},
        {"a probe", OUTSIDE "|close", SESSION("external") UNUSED("external")},
        {"a trusted probe", "connect 10.1.2.3,1025 Postfix 3.7.11|close", SESSION("internal") UNUSED("internal")},
        {"trusted, IPv6", "connect 2001:db8::1,1025|close", SESSION("internal") UNUSED("internal")},
        {"external, IPv6", "connect 2001:db9::1,1025|close", SESSION("external") UNUSED("external")},
        {"trusted, mapped", "connect ::ffff:10.1.2.3,1025|close", SESSION("internal") UNUSED("internal")},
        {"on this host", "connect none 8.17.1.9|close", SESSION("local") UNUSED("local")},
        {"MAIL was seen", OUTSIDE "|mail <a@b>|abort|close", SESSION("external") MESSAGE("external", "aborted")},
        {"half a second", OUTSIDE "|wait 500000|close",
         CONNECTED("external") UNUSED("external")
             SERIES("session_seconds_bucket", "le='0.5'", 1) "session_seconds_sum 500000\n"},
        {"an hour", OUTSIDE "|wait 1800000000|wait 1800000000|close",
         CONNECTED("external") UNUSED("external")
             SERIES("session_seconds_bucket", "le='+Inf'", 1) "session_seconds_sum 3600000000\n"},
    };
    (void)state;
    PLAY(rows, false);
}

static void test_verdicts(void **state)
{
    static const struct row rows[] = {
        {"passed", OUTSIDE "|mail <a@b>|rcpt|data|eom|close", SESSION("external") PASSED("external")},
        {"passed, nothing twice", OUTSIDE "|mail <a@b>|rcpt|data|eom|abort|eom|abort|close",
         SESSION("external") PASSED("external")},
        {"passed, not closed", OUTSIDE "|mail <a@b>|rcpt|data|eom", CONNECTED("external") PASSED("external")},
        {"two in a session", OUTSIDE "|mail <a@b>|rcpt|data|eom|mail <a@b>|rcpt|data|eom|close",
         SESSION("external") PASSED("external") PASSED("external")},
        {"three recipients", OUTSIDE "|mail <a@b>|rcpt|rcpt esmtp|rcpt local|data|eom|close",
         SESSION("external") MESSAGE("external", "passed") RECIPIENTS("external", "accepted", 3) COUNT("4.0", 3)
             AT_ONCE SPAM("external", "unscanned")},
        {"some refused", OUTSIDE "|mail <a@b>|" UNKNOWN "|rcpt|" UNKNOWN "|" GREY "|data|eom|close",
         SESSION("external") PASSED("external") RECIPIENTS("external", "refused", 3) REJECTS("user_unknown", "5xx", 2)
             REJECTS("greylist", "4xx", 1) CODE("5.1.1", 2) CODE("4.2.0", 1)},
        {"all refused", OUTSIDE "|mail <a@b>|" UNKNOWN "|" GREY "|abort|close",
         SESSION("external") MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 2)
             REJECTS("user_unknown", "5xx", 1) REJECTS("greylist", "4xx", 1) CODE("5.1.1", 1) CODE("4.2.0", 1)},
        {"all refused, close alone", OUTSIDE "|mail <a@b>|" UNKNOWN "|close",
         SESSION("external") MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 1)
             REJECTS("user_unknown", "5xx", 1) CODE("5.1.1", 1)},
        {"given up after RCPT", OUTSIDE "|mail <a@b>|rcpt|abort|close",
         SESSION("external") MESSAGE("external", "aborted") RECIPIENTS("external", "accepted", 1)},
        {"given up after one of two", OUTSIDE "|mail <a@b>|" UNKNOWN "|rcpt|abort|close",
         SESSION("external") MESSAGE("external", "aborted") RECIPIENTS("external", "accepted", 1)
             RECIPIENTS("external", "refused", 1) REJECTS("user_unknown", "5xx", 1) CODE("5.1.1", 1)},
        {"gone in MAIL", OUTSIDE "|mail <a@b>|close", SESSION("external") MESSAGE("external", "aborted")},
        {"lost in DATA", OUTSIDE "|mail <a@b>|rcpt|data|header X-Spam-Flag: YES|abort|close",
         SESSION("external") MESSAGE("external", "lost") RECIPIENTS("external", "accepted", 1)},
        {"lost, close alone", OUTSIDE "|mail <a@b>|rcpt|data|close",
         SESSION("external") MESSAGE("external", "lost") RECIPIENTS("external", "accepted", 1)},
        {"end of message without DATA", OUTSIDE "|mail <a@b>|rcpt|eom|close", SESSION("external") PASSED("external")},
        {"end of message without recipients", OUTSIDE "|mail <a@b>|eom|close",
         SESSION("external") MESSAGE("external", "passed") COUNT("1.0", 0) AT_ONCE SPAM("external", "unscanned")},
    };
    (void)state;
    PLAY(rows, false);
}

/* Sendmail's number of all refused recipients: those that were not seen are counted, and have no reason. */
static void test_refused_in_all(void **state)
{
#define SEEN_ONE REJECTS("user_unknown", "5xx", 1) CODE("5.1.1", 1)
    static const struct row rows[] = {
        {"none seen", OUTSIDE "|mail <a@b>|rcpt|refused 0|rcpt|refused 2|data|refused 3|eom|close",
         SESSION("external") MESSAGE("external", "passed") RECIPIENTS("external", "accepted", 2) COUNT("2.0", 2)
             AT_ONCE SPAM("external", "unscanned") RECIPIENTS("external", "refused", 3)},
        {"one of them seen", OUTSIDE "|mail <a@b>|" UNKNOWN "|refused 4|rcpt|refused 4|data|refused 4|eom|close",
         SESSION("external") PASSED("external") RECIPIENTS("external", "refused", 4) SEEN_ONE},
        {"all seen", OUTSIDE "|mail <a@b>|" UNKNOWN "|refused 1|rcpt|refused 1|data|refused 1|eom|close",
         SESSION("external") PASSED("external") RECIPIENTS("external", "refused", 1) SEEN_ONE},
        {"a smaller number", OUTSIDE "|mail <a@b>|" UNKNOWN "|refused 3|refused 0|abort|close",
         SESSION("external") MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 3) SEEN_ONE},
        {"only a number", OUTSIDE "|mail <a@b>|refused 2|abort|close",
         SESSION("external") MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 2)},
        {"no number", OUTSIDE "|mail <a@b>|refused|refused x|refused 7x|refused -1|refused 1000001|abort|close",
         SESSION("external") MESSAGE("external", "aborted")},
        {"far too long", OUTSIDE "|mail <a@b>|refused 18446744073709551617|refused 00000000001|abort|close",
         SESSION("external") MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 1)},
        {"before MAIL, and of the one before", OUTSIDE "|refused 5|mail <a@b>|refused 1|abort|mail <a@b>|abort|close",
         SESSION("external") MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 1)
             MESSAGE("external", "aborted")},
    };
    (void)state;
    PLAY(rows, false);
}

/* What sendmail's macros say of a refused recipient: the reply, or from 8.18 on a name that the client chose. */
static void test_replies_of_sendmail(void **state)
{
#define OUTSIDE_SENDMAIL "connect 192.0.2.1,1025 8.18.1"
#define REFUSED(class, code)                                                                                           \
    SESSION("external")                                                                                                \
    MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 1) REJECTS(class, "5xx", 1) CODE(code, 1)
    static const struct row rows[] = {
        {"8.17", OUTSIDE_SENDMAIL "|mail <a@b>|refuse 5.1.1 550 5.1.1 User unknown|close",
         REFUSED("user_unknown", "5.1.1")},
        {"8.17, a reply of another kind", OUTSIDE_SENDMAIL "|mail <a@b>|refuse 5.7.1 550 5.7.1 Relaying denied|close",
         REFUSED("relay_denied", "5.7.1")},
        {"8.17, a name", OUTSIDE_SENDMAIL "|mail <a@b>|refuse 5.7.1 /blocked using|close", REFUSED("other", "5.7.1")},
        {"8.18", OUTSIDE_SENDMAIL "|mail <a@b>|refuse! someone|close", REFUSED("user_unknown", "5.1.1")},
        {"8.18, a name that looks like a reply", OUTSIDE_SENDMAIL "|mail <a@b>|refuse! 450 4.7.1 blocked using|close",
         REFUSED("user_unknown", "5.1.1")},
        {"8.18, a host that is no code", OUTSIDE_SENDMAIL "|mail <a@b>|refuse localhost greylisted|close",
         REFUSED("user_unknown", "5.1.1")},
    };
    (void)state;
    PLAY(rows, false);
}

/* What comes in an order that it should not, and that one message leaves nothing to the next. */
static void test_order(void **state)
{
    static const struct row rows[] = {
        {"RCPT without MAIL", OUTSIDE "|rcpt|" UNKNOWN "|close", SESSION("external") UNUSED("external")},
        {"end of message without MAIL", OUTSIDE "|eom|close", SESSION("external") UNUSED("external")},
        {"RCPT after abort", OUTSIDE "|mail <a@b>|abort|rcpt|" UNKNOWN "|mail <a@b>|close",
         SESSION("external") MESSAGE("external", "aborted") MESSAGE("external", "aborted")},
        {"MAIL twice", OUTSIDE "|mail <a@b>|rcpt|mail <c@d>|" UNKNOWN "|mail <e@f>|data|mail <g@h>|rcpt|data|eom|close",
         SESSION("external") MESSAGE("external", "aborted") RECIPIENTS("external", "accepted", 1)
             MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 1) REJECTS("user_unknown", "5xx", 1)
                 CODE("5.1.1", 1) MESSAGE("external", "lost") PASSED("external")},
        {"DATA before MAIL", OUTSIDE "|data|mail <a@b>|rcpt|abort|close",
         SESSION("external") MESSAGE("external", "aborted") RECIPIENTS("external", "accepted", 1)},
        {"spam header before MAIL", OUTSIDE "|header X-Spam-Flag: YES|mail <a@b>|rcpt|data|eom|close",
         SESSION("external") PASSED("external")},
        {"spam header of the one before",
         OUTSIDE "|mail <a@b>|rcpt|data|header X-Spam-Flag: YES|abort|mail <a@b>|rcpt|data|eom|close",
         SESSION("external") MESSAGE("external", "lost") RECIPIENTS("external", "accepted", 1) PASSED("external")},
        {"refusals of the one before", OUTSIDE "|mail <a@b>|" UNKNOWN "|abort|mail <a@b>|rcpt|data|eom|close",
         SESSION("external") MESSAGE("external", "rejected") RECIPIENTS("external", "refused", 1)
             REJECTS("user_unknown", "5xx", 1) CODE("5.1.1", 1) PASSED("external")},
        {"null sender and size of the one before", OUTSIDE "|mail <> SIZE=5000|abort|mail <a@b>|rcpt|data|eom|close",
         SESSION("external") MESSAGE("external", "aborted") NULL_SENDER("external") PASSED("external")},
        {"MAIL without connect", "mail <a@b>|rcpt|data|eom|close", PASSED("internal")},
    };
    static const struct row counted[] = {
        {"body before MAIL", OUTSIDE "|body 5000|header A: b|mail <a@b>|rcpt|data|eom|close",
         SESSION("external") PASSED("external")},
        {"body after the end", OUTSIDE "|mail <a@b>|rcpt|data|eom|body 5000|mail <a@b>|rcpt|data|eom|close",
         SESSION("external") PASSED("external") PASSED("external")},
    };
    (void)state;
    PLAY(rows, false);
    PLAY(counted, true);
}

static void test_spam(void **state)
{
    static const struct row rows[] = {
        {"spam", OUTSIDE "|mail <a@b>|rcpt|data|header X-Spam-Flag: YES|header Subject: x|eom|close",
         SESSION("external") MESSAGE("external", "passed") RECIPIENTS("external", "accepted", 1) COUNT("1.0", 1)
             AT_ONCE SPAM("external", "spam")},
        {"clean, forged below",
         OUTSIDE
         "|mail <a@b>|rcpt|data|header X-Spam-Status: No, score=1|header X-Spam-Status: Yes, score=99|eom|close",
         SESSION("external") MESSAGE("external", "passed") RECIPIENTS("external", "accepted", 1) COUNT("1.0", 1)
             AT_ONCE SPAM("external", "clean") SERIES("spam_score_bucket", "le='2.0'", 1) "spam_score_sum 1000000\n"},
    };
    (void)state;
    PLAY(rows, false);
}

/* Time in our callbacks: whole microseconds are counted with each message, the rest is not lost; waiting is not counted. */
static void test_busy(void **state)
{
    static const struct row rows[] = {
        {"five callbacks and the close", "work 1700|" OUTSIDE "|wait 77|mail <a@b>|wait 77|rcpt|data|eom|wait 77|close",
         SESSION("external") PASSED("external") "session_seconds_sum 239\nmessage_seconds_sum 82\n"
                                                "filter_busy_seconds_total 10\n"}, /* 6 of 1700 ns */
        {"counted with the message", "work 1700|" OUTSIDE "|mail <a@b>|rcpt|data|eom",
         CONNECTED("external")
             PASSED("external") "message_seconds_sum 5\nfilter_busy_seconds_total 6\n"}, /* 4 of them */
        {"no message", "work 999|" OUTSIDE "|close",
         SESSION("external") UNUSED("external") "filter_busy_seconds_total 1\n"},
        {"a clock that stands still", OUTSIDE "|mail <a@b>|rcpt|data|eom|close",
         SESSION("external") PASSED("external")},
    };
    (void)state;
    PLAY(rows, false);
}

/* A clock that went back, as no clock should, takes nothing away. */
static void test_clock_goes_back(void **state)
{
    struct player player;
    (void)state;
    player_begin(&player);
    player_play(&player, OUTSIDE "|wait -50|mail <a@b>|rcpt|wait -5000|data|eom|close");
    player_expect(&player, "back", SESSION("external") PASSED("external"));
    player_play(&player, OUTSIDE "|work -3000|mail <a@b>|rcpt|work 2000|data|eom|work 0|close");
    uint64_t busy = atomic_load(&player.tally.totals[SERIES_0(filter_busy_seconds_total)]);
    assert_true(busy < 1000);
    player_end(&player);
}

static int64_t active(const struct player *player)
{
    return atomic_load(&player->tally.self->gauges[gauge_sessions_active]);
}

static void test_sessions_active(void **state)
{
    struct player first, second;
    (void)state;
    player_begin(&first);
    second = first;
    assert_int_equal(active(&first), 0);
    player_play(&first, "data"); /* not connected yet */
    assert_int_equal(active(&first), 0);
    player_play(&first, "close|" OUTSIDE);
    assert_int_equal(active(&first), 1);
    assert_int_equal(atomic_load(&first.tally.self->gauges[gauge_filter_last_connection_timestamp_seconds]),
                     player_ns / 1000);
    player_play(&second, OUTSIDE);
    assert_int_equal(active(&first), 2);
    assert_ptr_equal(session_settings(second.session), &second.settings);
    player_play(&first, "close|close");
    assert_int_equal(active(&first), 1);
    player_play(&second, "mail <a@b>|close");
    assert_int_equal(active(&first), 0);
    session_free(NULL);
    player_end(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_refused_in_all),
        cmocka_unit_test(test_replies_of_sendmail),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_spam),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_clock_goes_back),
        cmocka_unit_test(test_sessions_active),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
