/* milter/filter/session.c and message.c: what MAIL and the connection before it say of a message: its source, the null sender, its size. A row a case,
 * of each MTA. */
#include "tests/unit/session_player.h"

struct row {
    const char *connect, *mail;
    enum label_client client;
    enum label_source source;
    bool null_sender;
};

#define POSTFIX  " Postfix 3.7.11"
#define SENDMAIL " 8.17.1.9"

/* Tested in this order: bounce, local, authenticated, internal, external. */
static const struct row rows[] = {
    /* Postfix, not over SMTP: loopback and port 0, the reverse-path without brackets */
    {"127.0.0.1,0" POSTFIX, "alice@example.org", client_local, source_local, false},
    {"127.0.0.2,0" POSTFIX, "alice", client_local, source_local, false},
    {"::1,0" POSTFIX, "alice@example.org", client_local, source_local, false},
    {"127.0.0.1,0" POSTFIX, "", client_local, source_bounce, true},
    {"::1,0" POSTFIX, "", client_local, source_bounce, true},
    {"127.0.0.1,0" POSTFIX, "double-bounce@mx.example.org", client_local, source_bounce, false},
    {"127.0.0.1,0" POSTFIX, "double-bounce", client_local, source_local, false},
    {"127.0.0.1,0" POSTFIX, "x-double-bounce@mx.example.org", client_local, source_local, false},
    {"127.0.0.1,0" POSTFIX, "Double-Bounce@mx.example.org", client_local, source_local, false},
    {"127.0.0.1,0" POSTFIX, "!", client_local, source_bounce, true}, /* no argument at all */
    /* the same address with brackets came over SMTP (XCLIENT, a proxy): as trusted_networks says */
    {"127.0.0.1,0" POSTFIX, "<alice@example.org>", client_local, source_internal, false},
    {"127.0.0.1,0" POSTFIX, "<>", client_local, source_internal, true},
    {"127.0.0.1,0" POSTFIX, "<double-bounce@mx.example.org>", client_local, source_internal, false},
    {"127.0.0.1,0", "alice@example.org", client_local, source_local, false}, /* MTA unknown */
    /* no address: sendmail -bs, a Unix socket */
    {"none" SENDMAIL, "<alice@example.org>", client_local, source_local, false},
    {"none" SENDMAIL, "<>", client_local, source_bounce, true},
    {"none" POSTFIX, "alice@example.org", client_local, source_local, false},
    {"none" POSTFIX, "", client_local, source_bounce, true},
    {"none", "<double-bounce@mx.example.org>", client_local, source_bounce, false},
    {"unix" SENDMAIL, "<alice@example.org>", client_local, source_local, false},
    /* sendmail's own submission is SMTP from loopback */
    {"127.0.0.1,40000" SENDMAIL, "<alice@example.org>", client_local, source_local, false},
    {"::1,40000" SENDMAIL, "<alice@example.org>", client_local, source_local, false},
    {"127.0.0.1,40000" SENDMAIL, "<>", client_local, source_bounce, true},
    {"127.0.0.1,40000" SENDMAIL, "<double-bounce@mx.example.org>", client_local, source_bounce, false},
    {"127.0.0.1,40000" SENDMAIL, "auth PLAIN|<alice@example.org>", client_local, source_local, false},
    /* SMTP from loopback to Postfix, here not trusted */
    {"127.0.0.1,40000" POSTFIX, "<alice@example.org>", client_external, source_external, false},
    {"::1,40000" POSTFIX, "<alice@example.org>", client_external, source_external, false},
    {"127.0.0.1,40000", "<alice@example.org>", client_external, source_external, false},
    /* over SMTP */
    {"192.0.2.1,1025" POSTFIX, "<alice@example.org>", client_external, source_external, false},
    {"192.0.2.1,1025" SENDMAIL, "<alice@example.org>", client_external, source_external, false},
    {"192.0.2.1,0" POSTFIX, "alice@example.org", client_external, source_external, false}, /* not loopback */
    {"192.0.2.1,1025" POSTFIX, "<>", client_external, source_external, true},
    {"192.0.2.1,1025" POSTFIX, "<double-bounce@mx.example.org>", client_external, source_external, false},
    {"10.1.2.3,1025" POSTFIX, "<alice@example.org>", client_internal, source_internal, false},
    {"10.1.2.3,1025" POSTFIX, "<>", client_internal, source_internal, true},
    {"2001:db8::7,1025" POSTFIX, "<alice@example.org>", client_internal, source_internal, false},
    {"2001:db9::7,1025" POSTFIX, "<alice@example.org>", client_external, source_external, false},
    {"::ffff:10.1.2.3,1025" POSTFIX, "<alice@example.org>", client_internal, source_internal, false},
    /* authenticated, before the networks */
    {"192.0.2.1,1025" POSTFIX, "auth PLAIN|<alice@example.org>", client_external, source_authenticated, false},
    {"10.1.2.3,1025" POSTFIX, "auth LOGIN|<>", client_internal, source_authenticated, true},
    {"127.0.0.1,0" POSTFIX, "auth PLAIN|alice@example.org", client_local, source_local, false},
    {"127.0.0.1,0" POSTFIX, "auth PLAIN|<alice@example.org>", client_local, source_authenticated, false},
    /* odd senders */
    {"192.0.2.1,1025" POSTFIX, "< >", client_external, source_external, false},
    {"192.0.2.1,1025" POSTFIX, "<", client_external, source_external, false},
    {"192.0.2.1,1025" POSTFIX, "!", client_external, source_external, true},
    {"192.0.2.1,1025 Exim 4.96", "<alice@example.org>", client_external, source_external, false},
};

