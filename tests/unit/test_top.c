/* conf/lib/top.c and conf/lib/hyperloglog.c: the texts of top lists, and how near estimates are. */
#include "conf/lib/hyperloglog.h"
#include "conf/lib/top.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_names_and_keys(void **state)
{
    char key[TOP_KEY_MAX];
    (void)state;
    assert_int_equal(top_find_set("client"), top_client);
    assert_int_equal(top_find_set("refusing_provider"), top_COUNT - 1);
    assert_int_equal(top_of_deliveries, 1 << top_deferred_domain | 1 << top_refusing_provider);
    assert_true(top_counts(top_helo, top_by_spam) && top_counts(top_deferred_domain, top_by_recipients));
    assert_false(top_counts(top_deferred_domain, top_by_messages));
    assert_int_equal(top_find_set("Client"), -1);
    assert_int_equal(top_find_set(""), -1);
    assert_int_equal(top_find_by("spam"), top_by_spam);
    assert_int_equal(top_find_by("sessions"), -1);
    top_key(key, "mx1", "top", top_sender_domain, top_hour(1700000000));
    assert_string_equal(key, "ms1:{mx1}:top:sender_domain:2023-11-14T22");
    char longest[SETTINGS_NAME_MAX] = {0};
    memset(longest, 'x', sizeof longest - 1);
    top_key(key, longest, "distinct", top_unknown_recipient, 1 << 19);
    assert_string_equal(key + strlen(key) - 14, ":2029-10-23T08");
}

static void test_values(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {{"1 2 3", true},
                {"0 0 0", true},
                {"17592186044415 1 1", true},
                {"17592186044416 1 1", false},
                {"1 2", false},
                {"1 2 3 4", false},
                {"1 2 3 ", false},
                {" 1 2 3", false},
                {"1  2 3", false},
                {"-1 2 3", false},
                {"1 2 x", false},
                {"", false},
                {"1 2 ", false},
                {"1,2,3", false},
                {"99999999999999999999999999 1 1", false}};
    uint64_t values[8] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                          UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    char text[TOP_TEXT_MAX];
    (void)state;
    assert_true(top_write(text, values, 8) < TOP_TEXT_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (top_read(rows[i].text, strlen(rows[i].text), values, 3) != rows[i].good)
            fail_msg("\"%s\"", rows[i].text);
    }
    assert_true(top_read("7 8 9x", 5, values, 3));
    assert_int_equal(values[2], 9);
    assert_string_equal((top_write(text, values, 3), text), "7 8 9");
}

static void test_members(void **state)
{
    static const char *const good[] = {"a",   "<>",   "192.0.2.0/24", "j\xc3\xb6rg", "\xe2\x82\xac", "\xf0\x9f\x93\xab",
                                       "a b", "\"'<&"};
    static const char *const bad[] = {
        "", "a\n", "\x7f", "\xc2\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xff"};
    char longest[TOP_MEMBER_MAX + 1];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(top_is_member(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(top_is_member(bad[i], strlen(bad[i])));
    assert_false(top_is_member("a\0b", 3));
    memset(longest, 'x', sizeof longest);
    assert_true(top_is_member(longest, TOP_MEMBER_MAX));
    assert_false(top_is_member(longest, TOP_MEMBER_MAX + 1));
}

/* ---- sketches ---- */

static uint64_t next_random(uint64_t *random)
{
    uint64_t z = (*random += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t estimate(const uint8_t *sketch)
{
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};
    assert_true(hyperloglog_merge(registers, sketch, HYPERLOGLOG_BYTES));
    return hyperloglog_estimate(registers);
}

static void test_estimates(void **state)
{
    static const uint64_t counts[] = {0, 1, 10, 1000, 10000, 50000, 200000, 1000000, 5000000};
    uint8_t sketch[HYPERLOGLOG_BYTES];
    uint64_t random = 1, added = 0;
    double worst = 0;
    (void)state;
    hyperloglog_begin(sketch);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (; added < counts[i]; added++)
            hyperloglog_add(sketch, next_random(&random));
        double error = fabs((double)estimate(sketch) - (double)added) / (double)(added > 0 ? added : 1);
        if (error > 4 * 0.0081)
            fail_msg("%llu are estimated as %llu", (unsigned long long)added, (unsigned long long)estimate(sketch));
        worst = error > worst ? error : worst;
    }
    printf("figure: distinct members, up to 5 million: estimates are off by %.2f %% at most\n", worst * 100);
}

static void test_adding_again_and_merging(void **state)
{
    uint8_t one[HYPERLOGLOG_BYTES], other[HYPERLOGLOG_BYTES], registers[HYPERLOGLOG_REGISTERS] = {0};
    uint64_t random = 2;
    (void)state;
    hyperloglog_begin(one);
    hyperloglog_begin(other);
    for (int i = 0; i < 30000; i++) {
        uint64_t hash = next_random(&random);
        bool changed = hyperloglog_add(i % 2 == 0 ? one : other, hash);
        assert_false(hyperloglog_add(i % 2 == 0 ? one : other, hash));
        (void)changed;
        if (i % 3 == 0)
            hyperloglog_add(i % 2 == 0 ? other : one, hash); /* seen by both */
    }
    assert_true(hyperloglog_merge(registers, one, sizeof one) && hyperloglog_merge(registers, other, sizeof other));
    assert_true(fabs((double)hyperloglog_estimate(registers) - 30000) < 30000 * 4 * 0.0081);
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++)
        registers[i] = 255; /* no sketch of ours, and no endless loop */
    assert_true(hyperloglog_estimate(registers) > 0);
    one[4] = 1; /* sparse: not ours */
    assert_false(hyperloglog_merge(registers, one, sizeof one));
    assert_false(hyperloglog_merge(registers, other, sizeof other - 1));
    other[0] = 'h';
    assert_false(hyperloglog_merge(registers, other, sizeof other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names_and_keys), cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_members), cmocka_unit_test(test_estimates),
                                       cmocka_unit_test(test_adding_again_and_merging)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
