/* milter/filter/by_domain.c and mailbox.c: which of the operator's own domains a message is counted for, and how. */
#include "tests/unit/session_player.h"

#include "milter/filter/mailbox.h"

#define BEGIN  "connect 192.0.2.1,1025 Postfix 3.7.11|mail <a@b>"
#define LOST   "|rcpt|data|close"
#define PASSED "|rcpt|data|eom|close"

#define MESSAGE(place, verdict)       "domain_messages_total{domain='#" place "',verdict='" verdict "'} 1\n"
#define RECIPIENTS(place, outcome, n) "domain_recipients_total{domain='#" place "',outcome='" outcome "'} " #n "\n"
#define ONE_OF_EXAMPLE                MESSAGE("05", "lost") RECIPIENTS("05", "accepted", 1)
#define ONE_OF_IDN                    MESSAGE("77", "lost") RECIPIENTS("77", "accepted", 1)

/* The places are not in the order of the configuration; one domain has none. */
static void configure(struct own_domains *domains)
{
    static const struct {
        const char *name, *utf8;
        int32_t place;
    } own[] = {{"example.org", "", 5},
               {"xn--mnchen-3ya.example", "m\xc3\xbcnchen.example", 63},
               {"without.example", "", -1},
               {"sub.example.org", "", 0}};
    memset(domains, 0, sizeof *domains);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        assert_null(own_domains_add(domains, own[i].name, own[i].utf8));
        domains->list[i].place = own[i].place;
    }
}

/* Compares what was counted of domains, and nothing else. */
static void expect(const char *script, const char *expected)
{
    struct player player;
    player_begin(&player);
    configure(&player.settings.domains);
    player_play(&player, script);
    for (unsigned i = 0; i < total_COUNT; i++) {
        if (!catalogue_has_domain(catalogue_total_metric(i)))
            atomic_store(&player.tally.totals[i], 0);
    }
    player_expect(&player, script, expected);
    player_end(&player);
}

static void test_paths(void **state)
{
    static const struct {
        const char *path, *expected;
    } rows[] = {
        {"<user@example.org>", ONE_OF_EXAMPLE},
        {"user@example.org", ONE_OF_EXAMPLE},
        {"<USER@Example.ORG>", ONE_OF_EXAMPLE},
        {"<user@example.org.>", ONE_OF_EXAMPLE},
        {"<@relay.example:user@example.org>", ONE_OF_EXAMPLE},
        {"<@a,@b:user@example.org>", ONE_OF_EXAMPLE},
        {"<\"a@other.example\"@example.org>", ONE_OF_EXAMPLE},
        {"<\"a>b\"@example.org>", ONE_OF_EXAMPLE},
        {"<@example.org>", ONE_OF_EXAMPLE},
        {"<user@m\xc3\xbcnchen.example>", ONE_OF_IDN},
        {"<user@xn--mnchen-3ya.EXAMPLE>", ONE_OF_IDN},
        {"<user@sub.example.org>", MESSAGE("00", "lost") RECIPIENTS("00", "accepted", 1)},
        {"<user@other.example.org>", ""},
        {"<user@without.example>", ""},
        {"<user@org>", ""},
        {"<user@>", ""},
        {"<user>", ""},
        {"<\"user@example.org\">", ""},
        {"<user@example.org@other.example>", ""},
        {"<user%example.org>", ""},
        {"<user@[example.org]>", ""},
        {"<>", ""},
        {"<", ""},
        {">", ""},
        {"@", ""},
        {"none", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char script[256];
        snprintf(script, sizeof script, BEGIN "|to %s" LOST, rows[i].path);
        expect(script, rows[i].expected);
    }
}

static void test_messages(void **state)
{
    (void)state;
    expect(BEGIN PASSED, MESSAGE("05", "passed") RECIPIENTS("05", "accepted", 1));
    expect(BEGIN "|abort|close", "");
    expect(BEGIN "|rcpt|abort|close", MESSAGE("05", "aborted") RECIPIENTS("05", "accepted", 1));
    expect(BEGIN "|refuse 5.1.1 <x>: no|abort|close", MESSAGE("05", "rejected") RECIPIENTS("05", "refused", 1));
    /* refused recipients count, too; and each message for itself */
    expect(BEGIN "|rcpt|rcpt|refuse 5.1.1 <x>: no|to <u@sub.example.org>|refuse 5.1.1 <x>: no|to <u@x>" PASSED,
           MESSAGE("05", "passed") RECIPIENTS("05", "accepted", 2) RECIPIENTS("05", "refused", 1)
               MESSAGE("00", "passed") RECIPIENTS("00", "refused", 1));
    expect(BEGIN "|rcpt|data|eom|mail <a@b>|to <u@sub.example.org>|rcpt|data|close",
           MESSAGE("05", "passed") RECIPIENTS("05", "accepted", 1) MESSAGE("00", "lost")
               RECIPIENTS("00", "accepted", 1));
    expect("connect 192.0.2.1,1025 Postfix 3.7.11|rcpt|close", ""); /* without MAIL */
}

/* What was counted before is not counted again. */
static void test_second_pass(void **state)
{
    struct player player;
    (void)state;
    player_begin(&player);
    configure(&player.settings.domains);
    assert_null(network_parse("127.0.0.1", &player.settings.milter_reinjection.list[0].address));
    player.settings.milter_reinjection.list[0].port = 10025;
    player.settings.milter_reinjection.count = 1;
    player_play(&player, "listener 127.0.0.1|" BEGIN PASSED);
    for (unsigned i = 0; i < total_COUNT; i++)
        assert_true(!catalogue_has_domain(catalogue_total_metric(i)) || atomic_load(&player.tally.totals[i]) == 0);
    player_end(&player);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_second_pass)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
