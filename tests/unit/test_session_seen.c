/* milter/filter/session.c: what a session and the headers of its messages are seen to be, beside how they end: TLS, reverse DNS,
 * authentication, unknown commands, scores, viruses, Authentication-Results, hops, and mail that comes a second time. */
#include "tests/unit/session_player.h"

#define SERIES(name, labels, n) name "{" labels "} " #n "\n"
#define OUTSIDE                 "connect 192.0.2.1,1025 Postfix 3.7.11"
#define LOCAL                   "connect 127.0.0.1,0 Postfix 3.7.11"
#define BEGIN                   "|mail <a@b>|rcpt|data"
#define TLS(version)            SERIES("mail_sessions_total", "tls='" version "'", 1)
#define NAME(word)              SERIES("client_name_total", "resolve='" word "'", 1)
#define AUTH(word)              SERIES("auth_sessions_total", "mechanism='" word "'", 1)
#define SPAM(verdict)           SERIES("spam_verdicts_total", "source='external',verdict='" verdict "'", 1)
#define INFECTED                SERIES("infected_total", "source='external'", 1)
#define SCORE(le, micros)       SERIES("spam_score_bucket", "le='" le "'", 1) "spam_score_sum " #micros "\n"
#define RESULT(method, what, n) SERIES("auth_results_total", "method='" method "',result='" what "'", n)
#define HOPS(le, n)             SERIES("received_hops_bucket", "le='" le "'", 1) "received_hops_sum " #n "\n"

struct row {
    const char *title, *script, *expected;
};

/* Of these families everything is compared. */
static const enum metric_id compared[] = {
    metric_mail_sessions_total, metric_client_name_total,   metric_unknown_commands_total,
    metric_auth_sessions_total, metric_spam_verdicts_total, metric_spam_score,
    metric_infected_total,      metric_auth_results_total,  metric_received_hops};

static void forget_others(struct player *player)
{
    for (unsigned i = 0; i < total_COUNT; i++) {
        bool is_compared = false;
        for (size_t j = 0; j < sizeof compared / sizeof compared[0]; j++)
            is_compared = is_compared || catalogue_total_metric(i) == &catalogue[compared[j]];
        if (!is_compared)
            atomic_store(&player->tally.totals[i], 0);
    }
}

static void play_all(const struct row *rows, size_t count, bool macros, void (*configure)(struct settings *settings))
{
    for (size_t i = 0; i < count; i++) {
        struct player player;
        player_begin(&player);
        player.macros_asked = macros;
        configure(&player.settings);
        player_play(&player, rows[i].script);
        forget_others(&player);
        player_expect(&player, rows[i].title, rows[i].expected);
        player_end(&player);
    }
}
#define PLAY(rows, macros, configure) play_all(rows, sizeof(rows) / sizeof(rows)[0], macros, configure)

static void no_verdicts(struct settings *settings)
{
    settings->spam_scanner = scanner_none;
}

