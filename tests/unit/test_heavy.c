/* conf/lib/heavy.c against an exact count: the bounds that it promises hold for whatever comes. */
#include "conf/lib/heavy.h"

#include "conf/lib/siphash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MEMBERS = 20000, SIZE = 200 };

static struct heavy_sum sum;
static struct heavy_entry entries[SIZE];
static struct heavy *heavy;
static uint64_t truth[MEMBERS][top_by_COUNT];

static int begin(void **state)
{
    (void)state;
    memset(&sum, 0, sizeof sum);
    memset(truth, 0, sizeof truth);
    heavy = heavy_new(&sum, entries, SIZE);
    return heavy == NULL;
}

static int end(void **state)
{
    (void)state;
    heavy_free(heavy);
    return 0;
}

static void add(unsigned member, const uint64_t *counts)
{
    char text[16];
    size_t length = (size_t)snprintf(text, sizeof text, "m%u", member);
    for (int by = 0; by < top_by_COUNT; by++)
        truth[member][by] += counts[by];
    unsigned place = heavy_place(heavy, text, length);
    heavy_add(heavy, text, length, counts);
    assert_int_equal(place, heavy_place(heavy, text, length));
    assert_memory_equal(entries[place].member, text, length);
}

static uint64_t total(void)
{
    return sum.counts[0] + sum.counts[1] + sum.counts[2] + sum.counts[3];
}

static void check(void)
{
    bool listed[MEMBERS] = {false};
    uint64_t sums[top_by_COUNT] = {0}, weights = 0;
    for (unsigned i = 0; i < sum.used; i++) {
        const struct heavy_entry *entry = &entries[i];
        unsigned member = (unsigned)atoi(entry->member + 1);
        assert_false(listed[member]);
        listed[member] = true;
        assert_true(entry->error <= total() / SIZE);
        weights += entry->weight;
        for (int by = 0; by < top_by_COUNT; by++) {
            assert_true(entry->counts[by] <= truth[member][by]);
            assert_true(truth[member][by] <= entry->counts[by] + entry->error);
        }
    }
    assert_int_equal(weights, total());
    assert_true(heavy_least(heavy) <= total() / SIZE);
    for (unsigned member = 0; member < MEMBERS; member++) {
        for (int by = 0; by < top_by_COUNT; by++) {
            sums[by] += truth[member][by];
            if (!listed[member])
                assert_true(truth[member][by] <= heavy_least(heavy));
            if (truth[member][by] > total() / SIZE)
                assert_true(listed[member]);
        }
    }
    assert_memory_equal(sums, sum.counts, sizeof sums);
}

/* The rank of a member of Zipf's law, exponent 1. */
static unsigned zipf(void)
{
    double x = exp(drand48() * log(MEMBERS)) - 1;
    return x < (double)MEMBERS ? (unsigned)x : MEMBERS - 1;
}

static void test_zipf(void **state)
{
    (void)state;
    srand48(4711);
    for (int i = 0; i < 300000; i++) {
        uint64_t refused = (uint64_t)(lrand48() % 3);
        add(zipf(), (const uint64_t[]){1, 1 + refused, refused, lrand48() % 10 == 0});
        if (i % 20000 == 0)
            check();
    }
    check();
    uint64_t most = 0;
    for (unsigned i = 0; i < sum.used; i++)
        most = entries[i].error > most ? entries[i].error : most;
    printf("figure: heavy hitters: %llu counts of %d members in %d places: largest error %llu, bound %llu\n",
           (unsigned long long)total(), MEMBERS, SIZE, (unsigned long long)most, (unsigned long long)total() / SIZE);
}

/* As long as there is room, all is exact. */
static void test_exact(void **state)
{
    (void)state;
    srand48(1);
    for (int i = 0; i < 50000; i++)
        add((unsigned)lrand48() % SIZE, (const uint64_t[]){1, 2, 0, 0});
    check();
    assert_int_equal(heavy_least(heavy) > 0, sum.used == SIZE);
    for (unsigned i = 0; i < sum.used; i++)
        assert_int_equal(entries[i].error, 0);
}

/* Each name once, and a few that are there all the time: they stay. */
static void test_flood(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MEMBERS - 10; i++) {
        add(10 + i, (const uint64_t[]){1, 1, 1, 0});
        if (i % 25 == 0)
            add(i / 25 % 10, (const uint64_t[]){3, 3, 0, 0});
    }
    check();
}

/* ---- at the very edge of the bound ---- */

enum { BOUND = 100, TOTAL = BOUND * SIZE, SPECIAL = 9, ABOVE = 5 };

/* What each of the first members has: 1.01 to 1.2 times N / m, then N / m and less; all others once. */
static const unsigned shares[SPECIAL] = {101, 105, 110, 115, 120, 100, 99, 90, 80};

static const struct heavy_entry *entry_of(unsigned member)
{
    char text[16];
    size_t length = (size_t)snprintf(text, sizeof text, "m%u", member);
    const struct heavy_entry *entry = &entries[heavy_place(heavy, text, length)];
    return sum.used > 0 && entry->length == length && memcmp(entry->member, text, length) == 0 ? entry : NULL;
}

/* Orders: which of the first members comes next, at this step; SPECIAL: one more of the others. `left`: what each has still to
 * get, `all` of them together. */
typedef unsigned (*order)(unsigned step, const unsigned *left, unsigned all);

