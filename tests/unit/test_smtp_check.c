/* exporter/collect/smtp_check.c and smtp_tls.c: servers that greet, and those that do anything else. Where a check is to be bounded by its
 * deadlines these are short; where it is to be quick whatever they are, they are long. (A real TLS: test_mta_checks.py.) */
#include "exporter/collect/smtp_check.h"

#include "conf/lib/snapshot.h"
#include "exporter/collect/smtp_wait.h"
#include "tests/unit/smtp_script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SHORT_MS = 300, LONG_MS = 60 * 1000, SOON_MS = 15 * 1000 };

static struct smtp_seen seen;

static struct smtp_check check_of(uint16_t port, int64_t greeting_ms, int64_t rest_ms)
{
    return (struct smtp_check){.address = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
                               .port = port,
                               .greeting_ms = greeting_ms,
                               .rest_ms = rest_ms,
                               .told = -1};
}

/* Was all of the script played? The check takes `SOON_MS` at most. */
static bool play(const struct script *script, int64_t greeting_ms, int64_t rest_ms)
{
    struct script_server server;
    assert_true(script_listen(&server));
    assert_true(script_begin(&server, script));
    struct smtp_check check = check_of(server.port, greeting_ms, rest_ms);
    int64_t begun_ms = clock_ms();
    smtp_check_run(&check, &seen);
    assert_true(clock_ms() - begun_ms < SOON_MS);
    bool played = script_end(&server);
    close(server.listener);
    assert_true(seen.tried);
    assert_int_equal(seen.attached, GAUGE_ABSENT);
    return played;
}

/* ---- servers that greet ---- */

static const struct script good = {{{.say = "220 mx.example.test ESMTP Postfix\r\n"},
                                    {.hear = "EHLO [127.0.0.1]\r\n", .say = "250-mx.example.test\r\n250 SIZE 100\r\n"},
                                    {.hear = "QUIT\r\n", .say = "221 2.0.0 Bye\r\n"}},
                                   false};

static void test_good(void **state)
{
    (void)state;
    assert_true(play(&good, LONG_MS, LONG_MS));
    assert_true(seen.up);
    assert_int_equal(seen.expiry_us, GAUGE_ABSENT);
    assert_string_equal(seen.greeting, "mx.example.test ESMTP Postfix");
}

static const struct script several_lines = {{{.say = "220-mx.example.test\r\n"},
                                             {.pause_ms = 50, .say = "220-no spam\n220"},
                                             {.pause_ms = 50, .say = " at last\r\n"},
                                             {.hear = "EHLO", .say = "502 5.5.2 what?\r\n"},
                                             {.hear = "QUIT\r\n", .say = "221\r\n"}},
                                            false};

static void test_several_lines(void **state)
{
    (void)state;
    assert_true(play(&several_lines, LONG_MS, LONG_MS));
    assert_true(seen.up);
    assert_string_equal(seen.greeting, "at last");
}

static const struct script no_tls = {{{.say = "220 here\r\n"},
                                      {.hear = "EHLO", .say = "250-here\r\n250-StartTLS\r\n250 HELP\r\n"},
                                      {.hear = "STARTTLS\r\n", .say = "454 4.7.0 not now\r\n"},
                                      {.hear = "QUIT\r\n", .say = "221 bye\r\n"}},
                                     false};

static void test_tls_is_refused(void **state)
{
    (void)state;
    assert_true(play(&no_tls, LONG_MS, LONG_MS));
    assert_true(seen.up);
    assert_int_equal(seen.expiry_us, GAUGE_ABSENT);
}

#define OFFERS_TLS                                                                                                     \
    {.say = "220 here\r\n"},                                                                                           \
    {                                                                                                                  \
        .hear = "EHLO", .say = "250-here\r\n250 STARTTLS\r\n"                                                          \
    }

/* Greeted is greeted, whatever comes behind it. */
static const struct {
    const char *name;
    struct script script;
    bool is_slow; /* it is the deadline that ends it */
} behind_greeting[] = {
    {"silence at EHLO", {{{.say = "220 here\r\n"}}, true}, true},
    {"gone at EHLO", {{{.say = "220 here\r\n"}}, false}, false},
    {"an endless answer",
     {{{.say = "220 here\r\n"}, {.hear = "EHLO", .say = "250-x\r\n", .times = SCRIPT_ENDLESS}}, true},
     false},
    {"a slow answer",
     {{{.say = "220 here\r\n"}, {.hear = "EHLO", .pause_ms = 20, .say = "2", .times = SCRIPT_ENDLESS}}, true},
     true},
    {"silence in TLS", {{OFFERS_TLS, {.hear = "STARTTLS", .say = "220 go\r\n"}}, true}, true},
    {"gone in TLS", {{OFFERS_TLS, {.hear = "STARTTLS", .say = "220 go\r\n"}}, false}, false},
    {"no TLS in TLS",
     {{OFFERS_TLS, {.hear = "STARTTLS", .say = "220 go\r\n"}, {.pause_ms = 50, .say = "500 what?\r\n"}}, true},
     false},
    {"half a record in TLS",
     {{OFFERS_TLS, {.hear = "STARTTLS", .say = "220 go\r\n"}, {.pause_ms = 50, .say = "\x16\x03\x03\x40", .bytes = 4}},
      true},
     true},
    {"endless bytes in TLS",
     {{OFFERS_TLS,
       {.hear = "STARTTLS", .say = "220 go\r\n"},
       {.pause_ms = 50, .say = "\x15\x03\x03\0\2\1\0", .bytes = 7},
       {.say = "\x15\x03\x03\0\2\1\0", .bytes = 7, .times = SCRIPT_ENDLESS}},
      true},
     true},
    {"more than the answer to STARTTLS",
     {{OFFERS_TLS, {.hear = "STARTTLS", .say = "220 go\r\n250 and\r\n"}}, true},
     false},
    {"silence at QUIT", {{{.say = "220 here\r\n"}, {.hear = "EHLO", .say = "250 here\r\n"}}, true}, true},
};

