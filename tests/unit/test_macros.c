/* milter/filter/macros.c: each word that an MTA gives, and what only looks like one. */
#include "milter/filter/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *text;
    int value;
};
#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static int mta(const char *text)
{
    return (int)macros_mta(text);
}

static int mechanism(const char *text)
{
    return (int)macros_mechanism(text);
}

static void expect(const struct row *rows, size_t count, int (*read)(const char *text))
{
    for (size_t i = 0; i < count; i++) {
        if (read(rows[i].text) != rows[i].value)
            fail_msg("%s is %d, expected %d", rows[i].text, read(rows[i].text), rows[i].value);
    }
}

static void test_words(void **state)
{
    static const struct row mtas[] = {{NULL, mta_other},
                                      {"Postfix 3.7.11", mta_postfix},
                                      {"8.17.1.9", mta_sendmail},
                                      {"", mta_other},
                                      {"Exim 4.96", mta_other}};
    static const struct row resolves[] = {{NULL, -1},
                                          {"", -1},
                                          {"OK", resolve_ok},
                                          {"FORGED", resolve_forged},
                                          {"FAIL", resolve_unknown},
                                          {"TEMP", resolve_tempfail},
                                          {"OKAY", -1}};
    static const struct row versions[] = {{NULL, tls_none},     {"", tls_none},       {"TLSv1", tls_1_0},
                                          {"TLSv1.1", tls_1_1}, {"TLSv1.2", tls_1_2}, {"TLSv1.3", tls_1_3},
                                          {"SSLv3", -1},        {"TLSv1.4", -1},      {"TLSv1.", -1}};
    static const struct row mechanisms[] = {
        {NULL, mechanism_other},
        {"PLAIN", mechanism_plain},
        {"plain", mechanism_plain},
        {"LOGIN", mechanism_login},
        {"CRAM-MD5", mechanism_cram_md5},
        {"SCRAM-SHA-1", mechanism_scram},
        {"SCRAM-SHA-256-PLUS", mechanism_scram},
        {"SCRAM", mechanism_other},
        {"XOAUTH2", mechanism_xoauth2},
        {"OAUTHBEARER", mechanism_other},
        {"EXTERNAL", mechanism_external},
        {"DIGEST-MD5", mechanism_other},
        {"GSSAPI", mechanism_other},
        {"PLAIN ", mechanism_other},
    };
    (void)state;
    expect(mtas, COUNT(mtas), mta);
    expect(resolves, COUNT(resolves), macros_resolve);
    expect(versions, COUNT(versions), macros_tls);
    expect(mechanisms, COUNT(mechanisms), mechanism);
}

static void test_listeners(void **state)
{
    static const struct {
        const char *address, *port;
        bool named;
    } rows[] = {
        {"127.0.0.1", "10025", true},
        {"127.0.0.1", "10026", false},
        {"127.0.0.2", "10025", false},
        {"::1", "25", true},
        {"IPv6:::1", "25", true},
        {"::1", "10025", false},
        {"::ffff:127.0.0.1", "10025", true},
        {"0.0.0.0", "10025", false},
        {NULL, "10025", false},
        {"127.0.0.1", NULL, false},
        {"", "10025", false},
        {"127.0.0.1", "", false},
        {"127.0.0.1", "010025", true},
        {"127.0.0.1", "75561", false}, /* 10025 + 65536 */
        {"127.0.0.1", "10025x", false},
        {"localhost", "10025", false},
        {"127.0.0.1", "18446744073709561641", false},
    };
    struct listeners listeners = {.count = 2};
    (void)state;
    assert_null(network_parse("127.0.0.1", &listeners.list[0].address));
    listeners.list[0].port = 10025;
    assert_null(network_parse("::1", &listeners.list[1].address));
    listeners.list[1].port = 25;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (macros_name_listener(&listeners, rows[i].address, rows[i].port) != rows[i].named)
            fail_msg("row %zu: %s, %s", i, rows[i].address, rows[i].port);
    }
    listeners.count = 0;
    assert_false(macros_name_listener(&listeners, "127.0.0.1", "10025"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_listeners)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