static void test_connections(void **state)
{
    static const struct row asked[] = {
        {"no MAIL", "resolve OK|" OUTSIDE "|close", NAME("ok")},
        {"no TLS", OUTSIDE "|mail <a@b>|close", TLS("none")},
        {"TLS", "tls TLSv1.3|" OUTSIDE "|mail <a@b>|close", TLS("1.3")},
        {"the oldest", "tls TLSv1|" OUTSIDE "|mail <a@b>|close", TLS("1.0")},
        {"once a session", "tls TLSv1.2|" OUTSIDE "|mail <a@b>|abort|mail <a@b>|abort|close", TLS("1.2")},
        {"TLS after the first MAIL", OUTSIDE "|mail <a@b>|abort|tls TLSv1.2|mail <a@b>|abort|close", TLS("none")},
        {"a version without a label", "tls SSLv3|" OUTSIDE "|mail <a@b>|close", ""},
        {"local", LOCAL "|mail a@b|close", ""},
        {"forged", "resolve FORGED|" OUTSIDE "|close", NAME("forged")},
        {"no name", "resolve FAIL|" OUTSIDE "|close", NAME("unknown")},
        {"DNS did not answer", "resolve TEMP|" OUTSIDE "|close", NAME("tempfail")},
        {"another word", "resolve OKAY|" OUTSIDE "|close", ""},
        {"authenticated", OUTSIDE "|auth SCRAM-SHA-256|mail <a@b>|abort|close", TLS("none") AUTH("scram")},
        {"once, and later", OUTSIDE "|mail <a@b>|abort|auth LOGIN|mail <a@b>|abort|auth PLAIN|mail <a@b>|close",
         TLS("none") AUTH("login")},
        {"unknown commands", OUTSIDE "|unknown|unknown|mail <a@b>|unknown|close",
         TLS("none") "unknown_commands_total 3\n"},
    };
    static const struct row not_asked[] = {
        {"no TLS is not known", OUTSIDE "|mail <a@b>|close", ""},
        {"TLS is", "tls TLSv1.3|" OUTSIDE "|mail <a@b>|close", TLS("1.3")},
        {"nor names", OUTSIDE "|close", ""},
        {"but these are", "resolve OK|" OUTSIDE "|close", NAME("ok")},
        {"authentication", OUTSIDE "|auth XOAUTH2|mail <a@b>|close", AUTH("xoauth2")},
    };
    (void)state;
    PLAY(asked, true, no_verdicts);
    PLAY(not_asked, false, no_verdicts);
}

static void trust(struct settings *settings)
{
    settings->spam_authserv_ids = (struct authserv_ids){.count = 1, .list = {"mx.test"}};
}

static void test_headers(void **state)
{
    static const struct row rows[] = {
        {"nothing", OUTSIDE BEGIN "|eom|close", SPAM("unscanned") HOPS("1.0", 0)},
        {"all",
         OUTSIDE BEGIN
         "|header Authentication-Results: mx.test; spf=pass; dkim=fail; dkim=pass|header Received: a|header "
         "received: b|header RECEIVED: c|header X-Virus-Status: Infected (x)|header X-Spam-Status: "
         "Yes, score=5.5|eom|close",
         SPAM("spam") INFECTED SCORE("6.0", 5500000) HOPS("4.0", 3) RESULT("spf", "pass", 1) RESULT("dkim", "pass", 1)
             RESULT("dkim", "fail", 1)},
        {"a score at a bound", OUTSIDE BEGIN "|header X-Spam-Score: 5|eom",
         SPAM("unscanned") SCORE("5.0", 5000000) HOPS("1.0", 0)},
        {"just above", OUTSIDE BEGIN "|header X-Spam-Score: 5.000001|eom",
         SPAM("unscanned") SCORE("6.0", 5000001) HOPS("1.0", 0)},
        {"negative", OUTSIDE BEGIN "|header X-Spam-Score: -7|eom", SPAM("unscanned") SCORE("0.0", 0) HOPS("1.0", 0)},
        {"high", OUTSIDE BEGIN "|header X-Spam-Score: 30.5|eom",
         SPAM("unscanned") SCORE("+Inf", 30500000) HOPS("1.0", 0)},
        {"not ours",
         OUTSIDE BEGIN "|header Authentication-Results: other.test; spf=pass|header ARC-Authentication-Results: i=1; "
                       "mx.test; spf=pass|header X-Received: a|header Received-SPF: pass|eom",
         SPAM("unscanned") HOPS("1.0", 0)},
        {"not passed",
         OUTSIDE BEGIN "|header Authentication-Results: mx.test; spf=pass|header Received: a|header X-Virus-Status: "
                       "Infected|header X-Spam-Status: Yes, score=5|abort|close",
         ""},
        {"of the one before",
         OUTSIDE BEGIN "|header Authentication-Results: mx.test; spf=pass|header Received: a|header "
                       "X-Virus-Status: Infected|header X-Spam-Status: Yes, score=5|abort" BEGIN "|eom|close",
         SPAM("unscanned") HOPS("1.0", 0)},
        {"many hops",
         OUTSIDE BEGIN "|header Received: 1|header Received: 2|header Received: 3|header Received: 4|header "
                       "Received: 5|eom",
         SPAM("unscanned") HOPS("8.0", 5)},
    };
    (void)state;
    PLAY(rows, false, trust);
}

