/* exporter/collect/queue.c: what a run may take, and what it says of what it left out. */
#include "exporter/collect/queue.c"

#include "tests/unit/queue_stage.h"

/* ---- room ---- */

static void put_directories(const char *form, int count, const char *name)
{
    char path[64];
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s%d%s", form, i, name);
        put_config(path, "T1699999999\n");
    }
}

/* As many directories as there is room for are seen; of one more it is said that it is not, and no other queue has less room for it. */
static void test_room(void **state)
{
    (void)state;
    put_config("sendmail.cf", "O QueueDirectory=%s/mqueue/q*\n", spool);
    configure(mta_kind_sendmail, "sendmail.cf");
    add_own_queue("in/*/qf", queue_form_sendmail);
    strcpy(settings.collector_queues.list[0].name, "in");
    put_directories("mqueue/q", QUEUE_DIRECTORIES_MAX, "/qf5AK100000001");
    put_directories("in/", 5 * QUEUE_DIRECTORIES_MAX, "/qf/qf5AK100000001");
    struct queue_collector *self = opened();
    failure = (struct failure){EX_OK, ""};
    assert_false(run(self, &failure));
    assert_string_equal(failure.text, "queue in has more directories than the 128 that are looked at; what is in the "
                                      "others is not counted");
    assert_int_equal(GAUGE_OF(queue_messages, queue_own_0), QUEUE_DIRECTORIES_MAX);
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_own_0), 0);
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), QUEUE_DIRECTORIES_MAX);
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_mqueue), 1);
    spool_put_text("mqueue/qx/qf5AK100000001", "T1699999999\n");
    assert_false(run(self, &failure));
    assert_non_null(strstr(failure.text, "; queue in has more directories than the 128 that are looked at;"));
    assert_int_equal(strncmp(failure.text, "queue mqueue has more directories than the 128", 46), 0);
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), QUEUE_DIRECTORIES_MAX);
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_mqueue), 0);
    free(self);
}

/* Nothing in the directories that are looked at does not mean that there is nothing. */
static void test_nothing_in_a_part(void **state)
{
    (void)state;
    put_config("sendmail.cf", "O QueueDirectory=%s/mqueue/q*\n", spool);
    configure(mta_kind_sendmail, "sendmail.cf");
    put_directories("mqueue/q", QUEUE_DIRECTORIES_MAX, "/x");
    struct queue_collector *self = opened();
    assert_true(run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), 0);
    assert_int_equal(GAUGE_OF(queue_bytes, queue_mqueue), 0);
    spool_put_text("mqueue/qx/x", "");
    assert_false(run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_bytes, queue_mqueue), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_mqueue), 0);
    free(self);
}

/* Where no time was left to find any directory of a queue, it is absent, and that is said. */
static void test_no_time_to_find(void **state)
{
    static struct queue_collector self;
    (void)state;
    self = (struct queue_collector){.settings = &settings, .tally = &tally};
    self.places.cuts[queue_mqueue] = queue_cut_search;
    assert_false(tell_cut(&self, queue_mqueue, &failure));
    assert_non_null(strstr(failure.text, "queue mqueue: there is too much to be looked through for its directories"));
    show(&self, queue_mqueue);
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_mqueue), GAUGE_ABSENT);
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

/* What a run took is what its pause is reckoned by. */
static void test_pause_after_a_run(void **state)
{
    enum { MANY = 3000 };
    char name[32];
    (void)state;
    put_config("main.cf", "queue_directory = %s/q\n", spool);
    configure(mta_kind_postfix, ".");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "q/deferred/%X/1%05X", i % 16, i);
        put_postfix(name, 1, 1, "");
    }
    struct queue_collector *self = opened();
    settings.collector_queue_interval = 1;
    const int64_t before = queue_time_now().cpu;
    run(self, &failure); /* the other queues are not there */
    const int64_t cpu = queue_time_now().cpu - before;
    assert_int_equal(GAUGE_OF(queue_messages, queue_deferred), MANY);
    assert_true(self->pause_ms * 1000 > cpu * 20); /* of 50: a slow disk makes it less */
    free(self);
}

/* A run that has no time left shows what it has, and says that there is more. */
static void test_run_runs_out(void **state)
{
    (void)state;
    put_config("main.cf", "queue_directory = %s/q\n", spool);
    configure(mta_kind_postfix, ".");
    put_postfix("q/deferred/1/12345A", 1, 1, "");
    put_postfix("q/deferred/1/12345B", 1, 1, "");
    struct queue_collector *self = opened();
    const struct queue_place *place = &self->places.list[5];
    struct queue_time now = queue_time_now(), end = {now.wall + 10, now.cpu + 100000000};
    assert_int_equal(place->queue, queue_deferred);
    assert_true(scan_place(self, place, &(struct queue_time){now.wall + 100000000, end.cpu}, 1, &failure));
    show(self, queue_deferred);
    assert_int_equal(GAUGE_OF(queue_messages, queue_deferred), 2);
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_deferred), 1);
    while (queue_time_now().wall <= end.wall)
        ;
    assert_true(scan_place(self, place, &end, 1, &failure));
    show(self, queue_deferred);
    assert_int_equal(GAUGE_OF(queue_messages, queue_deferred), 2); /* of the first directory of the run */
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_deferred), 0);
    free(self);
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
    const struct CMUnitTest tests[] = {TEST(test_room),  TEST(test_nothing_in_a_part), TEST(test_no_time_to_find),
                                       TEST(test_pause), TEST(test_pause_after_a_run), TEST(test_run_runs_out),
                                       TEST(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