/* The line of player_expect for a total. */
static size_t expect(char *expected, unsigned total, uint64_t n)
{
    char text[SERIES_TEXT_MAX];
    catalogue_total_text(total, text);
    return (size_t)sprintf(expected, "%s %llu\n", text + strlen("milterscope_"), (unsigned long long)n);
}

static void play_mail(struct player *player, const char *mail)
{
    char script[256];
    const char *bar = strchr(mail, '|');
    if (bar != NULL)
        snprintf(script, sizeof script, "%.*s|mail %s", (int)(bar - mail), mail, bar + 1);
    else
        snprintf(script, sizeof script, strcmp(mail, "!") == 0 ? "mail%s" : "mail %s", mail);
    player_play(player, script);
}

static void test_sources(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char script[128], title[128], expected[1024], *end = expected;
        struct player player;
        player_begin(&player);
        snprintf(script, sizeof script, "connect %s", rows[i].connect);
        snprintf(title, sizeof title, "row %zu: %s, %s", i, rows[i].connect, rows[i].mail);
        player_play(&player, script);
        play_mail(&player, rows[i].mail);
        player_play(&player, "rcpt|abort|close");
        end += expect(end, SERIES_1(connections_total, rows[i].client), 1);
        end += expect(end, total_session_seconds, 1);
        end += expect(end, SERIES_2(messages_total, rows[i].source, verdict_aborted), 1);
        end += expect(end, SERIES_2(recipients_total, rows[i].source, outcome_accepted), 1);
        if (strncmp(rows[i].mail, "auth ", 5) == 0)
            end += expect(end,
                          SERIES_1(auth_sessions_total,
                                   strstr(rows[i].mail, "PLAIN") != NULL ? mechanism_plain : mechanism_login),
                          1);
        if (rows[i].null_sender)
            expect(end, SERIES_1(null_sender_total, rows[i].source), 1);
        player_expect(&player, title, expected);
        player_end(&player);
    }
}

/* The mechanism is that of one MAIL: the next one begins without it. */
static void test_auth_is_of_one_message(void **state)
{
    struct player player;
    (void)state;
    player_begin(&player);
    player_play(&player, "connect 192.0.2.1,1025 Postfix 3.7.11|auth PLAIN|mail <a@b>|abort|mail <a@b>|abort");
    assert_int_equal(atomic_load(&player.tally.totals[SERIES_2(messages_total, source_authenticated, verdict_aborted)]),
                     1);
    assert_int_equal(atomic_load(&player.tally.totals[SERIES_2(messages_total, source_external, verdict_aborted)]), 1);
    player_end(&player);
}

