/* conf/lib/places.c: gauges with names of the operator's, by text and by number, both ways. */
#include "conf/lib/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int find(const struct places *places, const char *text)
{
    return places_find_gauge(places, text, strlen(text));
}

static void test_names(void **state)
{
    char longest[PLACE_MAX + 2];
    static const char *const good[] = {"a", "mqueue.in", "/var/log", "127.0.0.1:25", "[::1]:25", "3.7.11", "a#0"};
    static const char *const bad[] = {"", "#0", "a b", "a\"", "a\\", "a\n", "\x7f", "\xc3\xa4"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(places_is_name(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(places_is_name(bad[i], strlen(bad[i])));
    memset(longest, 'x', sizeof longest);
    assert_true(places_is_name(longest, PLACE_MAX));
    assert_false(places_is_name(longest, PLACE_MAX + 1));
}

/* Every gauge with a place has a text once there is a name, and is found by it; no place has two kinds. */
static void test_there_and_back(void **state)
{
    static struct places places;
    char text[SERIES_TEXT_MAX];
    unsigned placed = 0;
    (void)state;
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        const struct metric *metric = catalogue_gauge_metric(i);
        if (places_of(metric, i - metric->first) >= 0)
            assert_int_equal(places_series(&places, metric, i - metric->first, text), 0);
    }
    for (unsigned i = 0; i < PLACES_COUNT; i++)
        snprintf(places.names[i], PLACE_BYTES, "name-%u", i);
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        const struct metric *metric = catalogue_gauge_metric(i);
        placed += places_of(metric, i - metric->first) >= 0;
        assert_true(places_series(&places, metric, i - metric->first, text) > 0);
        assert_int_equal(find(&places, text), i);
    }
    assert_true(placed > 8 * age_COUNT);
}

/* Names get places in the order in which they come, as long as there are some; the same name has one place in each metric. */
static void test_take(void **state)
{
    static struct places places;
    char text[SERIES_TEXT_MAX];
    (void)state;
    for (int i = 0; i < 9; i++) {
        int length = snprintf(text, sizeof text, "milterscope_queue_age_messages{queue=\"q%d\",age=\"1h-4h\"}", i);
        int expected = (int)gauge_queue_age_messages + ((int)queue_own_0 + i) * (int)age_COUNT + (int)age_to_4h;
        assert_int_equal(places_take_gauge(&places, text, (size_t)length), i < 8 ? expected : -1);
    }
    assert_int_equal(find(&places, "milterscope_queue_messages{queue=\"q3\"}"),
                     gauge_queue_messages + (int)queue_own_0 + 3);
    assert_int_equal(find(&places, "milterscope_baseline_p95{signal=\"q3\"}"),
                     gauge_baseline_p95 + (int)signal_own_0 + 3);
    assert_int_equal(find(&places, "milterscope_queue_messages{queue=\"q8\"}"), -1);
    assert_int_equal(find(&places, "milterscope_queue_messages{queue=\"deferred\"}"),
                     gauge_queue_messages + (int)queue_deferred);
    static const char *const none[] = {
        "",
        "milterscope_queue_messages",
        "milterscope_queue_messages{queue=\"#0\"}",
        "{queue=\"",
        "milterscope_nothing{queue=\"q3\"}",
        "milterscope_queue_messages{queue=\"a b\"}",
        "queue=\"q3\"}",
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(find(&places, none[i]), -1);
        assert_int_equal(places_take_gauge(&places, none[i], strlen(none[i])), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
