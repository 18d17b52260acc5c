/* conf/lib/observable.c: what cannot be seen is absent, what was seen once is shown, and all else is shown always. */
#include "conf/lib/observable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_hidden(void **state)
{
    static struct snapshot snapshot;
    const struct metric *metric = &catalogue[metric_auth_results_total];
    const unsigned gauge = gauge_observable + (unsigned)part_auth_results;
    (void)state;
    snapshot_clear(&snapshot);
    assert_false(observable_hides(&snapshot, metric)); /* nobody says */
    snapshot.gauges[gauge] = 0;
    assert_true(observable_hides(&snapshot, metric));
    snapshot.gauges[gauge] = 1;
    assert_false(observable_hides(&snapshot, metric));
    snapshot.gauges[gauge] = 0;
    snapshot.totals[metric->first + metric->slots - 1] = 1; /* it was seen before */
    assert_false(observable_hides(&snapshot, metric));
    snapshot.gauges[gauge] = GAUGE_ABSENT;
    assert_false(observable_hides(&snapshot, metric));
}

/* Every part hides something, and each of its rows hangs on it alone. */
static void test_parts(void **state)
{
    static struct snapshot snapshot;
    unsigned hidden_of_all = 0;
    (void)state;
    snapshot_clear(&snapshot);
    snapshot.has_node = true;
    for (unsigned part = 0; part < part_COUNT; part++)
        snapshot.gauges[gauge_observable + part] = 0;
    for (unsigned i = 0; i < metric_COUNT; i++)
        hidden_of_all += observable_hidden(&snapshot, &catalogue[i]);
    for (unsigned part = 0; part < part_COUNT; part++) {
        unsigned hidden = 0;
        snapshot.gauges[gauge_observable + part] = 1;
        for (unsigned i = 0; i < metric_COUNT; i++)
            hidden += observable_hidden(&snapshot, &catalogue[i]);
        assert_true(hidden < hidden_of_all);
        hidden_of_all = hidden;
    }
    assert_int_equal(hidden_of_all, 0);
}

static void test_others(void **state)
{
    static struct snapshot snapshot;
    (void)state;
    snapshot_clear(&snapshot);
    assert_false(observable_hides(&snapshot, &catalogue[metric_messages_total]));
    assert_false(observable_hides(&snapshot, &catalogue[metric_received_hops]));
    assert_false(observable_hides(&snapshot, &catalogue[metric_push_total]));
    assert_true(observable_hides(&snapshot, &catalogue[metric_bounces_sent_total])); /* there is no collector */
    snapshot.has_node = true;
    assert_false(observable_hides(&snapshot, &catalogue[metric_bounces_sent_total]));
}

/* Of the reasons of refusals those that come early: each series until it is seen, whatever the others are. */
static void test_series(void **state)
{
    static struct snapshot snapshot;
    const struct metric *rejects = &catalogue[metric_rejects_total], *codes = &catalogue[metric_reject_codes_total];
    const unsigned gauge = gauge_observable + (unsigned)part_early_refusals;
    const unsigned unknown = SERIES_2(rejects_total, class_user_unknown, reply_4xx) - rejects->first;
    const unsigned denied = SERIES_2(rejects_total, class_relay_denied, reply_5xx) - rejects->first;
    (void)state;
    snapshot_clear(&snapshot);
    assert_false(observable_hides_series(&snapshot, rejects, denied)); /* nobody says */
    snapshot.gauges[gauge] = 0;
    assert_true(observable_hides_series(&snapshot, rejects, denied));
    assert_false(observable_hides_series(&snapshot, rejects, unknown));
    assert_false(observable_hides_series(&snapshot, rejects, unknown + 1));
    assert_int_equal(observable_hidden(&snapshot, rejects), rejects->slots - 2);
    assert_int_equal(observable_hidden(&snapshot, codes), codes->slots - 1);
    assert_false(observable_hides_series(&snapshot, codes, code_c5_1_1));
    assert_true(observable_hides_series(&snapshot, codes, code_c5_1_10));
    snapshot.totals[rejects->first + denied] = 1;
    assert_false(observable_hides_series(&snapshot, rejects, denied));
    assert_true(observable_hides_series(&snapshot, rejects, denied - 1));
    assert_int_equal(observable_hidden(&snapshot, rejects), rejects->slots - 3);
    snapshot.gauges[gauge] = 1;
    assert_int_equal(observable_hidden(&snapshot, rejects), 0);
    assert_int_equal(observable_hidden(&snapshot, &catalogue[metric_messages_total]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hidden), cmocka_unit_test(test_parts),
                                       cmocka_unit_test(test_others), cmocka_unit_test(test_series)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
