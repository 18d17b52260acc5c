/* conf/lib/member.c: addresses and names as they are counted and shown. */
#include "conf/lib/member.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef void make_function(const char *text, size_t length, struct member *member);

static void expect(make_function *make, const char *text, const char *expected)
{
    struct member member;
    make(text, strlen(text), &member);
    assert_string_equal(member.length > 0 ? member.text : "", expected);
    assert_int_equal(member.length, strlen(expected));
    assert_true(member.length == 0 || top_is_member(member.text, member.length));
}

static void expect_client(uint8_t family, const char *address, const char *expected)
{
    uint8_t bytes[16] = {0};
    struct member member;
    if (family != 0)
        assert_int_equal(inet_pton(family == 4 ? AF_INET : AF_INET6, address, bytes), 1);
    member_client(family, bytes, &member);
    assert_string_equal(member.length > 0 ? member.text : "", expected);
}

static void test_clients(void **state)
{
    (void)state;
    member_prepare(false);
    expect_client(4, "192.0.2.129", "192.0.2.129");
    expect_client(6, "2001:db8:1:2::3", "2001:db8:1:2::3");
    expect_client(6, "::ffff:192.0.2.1", "192.0.2.1");
    expect_client(0, "", "");
    expect_client(5, "::1", "");
    member_prepare(true);
    expect_client(4, "192.0.2.129", "192.0.2.0/24");
    expect_client(6, "2001:db8:1:2::3", "2001:db8:1::/48");
    expect_client(6, "::ffff:192.0.2.1", "192.0.2.0/24");
    expect_client(6, "::1", "::/48");
}

static const struct {
    const char *mailbox, *domain;
} domains[] = {
    {"@example.org", "example.org"},
    {"user@Example.ORG", "example.org"},
    {"user@a.b.c.example.co.uk", "example.co.uk"},
    {"@mail.example.com.", "example.com"},
    {"@co.uk", "co.uk"}, /* a suffix itself */
    {"@localhost", "localhost"},
    {"@a.b.unknown-suffix", "b.unknown-suffix"},
    {"@me.github.io", "me.github.io"},
    {"\"a@b\"@example.org", "example.org"},
    {"@xn--bcher-kva.example.de", "example.de"},
    {"@b\xc3\xbc"
     "cher.de",
     "b\xc3\xbc"
     "cher.de"},
    {"@[192.0.2.1]", "[192.0.2.1]"},
    {"@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
    {"@192.0.2.1", "192.0.2.1"},
    {"<>", "<>"},
    {"@", ""},
    {"@...", ""},
    {"user", ""},
    {"", ""},
    {"@a\r\nb\x7f\xff.example.org", "example.org"},
    {"@\xff\r", "??"},
};

static void test_domains(void **state)
{
    (void)state;
    assert_true(member_prepare(false));
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++)
        expect(member_domain, domains[i].mailbox, domains[i].domain);
    assert_true(member_prepare(true));
    expect(member_domain, "@[192.0.2.1]", "192.0.2.0/24");
    expect(member_domain, "@192.0.2.1", "192.0.2.0/24");
    expect(member_domain, "@[IPv6:2001:db8::1]", "2001:db8::/48");
    expect(member_domain, "@mail.example.org", "example.org");
}

static void test_names(void **state)
{
    char text[2 * TOP_MEMBER_MAX];
    struct member member;
    (void)state;
    member_prepare(false);
    expect(member_helo, "MAIL.Example.org", "mail.example.org");
    expect(member_helo, "[192.0.2.1]", "[192.0.2.1]");
    expect(member_helo,
           "a\tb\x01"
           "c\xc2\x85"
           "d\xed\xa0\x80"
           "e\xc0\xaf\xf5\xe2\x82",
           "a?b?c??d???e????"
           "?");
    expect(member_name, "J\xc3\xb6rg@Example.org", "j\xc3\xb6rg@example.org");
    expect(member_name, "", "");
    memset(text, 'x', sizeof text);
    member_name(text, sizeof text, &member);
    assert_int_equal(member.length, TOP_MEMBER_MAX);
    memcpy(text + TOP_MEMBER_MAX - 1, "\xc3\xb6", 2);
    member_name(text, TOP_MEMBER_MAX + 1, &member); /* no half characters */
    assert_true(top_is_member(member.text, member.length));
    member_prepare(true);
    expect(member_helo, "[192.0.2.1]", "192.0.2.0/24");
    expect(member_helo, "192.0.2.77", "192.0.2.0/24");
    expect(member_helo, "[IPv6:2001:db8:1:2::3]", "2001:db8:1::/48");
    expect(member_helo, "2001:db8:1:2::3", "2001:db8:1::/48");
    expect(member_helo, "[300.0.2.1]", "[300.0.2.1]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clients), cmocka_unit_test(test_domains),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
