/* milter/pusher/ahead.c: when readers are shown what is kept, and when everything. What the copier does, the test says. */
#include "milter/pusher/ahead.c"

#include "tests/unit/tally_form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t named; /* the server that the copy names */
static bool marking;   /* copies are to bear the mark */
static enum copier_marked marked;

bool copier_names(uint64_t server)
{
    return server == named;
}

void copier_mark(bool ahead)
{
    marking = ahead;
    marked = copier_mark_pending;
}

enum copier_marked copier_marked(void)
{
    return marked;
}

enum { SERVER = 4711, TOTAL = SERIES_0(push_total), OFTEN = 1000, SELDOM = AHEAD_INTERVAL_MS + 1 };
static struct tally tally;
static int64_t now_ms; /* the test's clock */

static int begin(void **state)
{
    (void)state;
    form_fresh(&tally);
    named = SERVER;
    marking = true;
    ahead_start(&tally);
    now_ms = tally_clock_ms();
    atomic_store(&tally.header->kept_ms, now_ms);
    return 0;
}

static int end(void **state)
{
    (void)state;
    form_free(&tally);
    return 0;
}

static void pass(int64_t milliseconds, int64_t interval_ms)
{
    now_ms += milliseconds;
    ahead_tick(now_ms, interval_ms);
}

static uint64_t kept(void)
{
    return atomic_load(&tally.kept[TOTAL]);
}

/* A push of all that was counted so far. */
static void push_all(uint64_t server)
{
    static uint64_t totals[total_COUNT];
    ahead_pushing();
    totals[TOTAL] = atomic_load(&tally.totals[TOTAL]);
    ahead_pushed(totals, server);
}

static void expect(enum tally_ahead ahead, uint64_t total, bool mark)
{
    assert_int_equal(atomic_load(&tally.header->ahead), ahead);
    assert_int_equal(kept(), total);
    assert_int_equal(marking, mark);
}

/* What Redis takes is kept as soon as the copy names the server that took it. */
static void test_kept(void **state)
{
    (void)state;
    expect(tally_kept_only, 0, false);
    tally_add(&tally, TOTAL, 3);
    push_all(SERVER);
    tally_add(&tally, TOTAL, 1);
    pass(100, OFTEN);
    expect(tally_kept_only, 3, false);
    assert_int_equal(atomic_load(&tally.header->server), SERVER);
    named = 0; /* another server by now */
    push_all(SERVER + 1);
    pass(100, OFTEN);
    expect(tally_kept_only, 3, false);
    named = SERVER + 1;
    pass(100, OFTEN);
    expect(tally_kept_only, 4, false);
}

/* Redis takes nothing: first the mark, then everything is shown; a disk that does nothing is not waited for without end. */
static void test_ahead(void **state)
{
    static const struct {
        enum copier_marked marked;
        int64_t wait_ms;
    } rows[] = {{copier_mark_done, 100}, {copier_mark_failed, 100}, {copier_mark_pending, AHEAD_MARK_MS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (i > 0)
            end(state), begin(state);
        pass(AHEAD_AFTER_MS - 1, OFTEN);
        expect(tally_kept_only, 0, false);
        pass(1, OFTEN);
        expect(tally_kept_only, 0, true);
        pass(rows[i].wait_ms - 1, OFTEN);
        expect(tally_kept_only, 0, true);
        marked = rows[i].marked;
        pass(1, OFTEN);
        expect(tally_is_ahead, 0, true);
    }
}

/* Redis is back before the mark was there: nothing more was shown, and nothing is to be marked. */
static void test_just_in_time(void **state)
{
    (void)state;
    pass(AHEAD_AFTER_MS, OFTEN);
    expect(tally_kept_only, 0, true);
    push_all(SERVER);
    pass(100, OFTEN);
    expect(tally_kept_only, 0, false);
    pass(AHEAD_AFTER_MS - 100, OFTEN);
    expect(tally_kept_only, 0, false);
}

static void go_ahead_now(void)
{
    pass(AHEAD_AFTER_MS, OFTEN);
    marked = copier_mark_done;
    pass(100, OFTEN);
    assert_int_equal(atomic_load(&tally.header->ahead), tally_is_ahead);
}

/* Redis is back: all that was shown counts as kept, and the mark stays until a push has brought all of it. */
static void test_back(void **state)
{
    (void)state;
    tally_add(&tally, TOTAL, 5);
    go_ahead_now();
    ahead_pushing();
    tally_add(&tally, TOTAL, 2);
    static const uint64_t none[total_COUNT];
    ahead_pushed(none, SERVER);
    pass(100, OFTEN);
    expect(tally_ahead_ends, 7, true);
    tally_add(&tally, TOTAL, 1);
    pass(100, OFTEN);
    expect(tally_ahead_ends, 7, true);
    push_all(SERVER);
    pass(100, OFTEN);
    expect(tally_kept_only, 8, false);
}

/* A push that began while everything was shown does not bring what was shown after it began. */
static void test_push_of_before(void **state)
{
    (void)state;
    static const uint64_t none[total_COUNT];
    go_ahead_now();
    push_all(SERVER);
    ahead_pushing();
    tally_add(&tally, TOTAL, 4);
    pass(100, OFTEN);
    expect(tally_ahead_ends, 4, true);
    ahead_pushed(none, SERVER);
    pass(100, OFTEN);
    expect(tally_ahead_ends, 4, true);
}

/* And is away again. */
static void test_away_again(void **state)
{
    (void)state;
    go_ahead_now();
    push_all(SERVER);
    pass(100, OFTEN);
    expect(tally_ahead_ends, 0, true);
    pass(AHEAD_AFTER_MS, OFTEN);
    expect(tally_is_ahead, 0, true);
}

static void test_pushes_are_seldom(void **state)
{
    (void)state;
    push_all(SERVER);
    pass(100, SELDOM);
    expect(tally_kept_only, 0, true);
    marked = copier_mark_done;
    pass(100, SELDOM);
    expect(tally_is_ahead, 0, true);
    push_all(SERVER);
    pass(100, SELDOM);
    expect(tally_is_ahead, 0, true);
    push_all(SERVER);
    pass(100, OFTEN); /* reloaded */
    expect(tally_ahead_ends, 0, true);
}

/* While totals settle nothing is shown. */
static void test_settling(void **state)
{
    (void)state;
    atomic_store(&tally.header->state, tally_settling);
    pass(TALLY_SETTLE_MS, OFTEN);
    expect(tally_kept_only, 0, false);
}

/* Pushers that die soon do not put off that everything is shown. */
static void test_pushers_die(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        ahead_start(&tally);
        pass(AHEAD_AFTER_MS / 4, OFTEN);
    }
    expect(tally_kept_only, 0, true);
}

/* The pusher before left it so, and what it knew is not known. */
static void test_next_pusher(void **state)
{
    (void)state;
    go_ahead_now();
    tally_end_ahead(&tally);
    ahead_start(&tally);
    expect(tally_ahead_ends, 0, true);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kept),           TEST(test_ahead),       TEST(test_just_in_time),      TEST(test_back),
        TEST(test_push_of_before), TEST(test_away_again),  TEST(test_pushes_are_seldom), TEST(test_settling),
        TEST(test_next_pusher),    TEST(test_pushers_die),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
