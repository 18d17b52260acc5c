/* milter/filter/current.c: settings that are replaced while sessions hold them. What is unmapped is told by the test's own settings_unmap;
 * memory that is used after that is found by the address sanitizer. */
#include "conf/lib/settings.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static _Atomic unsigned unmapped;

static void fake_unmap(const struct settings *settings)
{
    atomic_fetch_add(&unmapped, 1);
    free((void *)(uintptr_t)settings);
}

#define settings_unmap(settings) fake_unmap(settings)
#include "milter/filter/current.c"
#undef settings_unmap

#include <cmocka.h>

/* Settings that know their number, in two places. */
static const struct settings *numbered(int64_t number)
{
    struct settings *settings = calloc(1, sizeof *settings);
    assert_non_null(settings);
    settings->read_at = number;
    settings->redis_timeout = number;
    return settings;
}

static int forget_all(void **state)
{
    (void)state;
    current_reap();
    for (int i = 0; i < GENERATIONS; i++)
        free((void *)(uintptr_t)generations[i].settings);
    memset(generations, 0, sizeof generations);
    in_force = -1;
    atomic_store(&unmapped, 0);
    return 0;
}

static void test_none(void **state)
{
    (void)state;
    assert_null(current_take());
    current_release(NULL);
    current_reap();
    assert_int_equal(unmapped, 0);
}

static void test_one_holder(void **state)
{
    const struct settings *first = numbered(1), *second = numbered(2);
    (void)state;
    assert_true(current_replace(first));
    current_reap();
    assert_ptr_equal(current_take(), first);
    current_release(first);
    current_reap();
    assert_int_equal(unmapped, 0); /* in force, though nobody holds it */
    assert_ptr_equal(current_take(), first);
    assert_true(current_replace(second));
    assert_ptr_equal(current_take(), second);
    current_reap();
    assert_int_equal(unmapped, 0);
    assert_int_equal(first->read_at, 1);
    current_release(first);
    assert_int_equal(unmapped, 0); /* not in a callback */
    current_reap();
    assert_int_equal(unmapped, 1);
    current_release(second);
    current_reap();
    assert_int_equal(unmapped, 1);
}

static void test_many_holders(void **state)
{
    const struct settings *first = numbered(1);
    (void)state;
    assert_true(current_replace(first));
    for (int i = 0; i < 1000; i++)
        assert_ptr_equal(current_take(), first);
    assert_true(current_replace(numbered(2)));
    for (int i = 0; i < 1000; i++) {
        current_reap();
        assert_int_equal(unmapped, 0);
        current_release(first);
    }
    current_reap();
    assert_int_equal(unmapped, 1);
}

/* Sessions that never end hold as many settings as there is room for; the next reload is refused, and nothing changes. */
static void test_full(void **state)
{
    const struct settings *held[GENERATIONS], *more = numbered(1000), *now;
    (void)state;
    for (int i = 0; i < GENERATIONS; i++) {
        assert_true(current_replace(numbered(i)));
        held[i] = current_take();
        assert_int_equal(held[i]->read_at, i);
    }
    current_reap();
    assert_false(current_replace(more));
    now = current_take();
    assert_ptr_equal(now, held[GENERATIONS - 1]);
    current_release(now);
    assert_int_equal(unmapped, 0);
    current_release(held[7]);
    assert_false(current_replace(more)); /* not before it is reaped */
    current_reap();
    assert_int_equal(unmapped, 1);
    assert_true(current_replace(more));
    now = current_take();
    assert_ptr_equal(now, more);
    current_release(now);
    for (int i = 0; i < GENERATIONS; i++) {
        if (i != 7)
            current_release(held[i]);
    }
    current_reap();
    assert_int_equal(unmapped, GENERATIONS);
}

enum { THREADS = 4, TURNS = 20000, REPLACEMENTS = 500 };
static _Atomic bool wrong;

static void *take_and_release(void *unused)
{
    int64_t last = 0;
    (void)unused;
    for (int i = 0; i < TURNS; i++) {
        const struct settings *settings = current_take();
        int64_t number = settings->read_at;
        if (number < last || settings->redis_timeout != number)
            atomic_store(&wrong, true);
        last = number;
        current_release(settings);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
    assert_true(current_replace(numbered(0)));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_release, NULL), 0);
    for (int64_t number = 1; number <= REPLACEMENTS; number++) {
        const struct settings *fresh = numbered(number);
        while (!current_replace(fresh))
            current_reap();
        current_reap();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    current_reap();
    assert_false(wrong);
    assert_int_equal(unmapped, REPLACEMENTS);
    assert_int_equal(generations[in_force].settings->read_at, REPLACEMENTS);
    assert_int_equal(generations[in_force].holders, 0);
}

#define TEST(test) cmocka_unit_test_teardown(test, forget_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_none), TEST(test_one_holder), TEST(test_many_holders), TEST(test_full), TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
