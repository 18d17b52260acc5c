/* exporter/collect/baseline_history.c: weeks on a clock of their own, against all samples sorted; days on which the clock is set. */
#include "exporter/collect/baseline_history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 24 * HOUR };
#define MIDNIGHT INT64_C(1791849600) /* 2026-10-13 00:00 UTC, 12 days before clocks are set back */
#define SPRING   INT64_C(1805328000) /* 2027-03-18 00:00 UTC, 10 days before they are set forward */
#define BERLIN   "CET-1CEST,M3.5.0,M10.5.0/3"

static struct baseline_signal signal_;

static int begin(void **state)
{
    (void)state;
    memset(&signal_, 0, sizeof signal_);
    return setenv("TZ", "UTC0", 1);
}

static bool usual_at(int64_t now, struct baseline_usual *usual)
{
    return baseline_usual(&signal_, baseline_time(now), usual);
}

/* Samples each minute, of what `value` says. */
static void pass(int64_t from, int64_t until, int64_t (*value)(int64_t now))
{
    for (int64_t now = from; now < until; now += MINUTE)
        baseline_add(&signal_, baseline_time(now), value(now));
}

static int64_t seven(int64_t now)
{
    (void)now;
    return 7;
}

static int64_t nine(int64_t now)
{
    (void)now;
    return 9;
}

/* Something of its own in each hour, other on each day, and rising in the hour. */
static int64_t uneven(int64_t now)
{
    return now / HOUR % 24 * 1000 + now / DAY * 7 % 11 * 20 + now / MINUTE % 60 * 3;
}

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

/* The share of all samples of this hour on the 14 days before which lie below a value, and not above it, in thousandths. */
static void share(int64_t now, int64_t millionths, unsigned *below, unsigned *not_above)
{
    int64_t values[14 * 60];
    unsigned count = 0;
    int64_t hour = now / HOUR * HOUR;
    for (int64_t day = 1; day <= 14; day++) {
        for (int64_t minute = 0; minute < 60; minute++)
            values[count++] = uneven(hour - day * DAY + minute * MINUTE) * 1000000;
    }
    qsort(values, count, sizeof values[0], compare);
    *below = *not_above = 0;
    for (unsigned i = 0; i < count; i++) {
        *below += values[i] < millionths;
        *not_above += values[i] <= millionths;
    }
    *below = *below * 1000 / count;
    *not_above = *not_above * 1000 / count;
}

static void test_weeks(void **state)
{
    (void)state;
    pass(MIDNIGHT, MIDNIGHT + 20 * DAY, uneven);
    for (int64_t now = MIDNIGHT + 20 * DAY; now < MIDNIGHT + 21 * DAY; now += HOUR) {
        struct baseline_usual usual;
        unsigned below, not_above;
        pass(now, now + 1, uneven);
        assert_true(usual_at(now, &usual));
        share(now, usual.median, &below, &not_above);
        assert_true(below <= 525 && not_above >= 475);
        share(now, usual.p95, &below, &not_above);
        assert_true(below <= 975 && not_above >= 925);
    }
}

/* Between two values that are next to each other. */
static void test_fractions(void **state)
{
    struct baseline_usual usual;
    (void)state;
    for (int64_t day = 0; day < 8; day++)
        pass(MIDNIGHT + day * DAY, MIDNIGHT + day * DAY + HOUR, day % 2 == 0 ? seven : nine);
    baseline_add(&signal_, baseline_time(MIDNIGHT + 8 * DAY), 1000);
    assert_true(usual_at(MIDNIGHT + 8 * DAY, &usual));
    assert_int_equal(usual.median, 8000000);
    assert_int_equal(usual.p95, 9000000);
}

static int64_t minute(int64_t now)
{
    return now / MINUTE % 60;
}

/* What is kept of an hour leans to neither side. */
static void test_middle(void **state)
{
    struct baseline_usual usual;
    (void)state;
    pass(MIDNIGHT, MIDNIGHT + 14 * DAY + 1, minute);
    assert_true(usual_at(MIDNIGHT + 14 * DAY, &usual));
    assert_int_equal(usual.median, 29500000);
    assert_in_range(usual.p95, 54500000, 57500000);
}

static void test_enough(void **state)
{
    struct baseline_usual usual;
    (void)state;
    for (int64_t day = 0; day < 7; day++) {
        assert_false(usual_at(MIDNIGHT + day * DAY, &usual));
        pass(MIDNIGHT + day * DAY, MIDNIGHT + day * DAY + HOUR + 1, seven);
    }
    assert_true(usual_at(MIDNIGHT + 7 * DAY, &usual));
    assert_false(usual_at(MIDNIGHT + 7 * DAY + HOUR, &usual)); /* another hour */
    assert_true(usual_at(MIDNIGHT + 14 * DAY, &usual));
    assert_false(usual_at(MIDNIGHT + 15 * DAY, &usual)); /* the first of them is too old */
}

/* The hour that runs is no part of what is usual, and what was two weeks ago is forgotten. */
static void test_two_weeks(void **state)
{
    struct baseline_usual usual;
    (void)state;
    pass(MIDNIGHT, MIDNIGHT + 14 * DAY, seven);
    pass(MIDNIGHT + 14 * DAY, MIDNIGHT + 14 * DAY + HOUR, nine);
    assert_true(usual_at(MIDNIGHT + 14 * DAY, &usual));
    assert_int_equal(usual.p95, 7000000);
    pass(MIDNIGHT + 14 * DAY + HOUR, MIDNIGHT + 14 * DAY + HOUR + 1, nine);
    assert_true(usual_at(MIDNIGHT + 14 * DAY, &usual)); /* the clock is set back into it */
    assert_int_equal(usual.p95, 7000000);
    pass(MIDNIGHT + 14 * DAY + HOUR, MIDNIGHT + 28 * DAY + 1, nine);
    assert_true(usual_at(MIDNIGHT + 28 * DAY, &usual));
    assert_int_equal(usual.median, 9000000);
}