/* Plays a passed message, and compares the observed size; 0: none. */
static void expect_size(const char *script, bool body, uint64_t size)
{
    struct player player;
    uint64_t observed = 0;
    player_begin(&player);
    player.settings.milter_body = body;
    player_play(&player, "connect 192.0.2.1,1025 Postfix 3.7.11");
    player_play(&player, script);
    const struct bounds *bounds = catalogue[metric_message_bytes].bounds;
    const unsigned width = bounds->count + 2;
    for (unsigned i = 0; i < catalogue[metric_message_bytes].slots; i++) {
        uint64_t counted = atomic_load(&player.tally.totals[total_message_bytes + i]);
        unsigned part = i % width;
        bool mine = i / width == source_external;
        if (part == width - 1) {
            assert_int_equal(counted, mine ? size : 0);
            continue;
        }
        observed += counted;
        bool fits =
            (part == 0 || size > bounds->values[part - 1]) && (part == bounds->count || size <= bounds->values[part]);
        assert_int_equal(counted, mine && size > 0 && fits ? 1 : 0);
    }
    assert_int_equal(observed, size > 0);
    player_end(&player);
}

static void test_declared_sizes(void **state)
{
    static const struct {
        const char *arguments;
        uint64_t size;
    } sizes[] = {
        {"<a@b>", 0},
        {"<a@b> SIZE=1", 1},
        {"<a@b> size=1000", 1000},
        {"<a@b> Size=1001", 1001},
        {"<a@b> BODY=8BITMIME SIZE=5000 SMTPUTF8", 5000},
        {"<a@b> SIZE=0", 0},
        {"<a@b> SIZE=", 0},
        {"<a@b> SIZE", 0},
        {"<a@b> SIZE=x", 0},
        {"<a@b> SIZE=12x", 0},
        {"<a@b> SIZE=-5", 0},
        {"<a@b> SIZE=+5", 0},
        {"<a@b> XSIZE=5", 0},
        {"<a@b> SIZE=00000000000000000007", 7},
        {"<a@b> SIZE=100 SIZE=200", 100},
        {"<a@b> SIZE=x SIZE=200", 0},
        {"SIZE=100", 0}, /* that is the sender */
        {"<SIZE=100> SIZE=3", 3},
        {"<a@b> SIZE=100000001", 100000001},
        {"<a@b> SIZE=1099511627776", UINT64_C(1) << 40},
        {"<a@b> SIZE=1099511627777", 0},
        {"<a@b> SIZE=18446744073709551616", 0},
        {"<a@b> SIZE=18446744073709551617", 0},
        {"<a@b> SIZE=99999999999999999999999999999999999999999999", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char script[256];
        snprintf(script, sizeof script, "mail %s|rcpt|data|header A: b|eom", sizes[i].arguments);
        expect_size(script, false, sizes[i].size);
    }
}

/* With milter.body sizes are counted: headers with ": " and the end of their lines, the empty line, and the body; what was declared is
 * nothing. A folded header comes with LF for each CRLF. */
static void test_counted_sizes(void **state)
{
    (void)state;
    expect_size("mail <a@b> SIZE=5000|rcpt|data|eom", true, 0);
    expect_size("mail <a@b> SIZE=5000|rcpt|data|header A: b|eom", true, 8);
    expect_size("mail <a@b>|rcpt|data|header A: b\n c\n d|eom", true, 16);
    expect_size("mail <a@b>|rcpt|data|header Subject: hello|body 65535|body 0|body 10|eom", true, 16 + 2 + 65545);
    expect_size("mail <a@b>|rcpt|data|body 1000|eom", false, 0);
    expect_size("mail <a@b>|rcpt|data|body 77|abort|mail <a@b>|rcpt|data|body 1|eom", true, 3);
}

/* Sizes are observed of what passed, not of what was only announced. */
static void test_sizes_of_passed_alone(void **state)
{
    (void)state;
    expect_size("mail <a@b> SIZE=5000|rcpt|data|abort", false, 0);
    expect_size("mail <a@b> SIZE=5000|rcpt|data|body 10|mail <a@b>", true, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_auth_is_of_one_message),
        cmocka_unit_test(test_declared_sizes),
        cmocka_unit_test(test_counted_sizes),
        cmocka_unit_test(test_sizes_of_passed_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