static unsigned one_with_some(unsigned step, const unsigned *left)
{
    for (unsigned i = 0; i < SPECIAL; i++) {
        if (left[(step + i) % SPECIAL] > 0)
            return (step + i) % SPECIAL;
    }
    return SPECIAL;
}

static unsigned at_first(unsigned step, const unsigned *left, unsigned all)
{
    (void)all;
    return one_with_some(step, left);
}

static unsigned at_last(unsigned step, const unsigned *left, unsigned all)
{
    return TOTAL - step == all ? one_with_some(step, left) : SPECIAL;
}

static unsigned evenly(unsigned step, const unsigned *left, unsigned all)
{
    for (unsigned i = 0; i < SPECIAL; i++) {
        if (all > 0 && (shares[i] - left[i]) * (uint64_t)TOTAL < (uint64_t)step * shares[i])
            return i;
    }
    return at_last(step, left, all);
}

/* The worst: each comes when it has just lost its place, and with that all that was counted of it. */
static unsigned hunted(unsigned step, const unsigned *left, unsigned all)
{
    for (unsigned i = 0; i < SPECIAL; i++) {
        if (left[i] > 0 && entry_of(i) == NULL)
            return i;
    }
    return at_last(step, left, all);
}

/* For most of the time as that, and what is left of each comes in the end: it is known for sure that it has some. */
static unsigned hunted_first(unsigned step, const unsigned *left, unsigned all)
{
    return step < TOTAL / 10 * 8 ? hunted(step, left, all) : evenly(step, left, all);
}

static void play(order next)
{
    static const uint64_t one[top_by_COUNT] = {1};
    unsigned left[SPECIAL], all = 0, others = SPECIAL;
    for (unsigned i = 0; i < SPECIAL; i++)
        all += left[i] = shares[i];
    for (unsigned step = 0; step < TOTAL; step++) {
        unsigned member = next(step, left, all);
        add(member < SPECIAL ? member : others++, one);
        left[member < SPECIAL ? member : 0] -= member < SPECIAL;
        all -= member < SPECIAL;
    }
    assert_int_equal(all, 0);
    assert_int_equal(total(), TOTAL);
}

/* Who has more than N / m is there, in whatever order all came. Who has N / m or less may be there: what is said of him is right
 * (check). `absent`: in this order somebody is not; `lost`: of somebody less is known than is true. */
static void test_edge(void **state)
{
    static const struct {
        const char *name;
        order next;
        bool absent, lost;
    } orders[] = {{"at first", at_first, true, false},
                  {"at last", at_last, false, false},
                  {"evenly", evenly, true, true},
                  {"hunted", hunted, true, true},
                  {"hunted first", hunted_first, true, true}};
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        bool absent = false, lost = false;
        heavy_free(heavy);
        assert_int_equal(begin(NULL), 0);
        play(orders[i].next);
        check();
        for (unsigned member = 0; member < SPECIAL; member++) {
            const struct heavy_entry *entry = entry_of(member);
            assert_true(entry != NULL || member >= ABOVE);
            absent = absent || entry == NULL;
            lost = lost || (entry != NULL && entry->counts[0] < shares[member]);
        }
        assert_int_equal(absent, orders[i].absent);
        assert_int_equal(lost, orders[i].lost);
        printf("figure: heavy hitters, one with %u where the bound is %d, %s: %llu for sure, error %llu, lowest %llu\n",
               shares[0], BOUND, orders[i].name, (unsigned long long)entry_of(0)->counts[0],
               (unsigned long long)entry_of(0)->error, (unsigned long long)heavy_least(heavy));
    }
}

/* What another process finds in the memory; also when that is not sound. */
static void test_index_again(void **state)
{
    (void)state;
    srand48(2);
    for (int i = 0; i < 50000; i++)
        add(zipf(), (const uint64_t[]){1, 1, 0, 0});
    heavy_free(heavy);
    heavy = heavy_new(&sum, entries, SIZE);
    check();
    for (int i = 0; i < 50000; i++)
        add(zipf(), (const uint64_t[]){1, 1, 0, 0});
    check();
    entries[3].weight++;
    entries[5] = entries[6];
    memset(entries[7].member, '\n', 3);
    entries[9].length = 0;
    sum.used = 100000;
    heavy_index(heavy);
    assert_int_equal(sum.used, SIZE - 4);
    add(5, (const uint64_t[]){1, 0, 0, 0});
}

/* The value of the reference implementation for an empty text and its key, at one and three rounds. */
static void test_siphash(void **state)
{
    const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u}, other[2] = {1, 2};
    uint8_t bytes[64];
    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_true(siphash(key, bytes, 0) == 0xabac0158050fc4dcu);
    for (unsigned i = 0; i < sizeof bytes; i++) {
        assert_true(siphash(key, bytes, i) != siphash(key, bytes, i + 1 < sizeof bytes ? i + 1 : 0));
        assert_true(siphash(key, bytes, i) != siphash(other, bytes, i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_zipf, begin, end),
        cmocka_unit_test_setup_teardown(test_exact, begin, end),
        cmocka_unit_test_setup_teardown(test_flood, begin, end),
        cmocka_unit_test_setup_teardown(test_edge, begin, end),
        cmocka_unit_test_setup_teardown(test_index_again, begin, end),
        cmocka_unit_test(test_siphash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