/* An hour that was hardly seen says nothing, and one that was seen before stays. */
static void test_short_hours(void **state)
{
    struct baseline_usual usual;
    (void)state;
    for (int64_t day = 0; day < 7; day++)
        pass(MIDNIGHT + day * DAY, MIDNIGHT + day * DAY + (day == 3 ? 29 : 30) * MINUTE, seven);
    pass(MIDNIGHT + 6 * DAY + HOUR, MIDNIGHT + 6 * DAY + HOUR + 1, seven);
    assert_false(usual_at(MIDNIGHT + 7 * DAY, &usual));
    pass(MIDNIGHT + 7 * DAY, MIDNIGHT + 7 * DAY + HOUR + 1, seven);
    assert_true(usual_at(MIDNIGHT + 8 * DAY, &usual));
    pass(MIDNIGHT, MIDNIGHT + MINUTE, nine); /* the clock is set back for a moment */
    pass(MIDNIGHT + 8 * DAY, MIDNIGHT + 8 * DAY + 1, nine);
    assert_true(usual_at(MIDNIGHT + 8 * DAY, &usual));
    assert_int_equal(usual.p95, 7000000);
}

static void test_limits(void **state)
{
    struct baseline_usual usual;
    (void)state;
    for (int64_t day = 0; day < 8; day++) {
        for (int i = 0; i < 1000; i++)
            baseline_add(&signal_, baseline_time(MIDNIGHT + day * DAY), i < 60 ? -1 : (INT64_C(1) << 32) + 5);
    }
    assert_int_equal(signal_.count, BASELINE_SAMPLES_MAX);
    assert_true(usual_at(MIDNIGHT + 8 * DAY, &usual));
    assert_int_equal(usual.median, INT64_C(4294967295) * 1000000 / 2);
    assert_int_equal(usual.p95, INT64_C(4294967295) * 1000000);
    for (int64_t now = -3 * DAY; now < 3 * DAY; now += MINUTE) /* a clock that knows no time */
        baseline_add(&signal_, baseline_time(now), 1);
    for (unsigned i = 0; i < BASELINE_HOURS * BASELINE_DAYS; i++)
        assert_true(signal_.past[i / BASELINE_DAYS][i % BASELINE_DAYS].day >= 0);
}

/* ---- clocks that are set ---- */

static int64_t wall_hour(int64_t now)
{
    return baseline_time(now).hour;
}

static void expect_wall(int64_t now)
{
    struct baseline_usual usual;
    assert_true(usual_at(now, &usual));
    assert_int_equal(usual.median, wall_hour(now) * 1000000);
    assert_int_equal(usual.p95, wall_hour(now) * 1000000);
}

static unsigned days_kept(unsigned hour, int64_t day)
{
    unsigned days = 0;
    for (unsigned i = 0; i < BASELINE_DAYS; i++)
        days += signal_.past[hour][i].day == (int32_t)day;
    return days;
}

/* What follows the clock on the wall is as usual before the day and after it. */
static void test_clock_back(void **state)
{
    int64_t begin_day = MIDNIGHT - 2 * HOUR, day = MIDNIGHT / DAY + 12;
    (void)state;
    setenv("TZ", BERLIN, 1);
    assert_int_equal(baseline_time(begin_day).hour, 0);
    pass(begin_day, MIDNIGHT + 12 * DAY + HOUR, wall_hour); /* 03:00, and 02:00 again */
    assert_int_equal(wall_hour(MIDNIGHT + 12 * DAY), 2);
    assert_int_equal(wall_hour(MIDNIGHT + 12 * DAY + HOUR), 2);
    assert_int_equal(signal_.count, 60);
    pass(MIDNIGHT + 12 * DAY + HOUR, MIDNIGHT + 12 * DAY + 2 * HOUR, wall_hour);
    assert_int_equal(signal_.count, 120);
    pass(MIDNIGHT + 12 * DAY + 2 * HOUR, MIDNIGHT + 20 * DAY, wall_hour);
    assert_int_equal(days_kept(2, day), 1);
    for (int64_t now = MIDNIGHT + 20 * DAY; now < MIDNIGHT + 21 * DAY; now += HOUR)
        expect_wall(now);
}

static void test_clock_forward(void **state)
{
    int64_t day = SPRING / DAY + 10;
    (void)state;
    setenv("TZ", BERLIN, 1);
    pass(SPRING - HOUR, SPRING + 20 * DAY, wall_hour);
    assert_int_equal(wall_hour(SPRING + 10 * DAY + HOUR - 1), 1);
    assert_int_equal(wall_hour(SPRING + 10 * DAY + HOUR), 3);
    assert_int_equal(days_kept(1, day), 1);
    assert_int_equal(days_kept(2, day), 0);
    assert_int_equal(days_kept(3, day), 1);
    for (int64_t now = SPRING + 20 * DAY; now < SPRING + 21 * DAY; now += HOUR)
        expect_wall(now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_weeks, begin),         cmocka_unit_test_setup(test_fractions, begin),
        cmocka_unit_test_setup(test_middle, begin),        cmocka_unit_test_setup(test_enough, begin),
        cmocka_unit_test_setup(test_two_weeks, begin),     cmocka_unit_test_setup(test_short_hours, begin),
        cmocka_unit_test_setup(test_limits, begin),        cmocka_unit_test_setup(test_clock_back, begin),
        cmocka_unit_test_setup(test_clock_forward, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
