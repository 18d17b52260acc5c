/* milter/supervisor/pusher_watch.c: the life of the pusher, on a clock of its own, with children that are no processes. */
#include "tests/unit/children.h"

#include "milter/supervisor/pusher_watch.c"

#include <cmocka.h>

struct stage {
    struct settings settings;
    struct tally tally;
    struct child_kit kit;
    struct pusher_watch watch;
};

static int begin(void **state)
{
    static struct stage stage;
    struct failure failure;
    stage = (struct stage){.settings = {.milter_drain = 0}};
    form_fresh(&stage.tally);
    stage.kit = (struct child_kit){"/nowhere", &stage.settings, &stage.tally, -1, -1};
    children_now_ms = 1000000;
    children_last = 0;
    children_fail = false;
    children_events[0] = '\0';
    *state = &stage;
    return !pusher_open(&stage.watch, &stage.kit, &failure);
}

static int end(void **state)
{
    struct stage *stage = *state;
    form_free(&stage->tally);
    return 0;
}

static void expect(const char *events)
{
    assert_string_equal(children_events, events);
    children_events[0] = '\0';
}

static void beat(struct stage *stage)
{
    if (stage->watch.child.pid != 0)
        atomic_store(&tally_file_process(stage->tally.header, (unsigned)stage->watch.child.process)->heartbeat_ms,
                     children_now_ms);
}

/* Lets time pass in ticks, with a heart that beats. */
static void pass(struct stage *stage, int64_t milliseconds)
{
    for (int64_t end_ms = children_now_ms + milliseconds; children_now_ms < end_ms;) {
        children_now_ms += 50;
        beat(stage);
        pusher_step(&stage->watch, children_now_ms);
    }
}

static uint64_t restarts(const struct stage *stage)
{
    return atomic_load(&stage->tally.totals[SERIES_0(pusher_restarts_total)]);
}

static void die(struct stage *stage, int status)
{
    assert_true(pusher_reaped(&stage->watch, stage->watch.child.pid, status, children_now_ms));
    assert_true(pusher_gone(&stage->watch));
    assert_true(pusher_healthy(&stage->watch, children_now_ms));
}

static void test_hung(void **state)
{
    struct stage *stage = *state;
    expect("start 101 milterscope-pusher\n");
    pass(stage, 60000);
    children_now_ms += SILENT_MS;
    pusher_step(&stage->watch, children_now_ms);
    assert_true(pusher_healthy(&stage->watch, children_now_ms));
    expect("");
    children_now_ms += 1;
    assert_false(pusher_healthy(&stage->watch, children_now_ms));
    pusher_awake(&stage->watch, children_now_ms); /* it was we who stood still */
    pusher_step(&stage->watch, children_now_ms);
    assert_true(pusher_healthy(&stage->watch, children_now_ms));
    expect("");
    children_now_ms += SILENT_MS + 1;
    pusher_step(&stage->watch, children_now_ms);
    expect("kill 101\n");
    assert_false(pusher_reaped(&stage->watch, 999, 0, children_now_ms));
    die(stage, SIGKILL);
    assert_int_equal(restarts(stage), 1);
    pass(stage, 200);
    expect("start 102 milterscope-pusher\n");
}

/* One that SIGKILL does not end is left behind, and what is told of its end later is nobody's. */
static void test_held_by_the_disk(void **state)
{
    struct stage *stage = *state;
    pass(stage, 1000);
    expect("start 101 milterscope-pusher\n");
    children_now_ms += SILENT_MS + 1;
    pusher_step(&stage->watch, children_now_ms);
    expect("kill 101\n");
    children_now_ms += KILLED_MS;
    pusher_step(&stage->watch, children_now_ms);
    assert_false(stage->watch.held);
    expect(""); /* killed once */
    children_now_ms += 1;
    pusher_step(&stage->watch, children_now_ms);
    assert_true(stage->watch.held);
    assert_int_equal(restarts(stage), 1);
    pusher_step(&stage->watch, children_now_ms);
    expect("start 102 milterscope-pusher\n");
    assert_false(pusher_reaped(&stage->watch, 101, SIGKILL, children_now_ms));
    pusher_stop(&stage->watch);
    expect("send 102 S\n");
    die(stage, EX_OK);
    assert_true(stage->watch.clean && !stage->watch.held); /* the disk went on meanwhile */
}

/* A stop comes to its end, and without a copy. */
static void test_held_at_the_stop(void **state)
{
    struct stage *stage = *state;
    pusher_stop(&stage->watch);
    pass(stage, STOP_MS + 50);
    expect("start 101 milterscope-pusher\nsend 101 S\nkill 101\n");
    pass(stage, KILLED_MS + 100);
    assert_true(pusher_gone(&stage->watch) && stage->watch.held && !stage->watch.clean);
    pass(stage, 60000);
    expect("");
}

