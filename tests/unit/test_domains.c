/* conf/lib/domains.c: names, places, and the texts of series with them. */
#include "conf/lib/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LABEL_62 "abcdefghijklmnopqrstuvwxyz0123456789-_abcdefghijklmnopqrstuvwx"
#define LABEL_63 LABEL_62 "y"

static const char *const names[] = {"example.org", "localhost", "a",    "xn--mnchen-3ya.example",
                                    "1.example",   "a-b.c_d",   "_x.y", LABEL_63 "." LABEL_62 ".a",
                                    "1a"};
static const char *const no_names[] = {"",
                                       ".",
                                       ".a",
                                       "a.",
                                       "a..b",
                                       "Example.org",
                                       "m\xc3\xbcnchen.example",
                                       "a b",
                                       "a\"b",
                                       "a\\b",
                                       "a\nb",
                                       "-a.b",
                                       "a-.b",
                                       "a.-b",
                                       "192.0.2.1",
                                       "[192.0.2.1]",
                                       "7",
                                       "a@b",
                                       "#00",
                                       "a{b}",
                                       "x" LABEL_63 ".a",
                                       LABEL_63 "." LABEL_63 ".a"};
enum { NAMES = sizeof names / sizeof names[0], NO_NAMES = sizeof no_names / sizeof no_names[0] };

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < NAMES; i++)
        assert_true(domains_is_name(names[i], strlen(names[i])));
    for (int i = 0; i < NO_NAMES; i++)
        assert_false(domains_is_name(no_names[i], strlen(no_names[i])));
    assert_false(domains_is_name("a\0b", 3));
    assert_int_equal(strlen(LABEL_63 "." LABEL_62 ".a"), DOMAIN_MAX);
    assert_true(domains_is_name("ab", 1));
}

static void test_places(void **state)
{
    struct domains domains = {.shown = 0};
    char name[DOMAIN_BYTES];
    (void)state;
    assert_int_equal(domains_find(&domains, "example.org", 11), -1);
    assert_int_equal(domains_find(&domains, "\0\0", 2), -1); /* a free place is nobody's */
    assert_int_equal(domains_find(&domains, "", 0), -1);
    for (int i = 0; i < NO_NAMES; i++)
        assert_int_equal(domains_add(&domains, no_names[i], strlen(no_names[i])), -1);
    for (int i = 0; i < DOMAINS_MAX; i++) {
        int length = snprintf(name, sizeof name, "d%d", i);
        assert_int_equal(domains_add(&domains, name, (size_t)length), i);
        assert_int_equal(domains_add(&domains, name, (size_t)length), i);
    }
    assert_int_equal(domains_add(&domains, "one.more", 8), -1);
    assert_int_equal(domains_find(&domains, "d63", 3), 63);
    assert_int_equal(domains_find(&domains, "d63", 2), 6);
    assert_int_equal(domains_find(&domains, "d6\0", 3), -1);
}

/* Every total has a text with the names in it, by which it is found again; where there is no name there is none. */
static void test_texts(void **state)
{
    struct domains domains = {.shown = 0};
    char text[SERIES_TEXT_MAX] = "";
    (void)state;
    for (unsigned place = 1; place < DOMAINS_MAX; place++)
        assert_int_equal(snprintf(domains.names[place], DOMAIN_BYTES, "%02u%.61s." LABEL_62 ".a", place, LABEL_63),
                         DOMAIN_MAX);
    for (unsigned i = 0; i < total_COUNT; i++) {
        const struct metric *metric = catalogue_total_metric(i);
        size_t length = domains_series(&domains, metric, i - metric->first, text);
        if (domains_place(i) == 0) {
            assert_int_equal(length, 0);
            continue;
        }
        assert_int_equal(length, strlen(text));
        assert_int_equal(domains_find_total(&domains, text, length), i);
        assert_int_equal(domains_has_total(text, length), domains_place(i) > 0);
        assert_int_equal(domains_find_total(&domains, text, length - 1), -1);
    }
    const char one[] = "milterscope_domain_recipients_total{domain=\"example.org\",outcome=\"refused\"}";
    assert_int_equal(domains_find_total(&domains, one, strlen(one)), -1);
    assert_true(domains_has_total(one, strlen(one)));
    assert_int_equal(domains_take_total(&domains, one, strlen(one)),
                     SERIES_2(domain_recipients_total, 0, outcome_refused));
    assert_string_equal(domains.names[0], "example.org");
}

