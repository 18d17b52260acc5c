/* exporter/collect/runner.c: collectors that go well, that fail, that cannot be opened and that hang, each beside the others. */
#include "exporter/collect/runner.h"
#include "tests/unit/tally_form.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#undef fail

enum { GENEROUS_MS = 60 * 1000, DEADLINE_MS = 50 };

static struct settings settings;
static struct tally tally;
static _Atomic int runs, closed;
static _Atomic bool fails;
static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER; /* while it is held the collector hangs */

static void *open_any(const struct settings *from, const struct tally *to, struct failure *failure)
{
    (void)from, (void)to, (void)failure;
    return &runs;
}

static void *open_none(const struct settings *from, const struct tally *to, struct failure *failure)
{
    (void)from, (void)to;
    fail(failure, EX_NOINPUT, "there is nothing to look at");
    return NULL;
}

static bool run_well(void *self, struct failure *failure)
{
    (void)self;
    runs++;
    return !fails || fail(failure, EX_IOERR, "it cannot be seen");
}

static bool run_never(void *self, struct failure *failure)
{
    (void)self, (void)failure;
    abort(); /* it was not opened */
}

static bool hang(void *self, struct failure *failure)
{
    (void)self, (void)failure;
    pthread_mutex_lock(&hold);
    pthread_mutex_unlock(&hold);
    return true;
}

static int64_t pause_ms(const void *self)
{
    (void)self;
    return 1;
}

static void close_any(void *self)
{
    (void)self;
    closed++;
}

static const struct collector well = {collector_queue, GENEROUS_MS, open_any, run_well, pause_ms, close_any},
                              none = {collector_log, GENEROUS_MS, open_none, run_never, pause_ms, close_any},
                              hung = {collector_host, DEADLINE_MS, open_any, hang, pause_ms, close_any};
static const struct collector *const all[] = {&well, &none, &hung};

static int64_t success(enum label_collector collector)
{
    return atomic_load(&tally.self->gauges[gauge_collector_success + (unsigned)collector]);
}

static void wait_success(struct runner *runner, enum label_collector collector, int64_t expected)
{
    const struct timespec moment = {.tv_nsec = 1000 * 1000};
    int64_t end_ms = tally_clock_ms() + GENEROUS_MS;
    while (success(collector) != expected && tally_clock_ms() < end_ms) {
        nanosleep(&moment, NULL);
        runner_watch(runner);
    }
    assert_int_equal(success(collector), expected);
}

static void wait_runs(int more)
{
    const struct timespec moment = {.tv_nsec = 1000 * 1000};
    int64_t end_ms = tally_clock_ms() + GENEROUS_MS;
    for (int before = runs; runs < before + more && tally_clock_ms() < end_ms;)
        nanosleep(&moment, NULL);
}

static int begin(void **state)
{
    (void)state;
    form_fresh(&tally);
    collectors_end = fails = false;
    runs = closed = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    form_free(&tally);
    return 0;
}

static struct runner *start(size_t count)
{
    struct failure failure;
    struct runner *runner = runner_start(all, count, &settings, &tally, &failure);
    assert_non_null(runner);
    return runner;
}

static void test_well_and_not(void **state)
{
    (void)state;
    struct runner *runner = start(2);
    wait_success(runner, collector_queue, 1);
    wait_success(runner, collector_log, 0);
    fails = true;
    wait_success(runner, collector_queue, 0);
    fails = false;
    wait_success(runner, collector_queue, 1);
    assert_true(runner_stop(runner, GENEROUS_MS));
    assert_int_equal(closed, 1); /* the other was never opened */
}

/* It is told while it hangs, holds up nobody, is well again afterwards; one that hangs at the stop is left. */
static void test_hanging(void **state)
{
    (void)state;
    pthread_mutex_lock(&hold);
    struct runner *runner = start(3);
    wait_success(runner, collector_host, 0);
    wait_runs(3);
    assert_true(success(collector_queue) == 1);
    pthread_mutex_unlock(&hold);
    wait_success(runner, collector_host, 1);
    pthread_mutex_lock(&hold);
    wait_success(runner, collector_host, 0);
    assert_false(runner_stop(runner, 0));
    pthread_mutex_unlock(&hold);
    assert_true(runner_stop(runner, GENEROUS_MS));
    assert_int_equal(closed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_well_and_not, begin, end),
        cmocka_unit_test_setup_teardown(test_hanging, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
