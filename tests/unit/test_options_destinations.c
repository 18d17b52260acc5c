/* The options collector.destinations: how their values are read and printed, in sections within a section. */
#include "conf/lib/options.h"

#include "tests/unit/options_file.h"

#define EXPECT                                                                                                         \
    "expected domains, names of relays, networks or addresses with a port, such as example.org or 127.0.0.1:10024"

static void test_right(void **state)
{
    static const struct {
        const char *value, *printed, *name;
        int is_network, port;
    } rows[] = {
        {"example.org", "\"example.org\"", "example.org", 0, 0},
        {"Example.ORG", "\"example.org\"", "example.org", 0, 0},
        {".example.org", "\".example.org\"", ".example.org", 0, 0},
        {"hub:24", "\"hub:24\"", "hub", 0, 24},
        {"private/dovecot-lmtp", "\"private/dovecot-lmtp\"", "private/dovecot-lmtp", 0, 0},
        {"/run/a:b", "\"/run/a:b\"", "/run/a:b", 0, 0},
        {"10.0.0.0/8", "\"10.0.0.0/8\"", NULL, 1, 0},
        {"127.0.0.1:65535", "\"127.0.0.1:65535\"", NULL, 1, 65535},
        {"'::1'", "\"::1\"", NULL, 1, 0},
        {"'[::1]:24'", "\"[::1]:24\"", NULL, 1, 24},
        {"'[fd00::]'", "\"[fd00::]\"", NULL, 1, 0},
        {"'2001:db8::/32'", "\"2001:db8::/32\"", NULL, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings settings;
        char text[256], line[256];
        snprintf(text, sizeof text, "mta: {kind: exim}\ncollector: {destinations: {ignore: [%s, last]}}\n",
                 rows[i].value);
        const char *wrong = options_try(text, &settings);
        if (*wrong != '\0')
            fail_msg("%s: %s", rows[i].value, wrong);
        const struct destinations *list = &settings.collector_destinations_ignore;
        assert_int_equal(list->count, 2);
        assert_int_equal(list->list[0].is_network, rows[i].is_network);
        assert_int_equal(list->list[0].port, rows[i].port);
        if (rows[i].name != NULL)
            assert_string_equal(list->list[0].name, rows[i].name);
        assert_int_equal(settings.collector_destinations_local.count + settings.collector_destinations_internal.count,
                         0);
        snprintf(line, sizeof line, "\n  destinations:\n    local: []\n    internal: []\n    ignore: [%s, \"last\"]\n",
                 rows[i].printed);
        const char *all = options_text(&settings);
        if (strstr(all, line) == NULL)
            fail_msg("%s is printed in\n%s", rows[i].value, all);
    }
}

static void test_wrong(void **state)
{
    static const struct {
        const char *value, *said;
    } rows[] = {
        {"127.0.0.1:0", "(the port is not a number from 1 to 65535): " EXPECT},
        {"127.0.0.1:65536", "(the port is not a number from 1 to 65535): " EXPECT},
        {"'127.0.0.1:'", "(the port is not a number from 1 to 65535): " EXPECT},
        {"hub:smtp", "(the port is not a number from 1 to 65535): " EXPECT},
        {"''", "\" is wrong: " EXPECT},
        {"a b", "\" is wrong: " EXPECT},
        {"joe@example.org", "\" is wrong: " EXPECT},
        {"10.0.0.1/8", "\" is wrong (the address has bits set beyond the prefix): " EXPECT},
        {"10.0.0.256", "\" is wrong (not an address): " EXPECT},
        {"'*.example.org'", "stands for all below, as in .example.org): " EXPECT},
        {"'[::1'", "\" is wrong: " EXPECT},
        {"'[]:1'", "\" is wrong: " EXPECT},
        {"'[]'", "\" is wrong: " EXPECT},
        {"\"a\\nb\"", "(holds a control character): " EXPECT},
        {"\"a\\0b\"", "holds a NUL"},
        {"{a: b}", "needs a value: domains"},
        {"[1, 2, 3, 4, 5, 6, 7, 8, 9, a, b, c, d, e, f, g, h]",
         "is wrong (not an address): " EXPECT}, /* numbers are no names */
        {"[a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a]", "(more than 16 of them): " EXPECT},
        {"'123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "901234567890abcdefgh'",
         "(too long): " EXPECT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct settings settings;
        char text[512];
        snprintf(text, sizeof text, "mta: {kind: exim}\ncollector: {destinations: {local: %s}}\n", rows[i].value);
        const char *said = options_try(text, &settings);
        if (strstr(said, rows[i].said) == NULL)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].value, said, rows[i].said);
    }
}

/* What is printed is read again as the same. */
static void test_printed_is_read(void **state)
{
    struct settings settings, again;
    (void)state;
    assert_string_equal(
        options_try("mta: {kind: exim}\ncollector:\n  destinations: {local: a, internal: [b, 10.0.0.0/8]}\n"
                    "  queue_interval: 7\ncollector:\n  destinations:\n    ignore: '[::1]:24'\n",
                    &settings),
        "");
    assert_string_equal(options_try(options_text(&settings), &again), "");
    assert_int_equal(again.collector_queue_interval, 7000000);
    assert_memory_equal(&again.collector_destinations_local, &settings.collector_destinations_local,
                        sizeof(struct destinations));
    assert_memory_equal(&again.collector_destinations_internal, &settings.collector_destinations_internal,
                        sizeof(struct destinations));
    assert_memory_equal(&again.collector_destinations_ignore, &settings.collector_destinations_ignore,
                        sizeof(struct destinations));
    assert_int_equal(again.collector_destinations_internal.count, 2);
    assert_int_equal(again.collector_destinations_ignore.list[0].port, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_right), cmocka_unit_test(test_wrong),
                                       cmocka_unit_test(test_printed_is_read)};
    return cmocka_run_group_tests(tests, options_set_up, options_tear_down);
}
