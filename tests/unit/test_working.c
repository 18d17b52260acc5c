/* milter/filter/working.c: since when the oldest callback is under way, whatever places there are, and how many were finished. */
#include "milter/filter/working.c"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

/* A key for a place. */
static uintptr_t key(unsigned place)
{
    return (uintptr_t)place << ALIGNMENT_BITS;
}

static void test_oldest(void **state)
{
    (void)state;
    assert_int_equal(working_oldest_ns(), 0);
    int first = working_begin(key(1), 500);
    assert_int_equal(working_oldest_ns(), 500);
    int second = working_begin(key(2), 300);
    int third = working_begin(key(3), 400);
    assert_int_equal(working_oldest_ns(), 300);
    working_end(second);
    assert_int_equal(working_oldest_ns(), 400);
    working_end(third);
    working_end(first);
    assert_int_equal(working_oldest_ns(), 0);
}

/* Where a place is taken the newcomer goes unwatched, and takes nothing away with its end. */
static void test_taken(void **state)
{
    (void)state;
    int first = working_begin(key(5), 500);
    assert_true(first >= 0);
    assert_int_equal(working_begin(key(5), 600), -1);
    assert_int_equal(working_begin(key(5 + PLACES), 600), -1);
    working_end(-1);
    assert_int_equal(working_oldest_ns(), 500);
    working_end(first);
    int again = working_begin(key(5), 600);
    assert_int_equal(again, first);
    working_end(again);
}

static void test_all_places(void **state)
{
    int places[PLACES];
    (void)state;
    for (unsigned i = 0; i < PLACES; i++) {
        places[i] = working_begin(key(i) + i % 64, 1000 + (int64_t)i);
        assert_true(places[i] >= 0);
    }
    for (unsigned i = 0; i < PLACES; i++) {
        assert_int_equal(working_oldest_ns(), 1000 + (int64_t)i);
        working_end(places[i]);
    }
    assert_int_equal(working_oldest_ns(), 0);
    int last = working_begin(UINTPTR_MAX, 7);
    assert_int_equal(working_oldest_ns(), 7);
    working_end(last);
}

static void test_finished(void **state)
{
    uint64_t before = working_finished();
    (void)state;
    int first = working_begin(key(3), 500);
    int second = working_begin(key(3), 600);
    assert_int_equal(working_finished(), before);
    working_end(second);
    assert_int_equal(working_finished(), before);
    working_done();
    assert_int_equal(working_oldest_ns(), 500);
    working_end(first);
    assert_int_equal(working_finished(), before + 2);
}

enum { THREADS = 4, TURNS = 50000 };
static _Atomic uint64_t watched;
static _Atomic bool wrong;

static void *work(void *context)
{
    uintptr_t mine = (uintptr_t)context;
    for (int i = 0; i < TURNS; i++) {
        int place = working_begin(mine, 1000 + i);
        int64_t oldest = working_oldest_ns();
        if (place >= 0 && (oldest == 0 || oldest > 1000 + i))
            atomic_store(&wrong, true);
        working_end(place);
        atomic_fetch_add(&watched, place >= 0);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    uint64_t before = working_finished();
    (void)state;
    for (unsigned i = 0; i < THREADS; i++) /* two of them share a place */
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)key(i / 2)), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_false(wrong);
    assert_int_equal(working_finished(), before + watched);
    assert_int_equal(working_oldest_ns(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_oldest), cmocka_unit_test(test_taken),
                                       cmocka_unit_test(test_all_places), cmocka_unit_test(test_finished),
                                       cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
