/* milter/supervisor/filters.c on a stage: on a clock of its own, with children that are no processes and checks that are answered as the test
 * says. What is done to whom is compared as a whole. */
#ifndef TESTS_UNIT_FILTERS_STAGE_H
#define TESTS_UNIT_FILTERS_STAGE_H

#include "tests/unit/children.h"

static enum check_result next_result;
static uint64_t callbacks; /* finished a tick */

static enum check_result fake_check_step(struct check *check, int listener, int64_t now_ms)
{
    enum check_result result = next_result;
    (void)listener;
    if (result != check_pending)
        check->answered_ms = now_ms;
    return result;
}

#define check_step fake_check_step
#include "milter/supervisor/filters.c"

#include <cmocka.h>

struct stage {
    struct settings settings;
    struct tally tally;
    struct child_kit kit;
    struct filters filters;
};

static inline int begin(void **state)
{
    static struct stage stage;
    struct failure failure;
    stage = (struct stage){.settings = {.milter_drain = 30 * 1000000}};
    form_fresh(&stage.tally);
    stage.kit = (struct child_kit){"/nowhere", &stage.settings, &stage.tally, -1, -1};
    children_now_ms = 1000000;
    children_last = 0;
    children_fail = children_open_fails = false;
    children_events[0] = '\0';
    next_result = check_pending;
    callbacks = 0;
    *state = &stage;
    return !filters_open(&stage.filters, &stage.kit, &failure);
}

static inline int end(void **state)
{
    struct stage *stage = *state;
    form_free(&stage->tally);
    return 0;
}

/* What happened since the last time. */
static inline void expect(const char *events)
{
    assert_string_equal(children_events, events);
    children_events[0] = '\0';
}

static inline void beat(struct stage *stage, const struct child *child)
{
    struct tally its_own = stage->tally;
    if (child->pid == 0)
        return;
    tally_use(&its_own, child->process);
    atomic_store(&its_own.self->heartbeat_ms, children_now_ms);
    tally_progress(&its_own, tally_process_progress(&its_own, child->process) + callbacks);
}

/* Lets time pass in ticks; filters beat as long as they live. */
static inline void pass(struct stage *stage, int64_t milliseconds)
{
    for (int64_t end_ms = children_now_ms + milliseconds; children_now_ms < end_ms;) {
        children_now_ms += 200;
        beat(stage, &stage->filters.active);
        beat(stage, &stage->filters.next);
        for (size_t i = 0; i < FILTERS_DRAINING; i++)
            beat(stage, &stage->filters.draining[i]);
        filters_step(&stage->filters, children_now_ms);
    }
}

static inline void die(struct stage *stage, pid_t pid, int status)
{
    assert_true(filters_reaped(&stage->filters, pid, status, children_now_ms));
}

static inline int64_t up(const struct stage *stage)
{
    return atomic_load(&stage->tally.self->gauges[gauge_filter_up]);
}

static inline uint64_t restarts(const struct stage *stage)
{
    return atomic_load(&stage->tally.totals[SERIES_0(filter_restarts_total)]);
}

static inline void serve(struct stage *stage)
{
    stage->filters.active.ready = true;
    next_result = check_answered;
    pass(stage, 200);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

#endif
