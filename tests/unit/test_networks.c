/* conf/lib/networks.c: texts of networks, and which addresses are in them. */
#include "conf/lib/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define NO_ADDRESS "not an address"
#define NO_IPV4    "the prefix is not a number from 0 to 32"
#define NO_IPV6    "the prefix is not a number from 0 to 128"
#define HOST_BITS  "the address has bits set beyond the prefix"

static const struct {
    const char *text, *wrong, *printed; /* printed NULL: as it was given */
} texts[] = {
    {"10.0.0.0/8", NULL, NULL},
    {"0.0.0.0/0", NULL, NULL},
    {"128.0.0.0/1", NULL, NULL},
    {"192.0.2.1", NULL, NULL},
    {"192.0.2.1/32", NULL, "192.0.2.1"},
    {"192.0.2.254/31", NULL, NULL},
    {"255.255.255.255", NULL, NULL},
    {"10.0.0.0/08", NULL, "10.0.0.0/8"},
    {"::/0", NULL, NULL},
    {"::", NULL, NULL},
    {"::1", NULL, NULL},
    {"::1/128", NULL, "::1"},
    {"fe80::/10", NULL, NULL},
    {"2001:DB8:0:0::/32", NULL, "2001:db8::/32"},
    {"2001:db8::8000:0/97", NULL, NULL},
    {"::ffff:10.0.0.0/104", NULL, "10.0.0.0/8"},
    {"::ffff:192.0.2.1", NULL, "192.0.2.1"},
    {"::ffff:0:0/96", NULL, "0.0.0.0/0"},
    {"::fffe:0:0/95", NULL, NULL},
    {"", NO_ADDRESS, NULL},
    {"/", NO_ADDRESS, NULL},
    {"/8", NO_ADDRESS, NULL},
    {"10", NO_ADDRESS, NULL},
    {"10/8", NO_ADDRESS, NULL},
    {"10.0.0", NO_ADDRESS, NULL},
    {"10.0.0.256", NO_ADDRESS, NULL},
    {"10.0.0.0.0", NO_ADDRESS, NULL},
    {"010.0.0.0", NO_ADDRESS, NULL},
    {" 10.0.0.0", NO_ADDRESS, NULL},
    {"10.0.0.0 ", NO_ADDRESS, NULL},
    {"localhost", NO_ADDRESS, NULL},
    {"::1::", NO_ADDRESS, NULL},
    {":::", NO_ADDRESS, NULL},
    {"[::1]", NO_ADDRESS, NULL},
    {"fe80::1%lo", NO_ADDRESS, NULL},
    {"12345::", NO_ADDRESS, NULL},
    {"0000:0000:0000:0000:0000:ffff:255.255.255.255", NULL, "255.255.255.255"},
    {"00000:0000:0000:0000:0000:ffff:255.255.255.255", NO_ADDRESS, NULL},
    {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8", NO_ADDRESS, NULL},
    {"10.0.0.0/", NO_IPV4, NULL},
    {"10.0.0.0/33", NO_IPV4, NULL},
    {"10.0.0.0/-1", NO_IPV4, NULL},
    {"10.0.0.0/+8", NO_IPV4, NULL},
    {"10.0.0.0/ 8", NO_IPV4, NULL},
    {"10.0.0.0/8 ", NO_IPV4, NULL},
    {"10.0.0.0/8/8", NO_IPV4, NULL},
    {"10.0.0.0/0008", NO_IPV4, NULL},
    {"10.0.0.0/255.0.0.0", NO_IPV4, NULL},
    {"::/129", NO_IPV6, NULL},
    {"::/256", NO_IPV6, NULL},
    {"::/x", NO_IPV6, NULL},
    {"10.0.0.1/8", HOST_BITS, NULL},
    {"10.0.0.1/31", HOST_BITS, NULL},
    {"10.128.0.0/8", HOST_BITS, NULL},
    {"0.0.0.1/0", HOST_BITS, NULL},
    {"::1/127", HOST_BITS, NULL},
    {"::1/0", HOST_BITS, NULL},
    {"::ffff:0:0/95", HOST_BITS, NULL},
    {"fe80::/8", HOST_BITS, NULL},
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct network network, again;
        char text[64];
        const char *wrong = network_parse(texts[i].text, &network);
        if (wrong != texts[i].wrong && (wrong == NULL || texts[i].wrong == NULL || strcmp(wrong, texts[i].wrong) != 0))
            fail_msg("%s: %s", texts[i].text, wrong == NULL ? "is taken" : wrong);
        if (wrong != NULL)
            continue;
        network_text(&network, text);
        assert_string_equal(text, texts[i].printed != NULL ? texts[i].printed : texts[i].text);
        assert_null(network_parse(text, &again));
        assert_memory_equal(&network, &again, sizeof network);
    }
}

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage storage;
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&storage;
    memset(&storage, 0xa5, sizeof storage);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1)
        in->sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1)
        in6->sin6_family = AF_INET6;
    else
        fail_msg("%s is no address", text);
    return storage;
}

