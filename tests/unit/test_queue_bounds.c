/* exporter/collect/queue.c: what a run may take, and what it says of what it left out. */
#include "exporter/collect/queue.c"

#include "tests/unit/queue_spool.h"
#include "tests/unit/tally_form.h"

#include <cmocka.h>
#undef fail

static struct settings settings;
static struct tally tally;
static struct failure failure;

static int64_t gauge(unsigned gauge)
{
    return atomic_load(&tally.self->gauges[gauge + (unsigned)queue_mqueue]);
}

/* Where no time was left to find any directory of a queue, it is absent, and that is said. */
static void test_no_time_to_find(void **state)
{
    static struct queue_collector self;
    (void)state;
    self = (struct queue_collector){.settings = &settings, .tally = &tally};
    self.places.cuts[queue_mqueue] = queue_cut_search;
    form_fresh(&tally);
    assert_false(tell_cut(&self, queue_mqueue, &failure));
    assert_non_null(strstr(failure.text, "queue mqueue: there is too much to be looked through for its directories"));
    show(&self, queue_mqueue);
    assert_int_equal(gauge(gauge_queue_messages), GAUGE_ABSENT);
    assert_int_equal(gauge(gauge_queue_scan_complete), GAUGE_ABSENT);
    form_free(&tally);
}

/* ---- time ---- */

static void test_pause(void **state)
{
    (void)state;
    assert_int_equal(pause_after(30000000, 1000000, 500000), 29000);
    assert_int_equal(pause_after(30000000, 3000000, 2000000), 97000); /* 2 s of 100 */
    assert_int_equal(pause_after(30000000, 50000000, 100000), 50000); /* a slow disk */
    assert_int_equal(pause_after(1000000, 990000, 1000), 990);
    assert_int_equal(pause_after(1000000, 1000, 20), 999);
}

/* Each place to come gets its part of the time that is left, and the last all of it. */
static void test_shares(void **state)
{
    struct queue_time now = queue_time_now();
    struct queue_time end = {now.wall + 100000000, now.cpu + 10000000};
    (void)state;
    struct queue_bounds one = bounds_for(&end, 1), four = bounds_for(&end, 4);
    assert_in_range(one.end.wall, end.wall - 5, end.wall);
    assert_in_range(one.read.wall, now.wall + 80000000, now.wall + 85000000);
    assert_in_range(one.read.cpu, now.cpu + 8000000, now.cpu + 8500000);
    assert_in_range(four.end.wall, now.wall + 25000000, now.wall + 30000000);
    assert_in_range(four.end.cpu, now.cpu + 2500000, now.cpu + 3000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_time_to_find), cmocka_unit_test(test_pause),
                                       cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