/* One that dies young is started later and later, half a minute at most; one that lived is started soon again. */
static void test_delays(void **state)
{
    struct stage *stage = *state;
    int64_t waited = 0;
    expect("start 101 milterscope-pusher\n");
    for (int i = 0; i < 12; i++) {
        int64_t died_ms = children_now_ms;
        die(stage, 1 << 8);
        while (stage->watch.child.pid == 0)
            pass(stage, 50);
        assert_true(children_now_ms - died_ms > waited || waited >= DELAY_MOST_MS);
        waited = children_now_ms - died_ms;
        assert_true(waited <= 2 * DELAY_MOST_MS);
    }
    assert_true(waited >= DELAY_MOST_MS);
    assert_int_equal(restarts(stage), 12);
    pass(stage, OLD_AGE_MS + 50);
    die(stage, SIGSEGV);
    children_events[0] = '\0';
    pass(stage, DELAY_LEAST_MS);
    expect("start 114 milterscope-pusher\n");
}

static void test_cannot_start(void **state)
{
    struct stage *stage = *state;
    die(stage, SIGSEGV);
    children_events[0] = '\0';
    children_fail = true;
    pass(stage, 200);
    expect("");
    assert_false(children_fail);
    pass(stage, 200);
    expect("start 102 milterscope-pusher\n");
}

/* A planned restart is no death. */
static void test_restart(void **state)
{
    struct stage *stage = *state;
    pusher_restart(&stage->watch);
    pusher_restart(&stage->watch);
    pusher_reload(&stage->watch, 7);
    expect("start 101 milterscope-pusher\nsend 101 D\nsend 101 L fd\n");
    die(stage, 0);
    assert_false(stage->watch.clean);
    pass(stage, 50);
    expect("start 102 milterscope-pusher\n");
    assert_int_equal(restarts(stage), 0);
    pusher_restart(&stage->watch);
    pass(stage, STOP_MS);
    expect("send 102 D\n");
    pass(stage, 50);
    expect("kill 102\n");
    pass(stage, KILLED_MS); /* killed once, and waited for */
    expect("");
    die(stage, SIGKILL);
    assert_int_equal(restarts(stage), 1);
}

/* Only one that was told to stop, and ended by itself and well, has made the last copy. */
static void test_stop(void **state)
{
    struct stage *stage = *state;
    pusher_stop(&stage->watch);
    expect("start 101 milterscope-pusher\nsend 101 S\n");
    assert_false(pusher_gone(&stage->watch));
    pass(stage, 1000);
    die(stage, 0);
    assert_true(stage->watch.clean);
    pass(stage, 60000);
    expect("");
}

static void test_stop_fails(void **state)
{
    static const int statuses[] = {EX_IOERR << 8, SIGKILL};
    for (size_t i = 0; i < 2; i++) {
        if (i > 0)
            assert_int_equal(end(state) + begin(state), 0);
        struct stage *stage = *state;
        pusher_stop(&stage->watch);
        die(stage, statuses[i]);
        assert_false(stage->watch.clean);
        pass(stage, 60000);
        expect("start 101 milterscope-pusher\nsend 101 S\n");
    }
}

static void test_stop_while_dead(void **state)
{
    struct stage *stage = *state;
    die(stage, SIGSEGV);
    pusher_stop(&stage->watch);
    assert_true(pusher_gone(&stage->watch));
    assert_false(stage->watch.clean);
    pass(stage, 60000);
    expect("start 101 milterscope-pusher\n");
}

/* It may have ended for the restart, before it heard of the stop. */
static void test_stop_while_restarting(void **state)
{
    struct stage *stage = *state;
    pusher_restart(&stage->watch);
    pusher_stop(&stage->watch);
    expect("start 101 milterscope-pusher\nsend 101 D\nsend 101 S\n");
    die(stage, 0);
    assert_false(stage->watch.clean);
    pass(stage, 60000);
    expect("");
}

static void test_open_fails(void **state)
{
    struct stage *stage = *state;
    struct failure failure;
    children_fail = true;
    assert_false(pusher_open(&stage->watch, &stage->kit, &failure));
    assert_int_equal(failure.status, EX_OSERR);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hung),
        TEST(test_delays),
        TEST(test_cannot_start),
        TEST(test_restart),
        TEST(test_stop),
        TEST(test_stop_fails),
        TEST(test_stop_while_dead),
        TEST(test_stop_while_restarting),
        TEST(test_open_fails),
        TEST(test_held_by_the_disk),
        TEST(test_held_at_the_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