static void test_contain(void **state)
{
    static const struct {
        const char *networks[3], *address;
        bool contained;
    } rows[] = {
        {{NULL}, "10.0.0.1", false},
        {{"10.0.0.0/8"}, "10.0.0.0", true},
        {{"10.0.0.0/8"}, "10.255.255.255", true},
        {{"10.0.0.0/8"}, "11.0.0.0", false},
        {{"10.0.0.0/8"}, "9.255.255.255", false},
        {{"10.0.0.0/8"}, "::ffff:10.1.2.3", true},
        {{"10.0.0.0/8"}, "::ffff:11.1.2.3", false},
        {{"10.0.0.0/8"}, "::10.1.2.3", false},
        {{"::ffff:10.0.0.0/104"}, "10.1.2.3", true},
        {{"192.0.2.1"}, "192.0.2.1", true},
        {{"192.0.2.1"}, "192.0.2.0", false},
        {{"192.0.2.2/31"}, "192.0.2.3", true},
        {{"192.0.2.2/31"}, "192.0.2.4", false},
        {{"192.0.2.128/25"}, "192.0.2.127", false},
        {{"192.0.2.128/25"}, "192.0.2.128", true},
        {{"128.0.0.0/1"}, "127.255.255.255", false},
        {{"128.0.0.0/1"}, "128.0.0.0", true},
        {{"0.0.0.0/0"}, "255.255.255.255", true},
        {{"0.0.0.0/0"}, "::ffff:255.255.255.255", true},
        {{"0.0.0.0/0"}, "::1", false},
        {{"0.0.0.0/0"}, "2001:db8::1", false},
        {{"::/0"}, "2001:db8::1", true},
        {{"::/0"}, "ffff:ffff::", true},
        {{"::/0"}, "::1", true},
        {{"::1"}, "::1", true},
        {{"::1"}, "::", false},
        {{"::1"}, "127.0.0.1", false},
        {{"2001:db8::/33"}, "2001:db8:7fff::1", true},
        {{"2001:db8::/33"}, "2001:db8:8000::1", false},
        {{"fe80::/10"}, "febf:ffff::1", true},
        {{"fe80::/10"}, "fec0::1", false},
        {{"10.0.0.0/8", "::1", "192.0.2.0/24"}, "192.0.2.77", true},
        {{"10.0.0.0/8", "::1", "192.0.2.0/24"}, "::1", true},
        {{"10.0.0.0/8", "::1", "192.0.2.0/24"}, "192.0.3.77", false},
        /* IPv4 is not in a network of IPv6, though it is kept as one */
        {{"::/0"}, "192.0.2.1", false},
        {{"::/0"}, "::ffff:192.0.2.1", false},
        {{"::/64"}, "192.0.2.1", false},
        {{"::/80"}, "192.0.2.1", false},
        {{"::/0", "192.0.2.0/24"}, "192.0.2.1", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct networks networks = {.count = 0};
        while (networks.count < 3 && rows[i].networks[networks.count] != NULL) {
            assert_null(network_parse(rows[i].networks[networks.count], &networks.list[networks.count]));
            networks.count++;
        }
        struct sockaddr_storage address = address_of(rows[i].address);
        if (networks_contain(&networks, (const struct sockaddr *)&address) != rows[i].contained)
            fail_msg("row %zu: %s, %s", i, rows[i].networks[0], rows[i].address);
    }
}

/* Families without networks; a list as long as it can be; a count that is too large to be true. */
static void test_edges(void **state)
{
    static struct networks networks;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct sockaddr_storage last = address_of("10.1.255.1"), other = address_of("10.2.0.1");
    (void)state;
    for (uint32_t i = 0; i < NETWORKS_MAX; i++) {
        networks.list[i] = (struct network){.prefix = 128, .address = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1}};
        networks.list[i].address[14] = (uint8_t)i;
        networks.list[i].address[15] = 1;
    }
    networks.count = NETWORKS_MAX;
    assert_true(networks_contain(&networks, (const struct sockaddr *)&last));
    assert_false(networks_contain(&networks, (const struct sockaddr *)&other));
    networks.count = UINT32_MAX;
    assert_false(networks_contain(&networks, (const struct sockaddr *)&other));
    assert_null(network_parse("::/0", &networks.list[0]));
    assert_null(network_parse("0.0.0.0/0", &networks.list[1]));
    assert_false(networks_contain(&networks, (const struct sockaddr *)&un));
    assert_false(networks_contain(&networks, &none));
}

/* All prefixes: the network of an address contains it, and not the address with the last bit of the prefix turned. */
static void test_every_prefix(void **state)
{
    (void)state;
    for (unsigned prefix = 0; prefix <= 128; prefix++) {
        struct networks networks = {.count = 1};
        struct sockaddr_in6 address = {.sin6_family = AF_INET6};
        memset(&address.sin6_addr, 0xff, 16);
        networks.list[0].prefix = (uint8_t)prefix;
        for (unsigned bit = 0; bit < prefix; bit++)
            networks.list[0].address[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        assert_true(networks_contain(&networks, (const struct sockaddr *)&address));
        if (prefix == 0)
            continue;
        address.sin6_addr.s6_addr[(prefix - 1) / 8] ^= (uint8_t)(0x80 >> (prefix - 1) % 8);
        assert_false(networks_contain(&networks, (const struct sockaddr *)&address));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_contain),
                                       cmocka_unit_test(test_edges), cmocka_unit_test(test_every_prefix)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
