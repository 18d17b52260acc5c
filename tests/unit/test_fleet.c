/* exporter/serve/fleet.c: readings of what a server may answer, right and wrong; and what is made of them. With a real server:
 * tests/system/test_fleet.py. */
#include "tests/kit/canned_redis.h"

#include "exporter/serve/fleet.c"
#include "exporter/serve/instance.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TIME_1000       "*2\r\n$4\r\n1000\r\n$1\r\n0\r\n"
#define ID_A            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B            "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PASSED          "milterscope_null_sender_total{source=\"local\"}"
#define SCORE(score)    ":1\r\n*2\r\n$3\r\nmx1\r\n$" score "\r\n" /* the length stands in it */
#define SIZES           ":1\r\n:0\r\n"
#define OWNER(id)       "$37\r\n" id ":boot\r\n"
#define META(id, at)    "*2\r\n" OWNER(id) "$" at "\r\n"
#define COUNTERS(value) "*2\r\n$45\r\n" PASSED "\r\n$" value "\r\n"
#define NONE            "*0\r\n"
#define AGAIN(id)       "*1\r\n" OWNER(id)
#define NOW             "4\r\n1000"

static struct fleet *fleet;

/* A whole reading; the text of the failure, or NULL. */
static const char *read_all(const char *replies)
{
    static struct failure failure;
    enum label_error error;
    enum fleet_progress progress = fleet_more;
    canned_load(replies, strlen(replies));
    fleet_begin(fleet);
    while (progress == fleet_more) {
        canned_exchange();
        fleet_ask(fleet, NULL);
        progress = fleet_take(fleet, NULL, &error, &failure);
    }
    return progress == fleet_failed ? failure.text : NULL;
}

static struct fleet_view *view_of(const char *replies)
{
    assert_null(read_all(replies));
    struct fleet_view *view = fleet_show(fleet);
    assert_non_null(view);
    return view;
}

/* One instance, that has or has not this total. */
static void expect(const char *replies, bool up, bool has_totals, uint64_t total)
{
    struct fleet_view *view = view_of(replies);
    assert_int_equal(view->count, 1);
    assert_string_equal(view->rows[0].name, "mx1");
    assert_int_equal(view->rows[0].up, up);
    assert_int_equal(view->rows[0].values.gauges[gauge_instance_up], up);
    assert_int_equal(view->silent, !up);
    assert_int_equal(view->rows[0].values.has_totals, has_totals);
    assert_int_equal(view->rows[0].values.totals[SERIES_1(null_sender_total, source_local)], total);
    fleet_view_release(view);
}

static int set_up(void **state)
{
    (void)state;
    fleet = fleet_new();
    return fleet == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    fleet_free(fleet);
    redis_pipeline_free(&canned);
    canned = (struct redis_pipeline){0};
    return 0;
}

static void test_floor(void **state)
{
    (void)state;
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_A, NOW) COUNTERS("2\r\n50") NONE AGAIN(ID_A), true, true, 50);
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_A, NOW) COUNTERS("2\r\n40") NONE AGAIN(ID_A), true, true, 50);
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_B, NOW) COUNTERS("1\r\n7") NONE AGAIN(ID_B), true, true, 7);
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_A, NOW) COUNTERS("1\r\n1") NONE AGAIN(ID_A), true, true, 50);
    /* While the owner changes nobody knows whose values these are. */
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_A, NOW) COUNTERS("2\r\n60") NONE AGAIN(ID_B), true, false, 0);
}

static void test_silence(void **state)
{
    (void)state;
    expect(TIME_1000 SCORE("3\r\n700") SIZES META(ID_A, "3\r\n700") COUNTERS("1\r\n5") NONE AGAIN(ID_A), true, true, 5);
    expect(TIME_1000 SCORE("3\r\n699"), false, false, 0); /* not even asked */
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_A, "3\r\n699") COUNTERS("1\r\n5") NONE AGAIN(ID_A), false, false, 0);
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_A, "4\r\n1300") COUNTERS("1\r\n5") NONE AGAIN(ID_A), true, true, 5);
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_A, "4\r\n1301") COUNTERS("1\r\n5") NONE AGAIN(ID_A), false, false, 0);
    expect(TIME_1000 SCORE("3\r\ninf") SIZES META(ID_A, NOW) COUNTERS("1\r\n5") NONE AGAIN(ID_A), true, true, 5);
    expect(TIME_1000 SCORE("3\r\ninf") SIZES "*2\r\n$-1\r\n$-1\r\n" NONE NONE "*1\r\n$-1\r\n", false, false, 0);
}

/* The fields of each reading are added. */
static void test_unknown(void **state)
{
    static const char replies[] = TIME_1000 SCORE(NOW)
        SIZES META(ID_A, NOW) "*4\r\n$1\r\nx\r\n$1\r\n1\r\n$45\r\n" PASSED "\r\n$2\r\n-1\r\n" NONE AGAIN(ID_A);
    (void)state;
    for (int i = 1; i <= 3; i++) {
        struct fleet_view *view = view_of(replies);
        assert_int_equal(view->rows[0].values.gauges[gauge_unknown_series_total], 2 * i);
        fleet_view_release(view);
    }
}

static void test_left_out(void **state)
{
    static const char *const wrong[] = {
        TIME_1000 SCORE(NOW) "-WRONGTYPE of another kind\r\n:0\r\n",
        TIME_1000 SCORE(NOW) ":0\r\n-WRONGTYPE of another kind\r\n",
        TIME_1000 SCORE(NOW) ":4097\r\n:0\r\n",
        TIME_1000 SCORE(NOW) SIZES "-WRONGTYPE of another kind\r\n" NONE NONE "-WRONGTYPE of another kind\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect(wrong[i], true, false, 0);
        struct fleet_view *view = view_of(wrong[i]);
        assert_int_equal(view->unreadable, 1);
        assert_memory_equal(view->wrong, "mx1: ", 5);
        fleet_view_release(view);
    }
    struct fleet_view *view = view_of(TIME_1000 ":0\r\n*0\r\n");
    assert_int_equal(view->unreadable + view->count + view->silent, 0);
    fleet_view_release(view);
}

static void test_failures(void **state)
{
    static const char *const wrong[][2] = {
        {"", "ZCARD ms1:instances: the answer is of another kind"},
        {TIME_1000 "-NOPERM no\r\n*0\r\n", "ZCARD ms1:instances: NOPERM no"},
        {TIME_1000 ":1\r\n-WRONGTYPE no\r\n", "ZREVRANGE ms1:instances: WRONGTYPE no"},
        {TIME_1000 SCORE(NOW) "-LOADING\r\n:0\r\n", "HLEN: LOADING"},
        {TIME_1000 SCORE(NOW) SIZES META(ID_A, NOW) "-LOADING\r\n" NONE NONE, "HGETALL counters: LOADING"},
        {TIME_1000 SCORE(NOW) SIZES META(ID_A, NOW) NONE NONE, "HMGET meta: the answer is of another kind"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *text = read_all(wrong[i][0]);
        assert_non_null(text);
        assert_string_equal(text, wrong[i][1]);
    }
    expect(TIME_1000 SCORE(NOW) SIZES META(ID_A, NOW) COUNTERS("1\r\n5") NONE AGAIN(ID_A), true, true, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_floor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