/* What is no series of ours takes no place. */
static void test_foreign_texts(void **state)
{
    static const char *const texts[] = {
        "milterscope_domain_recipients_total{domain=\"#00\",outcome=\"refused\"}",
        "milterscope_domain_recipients_total{domain=\"\",outcome=\"refused\"}",
        "milterscope_domain_recipients_total{domain=\"a\",outcome=\"lost\"}",
        "milterscope_domain_recipients_total{domain=\"a\",outcome=\"refused\",x=\"y\"}",
        "milterscope_domain_recipients_total{domain=\"a\"}",
        "milterscope_domain_recipients_total{domain=\"a",
        "milterscope_domain_recipients_total{domain=\"",
        "milterscope_domain_recipients_total{domain=\"a\\\"b\",outcome=\"refused\"}",
        "milterscope_domain_recipients_total{domain=\"A\",outcome=\"refused\"}",
        "milterscope_messages_total{domain=\"a\",verdict=\"passed\"}",
        "{domain=\"a\",verdict=\"passed\"}",
        "milterscope_domain_messages_total",
    };
    struct domains domains = {.shown = 0};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(domains_take_total(&domains, texts[i], strlen(texts[i])), -1);
        assert_int_equal(domains.names[0][0], '\0');
    }
}

/* By names, wherever they are; what only one of the two has stays as it is. */
static void test_raise(void **state)
{
    struct domains domains = {.names = {"a", "b"}}, other_domains = {.names = {"c", "x", "b"}};
    uint64_t totals[total_COUNT] = {0}, other[total_COUNT] = {0};
    (void)state;
    totals[SERIES_2(domain_messages_total, 0, verdict_lost)] = 1;
    totals[SERIES_2(domain_messages_total, 1, verdict_lost)] = 2;
    totals[SERIES_2(domain_messages_total, 1, verdict_passed)] = 9;
    totals[SERIES_0(push_total)] = 5;
    other[SERIES_2(domain_messages_total, 0, verdict_lost)] = 100;
    other[SERIES_2(domain_messages_total, 2, verdict_lost)] = 3;
    other[SERIES_2(domain_messages_total, 2, verdict_passed)] = 8;
    other[SERIES_0(push_total)] = 6;
    other[SERIES_1(connections_total, client_local)] = 7;
    domains_raise(totals, &domains, other, &other_domains);
    assert_int_equal(totals[SERIES_2(domain_messages_total, 0, verdict_lost)], 1);
    assert_int_equal(totals[SERIES_2(domain_messages_total, 1, verdict_lost)], 3);
    assert_int_equal(totals[SERIES_2(domain_messages_total, 1, verdict_passed)], 9);
    assert_int_equal(totals[SERIES_2(domain_messages_total, 2, verdict_lost)], 0);
    assert_int_equal(totals[SERIES_0(push_total)], 6);
    assert_int_equal(totals[SERIES_1(connections_total, client_local)], 7);
    domains_clear(totals, 1);
    assert_int_equal(totals[SERIES_2(domain_messages_total, 1, verdict_lost)], 0);
    assert_int_equal(totals[SERIES_2(domain_messages_total, 1, verdict_passed)], 0);
    assert_int_equal(totals[SERIES_2(domain_messages_total, 0, verdict_lost)], 1);
    assert_int_equal(totals[SERIES_0(push_total)], 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_places), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_foreign_texts), cmocka_unit_test(test_raise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
