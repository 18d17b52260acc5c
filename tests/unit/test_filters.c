/* milter/supervisor/filters.c: the life of filters. */
#include "tests/unit/filters_stage.h"

static void test_start(void **state)
{
    struct stage *stage = *state;
    expect("open\nstart 101 milterscope-filter listener\n");
    assert_int_equal(up(stage), 0);
    pass(stage, 5000);
    assert_true(filters_healthy(&stage->filters, children_now_ms));
    serve(stage);
    assert_int_equal(up(stage), 1);
    pass(stage, 60000);
    expect("");
    next_result = check_turned_away;
    pass(stage, 200);
    assert_int_equal(up(stage), 0);
    pass(stage, 60000); /* no descriptor is left for us: it lives */
    expect("");
    assert_false(filters_reaped(&stage->filters, 999, 0, children_now_ms));
}

static void test_open_fails(void **state)
{
    struct stage *stage = *state;
    struct failure failure;
    expect("open\nstart 101 milterscope-filter listener\n");
    children_open_fails = true;
    assert_false(filters_open(&stage->filters, &stage->kit, &failure));
    assert_int_equal(failure.status, EX_UNAVAILABLE);
    children_open_fails = false;
    children_fail = true;
    assert_false(filters_open(&stage->filters, &stage->kit, &failure));
    expect("open\nclose 1000\n");
}

/* One that does not become ready, does not answer, or whose heart stands still is killed, once, and replaced when it is dead. */
static void test_hung(void **state)
{
    struct stage *stage = *state;
    expect("open\nstart 101 milterscope-filter listener\n");
    pass(stage, READY_DEADLINE_MS);
    expect("");
    pass(stage, 200);
    expect("kill 101\n");
    die(stage, 101, SIGKILL);
    expect("start 102 milterscope-filter listener\n");
    serve(stage);
    next_result = check_pending;
    pass(stage, CHECK_DEADLINE_MS);
    expect("");
    assert_true(filters_healthy(&stage->filters, children_now_ms));
    pass(stage, 200);
    expect("kill 102\n");
    assert_int_equal(up(stage), 0);
    assert_false(filters_healthy(&stage->filters, children_now_ms));
    pass(stage, 1000);
    expect("");
    die(stage, 102, SIGKILL);
    expect("start 103 milterscope-filter listener\n");
    serve(stage);
    children_now_ms += CHECK_DEADLINE_MS + 400; /* its threads answer, the one that beats does not */
    filters_step(&stage->filters, children_now_ms);
    expect("kill 103\n");
    assert_int_equal(restarts(stage), 2);
}

/* A pause of the supervisor itself is held against nobody. */
static void test_awake(void **state)
{
    struct stage *stage = *state;
    expect("open\nstart 101 milterscope-filter listener\n");
    serve(stage);
    next_result = check_pending;
    children_now_ms += 3600 * 1000;
    filters_awake(&stage->filters, children_now_ms);
    filters_step(&stage->filters, children_now_ms);
    assert_true(filters_healthy(&stage->filters, children_now_ms));
    expect("");
    children_now_ms += CHECK_DEADLINE_MS + 1;
    filters_step(&stage->filters, children_now_ms);
    expect("kill 101\n");
}

/* A planned restart: the old one drains when the new one is ready, and is killed when it does not end. */
static void test_restart(void **state)
{
    struct stage *stage = *state;
    serve(stage);
    expect("open\nstart 101 milterscope-filter listener\n");
    filters_restart(&stage->filters);
    filters_restart(&stage->filters); /* one at a time */
    expect("start 102 milterscope-filter listener\n");
    pass(stage, 1000);
    expect("");
    stage->filters.next.ready = true;
    pass(stage, 200);
    expect("send 101 D\n");
    assert_int_equal(stage->filters.active.pid, 102);
    assert_int_equal(stage->filters.check.next_ms, children_now_ms + CHECK_INTERVAL_MS);
    filters_reload(&stage->filters, 7);
    expect("send 102 L fd\nsend 101 L fd\n");
    pass(stage, 30 * 1000 + DRAIN_GRACE_MS);
    expect("");
    pass(stage, 200);
    expect("kill 101\n");
    die(stage, 101, SIGKILL);
    assert_int_equal(restarts(stage), 0);
    assert_int_equal(stage->filters.active.pid, 102);
}

/* One that drains is not asked, but heard: its sessions do not wait for the end of the drain time when it hangs. */
static void test_hung_while_draining(void **state)
{
    struct stage *stage = *state;
    serve(stage);
    filters_restart(&stage->filters);
    stage->filters.next.ready = true;
    pass(stage, 200);
    expect("open\nstart 101 milterscope-filter listener\nstart 102 milterscope-filter listener\nsend 101 D\n");
    children_now_ms += CHECK_DEADLINE_MS;
    beat(stage, &stage->filters.active);
    filters_step(&stage->filters, children_now_ms);
    expect("");
    filters_awake(&stage->filters, children_now_ms); /* it was we who stood still */
    children_now_ms += CHECK_DEADLINE_MS + 1;
    beat(stage, &stage->filters.active);
    filters_step(&stage->filters, children_now_ms);
    expect("kill 101\n");
    filters_step(&stage->filters, children_now_ms); /* once */
    expect("");
    die(stage, 101, SIGKILL);
    assert_int_equal(restarts(stage), 0);
    assert_int_equal(stage->filters.active.pid, 102);
}