static void test_behind_greeting(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof behind_greeting / sizeof behind_greeting[0]; i++) {
        print_message("           %s\n", behind_greeting[i].name);
        play(&behind_greeting[i].script, LONG_MS, behind_greeting[i].is_slow ? SHORT_MS : LONG_MS);
        assert_true(seen.up);
        assert_int_equal(seen.expiry_us, GAUGE_ABSENT);
    }
}

/* ---- servers that do not ---- */

static const struct {
    const char *why;
    struct script script;
    bool is_slow;
} bad[] = {
    {"silence", {{{.say = NULL}}, true}, true},
    {"it hangs up", {{{.say = NULL}}, false}, false},
    {"it hangs up", {{{.say = "220-here\r\n"}}, false}, false},
    {"the reply does not end in time", {{{.say = "220 her"}}, true}, true},
    {"the reply does not end in time", {{{.say = "220-here\r\n"}}, true}, true},
    {"the reply does not end in time",
     {{{.say = "2"}, {.pause_ms = 20, .say = "2", .times = SCRIPT_ENDLESS}}, true},
     true},
    {"silence", {{{.pause_ms = 2 * SHORT_MS, .say = "220 late\r\n"}}, true}, true},
    {"it greets with 421 too busy", {{{.say = "421 too busy\r\n"}}, false}, false},
    {"it greets with 554 go away",
     {{{.say = "554-no\r\n554 go away\r\n"}, {.hear = "QUIT\r\n", .say = "221 bye\r\n"}}, false},
     false},
    {"it greets with 250 here", {{{.say = "250 here\r\n"}, {.hear = "QUIT", .say = "221 bye\r\n"}}, false}, false},
    {"this is not SMTP", {{{.say = "SSH-2.0-OpenSSH_9.2\r\n"}}, true}, false},
    {"this is not SMTP", {{{.say = "\r\n"}}, true}, false},
    {"this is not SMTP", {{{.say = "22x here\r\n"}}, true}, false},
    {"this is not SMTP", {{{.say = "2200 here\r\n"}}, true}, false},
    {"this is not SMTP", {{{.say = "220-here\r\n554 no\r\n"}}, true}, false},
    {"this is not SMTP", {{{.say = "220 he\0re\r\n", .bytes = 11}}, true}, false},
    {"this is not SMTP", {{{.say = "220 here\r\n250 and more\r\n"}}, true}, false},
    {"this is not SMTP", {{{.say = "\0\0\0\0\0\0\0", .bytes = 7, .times = SCRIPT_ENDLESS}}, true}, false},
    {"this is not SMTP", {{{.say = "220 "}, {.say = "xxxxxxxx", .times = SCRIPT_ENDLESS}}, true}, false},
    {"this is not SMTP", {{{.say = "220-here\r\n", .times = SCRIPT_ENDLESS}}, true}, false},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        print_message("           %zu: %s\n", i, bad[i].why);
        play(&bad[i].script, bad[i].is_slow ? SHORT_MS : LONG_MS, LONG_MS);
        assert_false(seen.up);
        assert_int_equal(seen.expiry_us, GAUGE_ABSENT);
        assert_string_equal(seen.greeting, "");
        assert_string_equal(seen.why, bad[i].why);
    }
}

/* A port where nobody listens, and one whose backlog is full, which does not even refuse. */
static void test_nobody(void **state)
{
    struct script_server server;
    (void)state;
    assert_true(script_listen(&server));
    struct smtp_check check = check_of(server.port, SHORT_MS, SHORT_MS);
    struct sockaddr_in address = {AF_INET, htons(server.port), {htonl(INADDR_LOOPBACK)}, ""};
    int waiting[4];
    for (int i = 0; i < 4; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(waiting[i], (struct sockaddr *)&address, sizeof address);
    }
    smtp_check_run(&check, &seen);
    assert_false(seen.up);
    assert_string_equal(seen.why, "connect: Connection timed out");
    for (int i = 0; i < 4; i++)
        close(waiting[i]);
    close(server.listener);
    smtp_check_run(&check, &seen);
    assert_true(seen.tried && !seen.up);
    assert_string_equal(seen.why, "connect: Connection refused");
}

/* Any address is the loopback one. */
static void test_any_address(void **state)
{
    struct script_server server;
    (void)state;
    assert_true(script_listen(&server));
    assert_true(script_begin(&server, &good));
    struct smtp_check check = check_of(server.port, LONG_MS, LONG_MS);
    check.address[12] = check.address[15] = 0;
    smtp_check_run(&check, &seen);
    assert_true(script_end(&server) && seen.up);
    close(server.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_several_lines),
        cmocka_unit_test(test_tls_is_refused),
        cmocka_unit_test(test_behind_greeting),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_any_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
