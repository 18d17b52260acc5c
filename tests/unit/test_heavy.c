/* milter/pusher/heavy.c against an exact count: the bounds that it promises hold for whatever comes. */
#include "milter/pusher/heavy.h"

#include "milter/pusher/siphash.h"

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
        cmocka_unit_test_setup_teardown(test_index_again, begin, end),
        cmocka_unit_test(test_siphash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
