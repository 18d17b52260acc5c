/* milter/supervisor/filters.c: filters that are busy, that hang as well, and that hold what libmilter has forgotten. */
#include "tests/unit/filters_stage.h"

/* One that does not answer has longer while its callbacks go on, and only so long. */
static void test_busy(void **state)
{
    struct stage *stage = *state;
    expect("open\nstart 101 milterscope-filter listener\n");
    serve(stage);
    callbacks = 7;
    pass(stage, 60000);
    next_result = check_pending;
    pass(stage, CHECK_DEADLINE_MS);
    assert_int_equal(up(stage), 1);
    pass(stage, CHECK_BUSY_MS - CHECK_DEADLINE_MS - 200);
    assert_int_equal(up(stage), 0);
    next_result = check_answered;
    pass(stage, 200);
    assert_int_equal(up(stage), 1);
    next_result = check_pending;
    pass(stage, CHECK_BUSY_MS);
    assert_true(filters_healthy(&stage->filters, children_now_ms));
    expect("");
    pass(stage, 200);
    assert_false(filters_healthy(&stage->filters, children_now_ms));
    expect("kill 101\n");
    pass(stage, 1000);
    expect("");
    die(stage, 101, SIGKILL);
    expect("start 102 milterscope-filter listener\n");
    assert_int_equal(restarts(stage), 1);
}

/* It is busy no more: it hangs. What it has finished before is no excuse, nor is what others have. */
static void test_busy_and_then_hung(void **state)
{
    struct stage *stage = *state;
    serve(stage);
    expect("open\nstart 101 milterscope-filter listener\n");
    callbacks = 7;
    pass(stage, 5000);
    next_result = check_pending;
    pass(stage, 1000); /* it hangs from here on */
    callbacks = 0;
    pass(stage, CHECK_STILL_MS);
    expect("");
    pass(stage, 200);
    expect("kill 101\n");
    die(stage, 101, SIGKILL);
    serve(stage);
    filters_restart(&stage->filters);
    stage->filters.next.ready = true;
    pass(stage, 200);
    expect("start 102 milterscope-filter listener\nstart 103 milterscope-filter listener\nsend 102 D\n");
    next_result = check_pending;
    for (int64_t end_ms = children_now_ms + CHECK_DEADLINE_MS; children_now_ms < end_ms;) {
        callbacks = 7; /* of the one that drains */
        beat(stage, &stage->filters.draining[0]);
        callbacks = 0;
        pass(stage, 200);
    }
    expect("");
    pass(stage, 200);
    expect("kill 103\n");
}

/* Callbacks go on, but for one, or the thread that beats hangs. */
static void test_busy_without_heartbeat(void **state)
{
    struct stage *stage = *state;
    serve(stage);
    expect("open\nstart 101 milterscope-filter listener\n");
    callbacks = 7;
    next_result = check_pending;
    for (int64_t heard_ms = children_now_ms; children_now_ms < heard_ms + CHECK_DEADLINE_MS;) {
        children_now_ms += 200;
        beat(stage, &stage->filters.active);
        atomic_store(&tally_file_block(&stage->tally, (unsigned)stage->filters.active.process)->heartbeat_ms, heard_ms);
        filters_step(&stage->filters, children_now_ms);
    }
    expect("");
    children_now_ms += 200;
    filters_step(&stage->filters, children_now_ms);
    expect("kill 101\n");
}

/* One that holds what libmilter has forgotten gets a planned restart, and so does the next, but not again and again. */
static void test_forgetful(void **state)
{
    struct stage *stage = *state;
    stage->filters.active.forgetful = true;
    pass(stage, 1000); /* it is not ready yet */
    expect("open\nstart 101 milterscope-filter listener\n");
    serve(stage);
    expect("start 102 milterscope-filter listener\n");
    pass(stage, 1000);
    expect("");
    stage->filters.next.ready = true;
    pass(stage, 200);
    expect("send 101 D\n");
    stage->filters.active.forgetful = true;
    pass(stage, FORGOTTEN_PAUSE_MS - 2000);
    assert_null(strstr(children_events, "start"));
    pass(stage, 2000);
    assert_non_null(strstr(children_events, "start 103 milterscope-filter listener\n"));
    assert_int_equal(restarts(stage), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_busy),
        TEST(test_busy_and_then_hung),
        TEST(test_busy_without_heartbeat),
        TEST(test_forgetful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
