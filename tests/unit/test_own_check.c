/* milter/filter/own_check.c: what is taken for a check of the collector, and what is not. The file of the checks is memory here. */
#include "milter/filter/own_check.c"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/un.h>

#include <cmocka.h> /* last: its fail is not ours */

static struct mta_checks memory;
static struct settings settings = {.mta_listeners = {.count = 1}};

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

static union address address_of(const char *text, uint16_t port)
{
    union address address = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    if (inet_pton(AF_INET6, text, &address.in6.sin6_addr) == 1)
        return address;
    address.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, text, &address.in.sin_addr), 1);
    return address;
}

/* As the collector does it, some time ago. */
static void tell(unsigned place, const char *text, uint16_t port, int64_t ago_ms)
{
    struct network network;
    uint64_t words[2];
    assert_null(network_parse(text, &network));
    memcpy(words, network.address, sizeof words);
    for (int i = 0; i < 2; i++)
        memory.list[place].address[i] = words[i];
    memory.list[place].seen = 0;
    memory.list[place].mark = (uint64_t)(tally_clock_ms() - ago_ms) << 16 | port;
}

static bool is_found(const char *text, uint16_t port)
{
    union address address = address_of(text, port);
    return own_check_find(&address.any).mark != 0;
}

static int begin(void **state)
{
    (void)state;
    memset((void *)&memory, 0, sizeof memory);
    checks = &memory;
    return 0;
}

static void test_found(void **state)
{
    (void)state;
    tell(0, "127.0.0.1", 40000, 0);
    tell(LISTENERS_MAX - 1, "::1", 40001, 0);
    assert_true(is_found("127.0.0.1", 40000));
    assert_true(is_found("::ffff:127.0.0.1", 40000));
    assert_true(is_found("::1", 40001));
    assert_false(is_found("127.0.0.1", 40001));
    assert_false(is_found("127.0.0.2", 40000));
    assert_false(is_found("::1", 40000));
    assert_false(is_found("127.0.0.1", (uint16_t)htons(40000)));
}

/* A check over and over, as long as it is fresh: two filters of one MTA may see it. */
static void test_time(void **state)
{
    (void)state;
    tell(0, "127.0.0.1", 40000, MTA_CHECKS_FRESH_MS - 5000);
    assert_true(is_found("127.0.0.1", 40000) && is_found("127.0.0.1", 40000));
    tell(0, "127.0.0.1", 40000, MTA_CHECKS_FRESH_MS + 1);
    assert_false(is_found("127.0.0.1", 40000));
    tell(0, "127.0.0.1", 40000, -60 * 1000);
    assert_false(is_found("127.0.0.1", 40000));
    memory.list[0].mark = UINT64_MAX << 16 | 40000;
    assert_false(is_found("127.0.0.1", 40000));
    memory.list[0].mark = 40000;
    assert_false(is_found("127.0.0.1", 40000));
}

/* Of whatever stands there, this host's addresses alone. */
static void test_this_host(void **state)
{
    static const char *const others[] = {"192.0.2.1", "2001:db8::1", "126.255.255.255", "128.0.0.1", "::", "::2"};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        tell((unsigned)i, others[i], 40000, 0);
        assert_false(is_found(others[i], 40000));
    }
    tell(0, "127.255.255.254", 40000, 0);
    assert_true(is_found("127.255.255.254", 40000));
    tell(0, "192.0.2.25", 40000, 0); /* a listener */
    assert_true(is_found("192.0.2.25", 40000));
}

/* Postfix gives port 0 with mail that did not come over SMTP, sendmail no address; and there are other families. */
static void test_no_client(void **state)
{
    union address address = {.un = {.sun_family = AF_UNIX}};
    (void)state;
    tell(0, "127.0.0.1", 0, 0);
    tell(1, "::1", 0, 0);
    assert_false(is_found("127.0.0.1", 0) || is_found("::1", 0));
    assert_int_equal(own_check_find(NULL).mark, 0);
    assert_int_equal(own_check_find(&address.any).mark, 0);
    checks = NULL;
    assert_false(is_found("127.0.0.1", 40000));
}

static void test_seen(void **state)
{
    char text[64];
    uint64_t before = own_check_count();
    (void)state;
    tell(3, "127.0.0.1", 40000, 0);
    union address address = address_of("127.0.0.1", 40000);
    struct own_check check = own_check_find(&address.any);
    assert_int_equal(check.place, 3);
    assert_int_equal(memory.list[3].seen, 0);
    own_check_saw(check, "Postfix 3.7.11");
    assert_int_equal(memory.list[3].seen, check.mark);
    assert_string_equal((const char *)(uintptr_t)memory.list[3].version, "Postfix 3.7.11");
    tell(3, "127.0.0.1", 40001, 0); /* another check has begun: that was not seen */
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    own_check_saw(check, text);
    assert_int_not_equal(memory.list[3].seen, atomic_load(&memory.list[3].mark));
    assert_int_equal(strlen((const char *)(uintptr_t)memory.list[3].version), MTA_CHECKS_VERSION_BYTES - 1);
    own_check_saw(check, NULL);
    assert_string_equal((const char *)(uintptr_t)memory.list[3].version, "");
    assert_int_equal(own_check_count() - before, 3);
}

/* Whatever was in the descriptor. */
static void test_open(void **state)
{
    int pair[2], small = memfd_create("small", MFD_CLOEXEC), right = memfd_create("right", MFD_CLOEXEC);
    (void)state;
    checks = NULL;
    own_check_open(-1);
    assert_int_equal(pipe(pair), 0);
    own_check_open(pair[1]);
    assert_int_equal(ftruncate(small, sizeof memory - 1), 0);
    own_check_open(small);
    assert_null(checks);
    assert_int_equal(ftruncate(right, sizeof memory), 0);
    own_check_open(right);
    assert_non_null(checks);
    assert_int_equal(close(pair[0]) | close(pair[1]) | close(small), 0); /* others' descriptors are left alone */
    munmap(checks, sizeof memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_found, begin),     cmocka_unit_test_setup(test_time, begin),
        cmocka_unit_test_setup(test_this_host, begin), cmocka_unit_test_setup(test_no_client, begin),
        cmocka_unit_test_setup(test_seen, begin),      cmocka_unit_test(test_open),
    };
    if (network_parse("192.0.2.25", &settings.mta_listeners.list[0].address) != NULL)
        return 1;
    return current_replace(&settings) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