/* A new one that does not become ready, or dies, changes nothing; if the old one dies meanwhile, the new one is there. */
static void test_restart_fails(void **state)
{
    struct stage *stage = *state;
    serve(stage);
    children_fail = true;
    filters_restart(&stage->filters);
    expect("open\nstart 101 milterscope-filter listener\n");
    filters_restart(&stage->filters);
    pass(stage, READY_DEADLINE_MS + 200);
    expect("start 102 milterscope-filter listener\nkill 102\n");
    die(stage, 102, SIGKILL);
    expect("");
    assert_int_equal(stage->filters.active.pid, 101);
    filters_restart(&stage->filters);
    die(stage, 101, SIGSEGV);
    expect("start 103 milterscope-filter listener\n");
    assert_int_equal(stage->filters.active.pid, 103);
    assert_int_equal(stage->filters.next.pid, 0);
    assert_int_equal(restarts(stage), 1);
}

/* Five deaths within half a minute close the socket: the MTA is refused at once instead of waiting. */
static void test_deaths(void **state)
{
    struct stage *stage = *state;
    expect("open\nstart 101 milterscope-filter listener\n");
    for (pid_t pid = 101; pid < 105; pid++) {
        serve(stage);
        die(stage, pid, SIGSEGV);
    }
    children_events[0] = '\0';
    die(stage, 105, SIGSEGV);
    expect("close 1000\n");
    assert_int_equal(restarts(stage), 5);
    assert_true(filters_healthy(&stage->filters, children_now_ms)); /* closed on purpose */
    filters_restart(&stage->filters);
    pass(stage, CLOSED_MS - 200);
    expect("");
    children_open_fails = true;
    pass(stage, 200);
    expect("");
    children_open_fails = false;
    pass(stage, CLOSED_MS);
    expect("open\nstart 106 milterscope-filter listener\n");
}

/* Each five deaths in a row count, not only the first. */
static void test_deaths_far_apart(void **state)
{
    struct stage *stage = *state;
    pid_t pid = 101;
    for (int i = 0; i < 20; i++) {
        serve(stage);
        die(stage, pid++, SIGSEGV);
        pass(stage, DEATHS_WITHIN_MS / 4 + 200); /* the fifth comes too late */
    }
    assert_null(strstr(children_events, "close"));
    pass(stage, DEATHS_WITHIN_MS);
    for (int i = 0; i < FILTERS_DEATHS; i++) {
        assert_null(strstr(children_events, "close"));
        serve(stage);
        die(stage, pid++, SIGSEGV);
    }
    assert_non_null(strstr(children_events, "close 1000\n"));
}

/* A filter that says it is of another version: nothing is started, the supervisor must become that version. */
static void test_outdated(void **state)
{
    struct stage *stage = *state;
    expect("open\nstart 101 milterscope-filter listener\n");
    die(stage, 101, EX_PROTOCOL << 8);
    assert_true(stage->filters.outdated);
    expect("");
}

static void test_stop(void **state)
{
    struct stage *stage = *state;
    serve(stage);
    filters_restart(&stage->filters);
    children_events[0] = '\0';
    filters_stop(&stage->filters, false);
    expect("close 1000\nsend 101 D\nsend 102 D\n");
    assert_false(filters_gone(&stage->filters));
    assert_int_equal(up(stage), 0);
    die(stage, 101, 0);
    assert_false(filters_gone(&stage->filters));
    pass(stage, 1000);
    filters_restart(&stage->filters);
    expect("");
    filters_stop(&stage->filters, true);
    expect("kill 102\n");
    die(stage, 102, SIGKILL);
    assert_true(filters_gone(&stage->filters));
    assert_int_equal(restarts(stage), 0);
}

/* No more planned restarts than there is room for draining filters, and blocks in the tally; at a stop nobody is forgotten. */
static void test_many_restarts(void **state)
{
    struct stage *stage = *state;
    serve(stage);
    for (int i = 0; i < FILTERS_DRAINING; i++) {
        filters_restart(&stage->filters);
        stage->filters.next.ready = true;
        pass(stage, 200);
    }
    children_events[0] = '\0';
    filters_restart(&stage->filters);
    expect("");
    assert_int_equal(stage->filters.active.pid, 109);
    die(stage, 101, 0);
    filters_restart(&stage->filters);
    expect("start 110 milterscope-filter listener\n");
    filters_stop(&stage->filters, false);
    expect("close 1000\nsend 109 D\nkill 110\n");
    for (pid_t pid = 102; pid <= 110; pid++)
        die(stage, pid, 0);
    assert_true(filters_gone(&stage->filters));
    for (int i = 1; i < TALLY_PROCESSES; i++)
        assert_true(tally_process_add(&stage->tally, 1) >= 0);
}

static void test_ended(void **state)
{
    char text[64];
    (void)state;
    assert_string_equal(filters_ended(SIGKILL, text), "signal 9 (Killed)");
    assert_string_equal(filters_ended(EX_PROTOCOL << 8, text), "exit status 76");
    assert_string_equal(filters_ended(0, text), "exit status 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_start),         TEST(test_open_fails), TEST(test_hung),
        TEST(test_awake),         TEST(test_restart),    TEST(test_hung_while_draining),
        TEST(test_restart_fails), TEST(test_deaths),     TEST(test_deaths_far_apart),
        TEST(test_outdated),      TEST(test_stop),       TEST(test_many_restarts),
        TEST(test_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