static void reinjects(struct settings *settings)
{
    settings->spam_scanner = scanner_reinjection;
    settings->milter_reinjection.count = 1;
    settings->milter_reinjection.list[0].port = 10025;
    assert_null(network_parse("127.0.0.1", &settings->milter_reinjection.list[0].address));
}

static void reinjects_unscanned(struct settings *settings)
{
    reinjects(settings);
    settings->spam_scanner = scanner_milter;
}

#define BACK "listener 127.0.0.1|resolve OK|tls TLSv1.3|" OUTSIDE
#define SCANNED                                                                                                        \
    "|auth PLAIN|mail <a@b>|rcpt|data|unknown|header X-Spam-Status: Yes, score=7|header Received: a|eom|close"

/* Mail that a content filter hands back: its first pass counts as mail, the second for what the scanner said. */
static void test_reinjection(void **state)
{
    static const struct row rows[] = {
        {"first pass", "listener 192.0.2.9|" OUTSIDE BEGIN "|header X-Spam-Status: No, score=1|eom|close",
         HOPS("1.0", 0)},
        {"second pass", BACK SCANNED,
         SERIES("spam_verdicts_total", "source='authenticated',verdict='spam'", 1) SCORE("8.0", 7000000)},
        {"where the scanner puts its own, also with sendmail",
         "listener 127.0.0.1|connect 192.0.2.1,1025 8.17.1" BEGIN
         "|header X-Bogosity: Ham, forged|header X-Bogosity: Spam|"
         "header X-Virus-Status: Clean|header X-Virus-Status: Infected|eom|close",
         SPAM("spam")},
        {"second pass, given up", BACK "|mail <a@b>|rcpt|data|header X-Spam-Status: Yes, score=7|abort|close", ""},
    };
    static const struct row unscanned[] = {
        {"first pass", OUTSIDE BEGIN "|header X-Spam-Status: No, score=1|eom|close",
         SPAM("clean") SCORE("2.0", 1000000) HOPS("1.0", 0)},
        {"second pass", BACK SCANNED, ""},
    };
    static const struct row none[] = {
        {"nothing of scanners", OUTSIDE BEGIN "|header X-Spam-Status: No, score=1|header X-Virus: x|eom|close",
         HOPS("1.0", 0)},
    };
    struct player player;
    (void)state;
    PLAY(rows, false, reinjects);
    PLAY(unscanned, false, reinjects_unscanned);
    PLAY(none, false, no_verdicts);
    player_begin(&player); /* nor is anything else counted again */
    reinjects_unscanned(&player.settings);
    player_play(&player, BACK SCANNED);
    player_expect(&player, "second pass", "");
    player_end(&player);
}

static void test_own_reject_texts(void **state)
{
    struct player player;
    (void)state;
    player_begin(&player);
    player.settings.reject_texts =
        (struct reject_texts){.count = 2, .list = {{class_dnsbl, "listed at our.list"}, {class_spam, "access denied"}}};
    player_play(&player,
                OUTSIDE "|mail <a@b>|refuse 5.7.1 <x>: Relay access denied|refuse 5.1.1 Listed at OUR.list, access "
                        "denied|refuse 5.1.8 Sender, listed at our.list|refuse 5.1.1 User unknown|refuse 5.7.1 <listed "
                        "at our.list>: Relay denied");
    player_play(&player, "abort");
    assert_int_equal(atomic_load(&player.tally.totals[SERIES_2(rejects_total, class_spam, reply_5xx)]), 1);
    assert_int_equal(atomic_load(&player.tally.totals[SERIES_2(rejects_total, class_dnsbl, reply_5xx)]), 2);
    assert_int_equal(atomic_load(&player.tally.totals[SERIES_2(rejects_total, class_user_unknown, reply_5xx)]), 1);
    player_end(&player);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_connections), cmocka_unit_test(test_headers),
                                       cmocka_unit_test(test_reinjection), cmocka_unit_test(test_own_reject_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
