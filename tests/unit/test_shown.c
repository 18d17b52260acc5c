/* exporter/serve/shown.c: totals of one tally never step back, and a new tally begins anew. */
#include "exporter/serve/shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/* What is shown of the first and the last total when the source says these. */
static void expect(struct shown *shown, const char *id, uint64_t first, uint64_t last, uint64_t shown_first,
                   uint64_t shown_last)
{
    struct snapshot values;
    snapshot_clear(&values);
    values.totals[0] = first;
    values.totals[total_node - 1] = last;
    shown_raise(shown, id, &values);
    assert_int_equal(values.totals[0], shown_first);
    assert_int_equal(values.totals[total_node - 1], shown_last);
    assert_int_equal(values.totals[1], 0);
}

static void test_never_back(void **state)
{
    (void)state;
    struct shown *shown = calloc(1, sizeof *shown);
    assert_non_null(shown);
    expect(shown, a, 5, 100, 5, 100);
    expect(shown, a, 7, 90, 7, 100);
    expect(shown, a, 0, 0, 7, 100);
    expect(shown, a, 8, 101, 8, 101);
    free(shown);
}

static void test_tallies_apart(void **state)
{
    (void)state;
    struct shown *shown = calloc(1, sizeof *shown);
    assert_non_null(shown);
    expect(shown, a, 5, 100, 5, 100);
    expect(shown, b, 1, 2, 1, 2);
    expect(shown, a, 4, 99, 5, 100);
    expect(shown, b, 0, 0, 1, 2);
    free(shown);
}

/* Of many tallies the oldest is forgotten, not the newest. */
static void test_many_tallies(void **state)
{
    (void)state;
    struct shown *shown = calloc(1, sizeof *shown);
    assert_non_null(shown);
    expect(shown, a, 5, 100, 5, 100);
    for (int i = 0; i < SHOWN_TALLIES; i++) {
        char id[TALLY_ID_BYTES];
        snprintf(id, sizeof id, "%032d", i);
        expect(shown, id, 1, 2, 1, 2);
        expect(shown, id, 0, 0, 1, 2);
    }
    expect(shown, "00000000000000000000000000000003", 0, 0, 1, 2);
    expect(shown, a, 3, 4, 3, 4);
    free(shown);
}

/* Shows one domain, with so many lost messages; returns what comes of it. */
static uint64_t show_domain(struct shown *shown, const char *name, unsigned place, uint64_t lost)
{
    struct snapshot values;
    snapshot_clear(&values);
    strcpy(values.domains.names[place], name);
    values.domains.shown = UINT64_C(1) << place;
    values.totals[SERIES_2(domain_messages_total, place, verdict_lost)] = lost;
    shown_raise(shown, a, &values);
    for (unsigned i = 0; i < catalogue[metric_domain_messages_total].slots; i++)
        assert_true(i == place * verdict_COUNT + verdict_lost || values.totals[total_domain_messages_total + i] == 0);
    assert_int_equal(values.domains.shown, UINT64_C(1) << place);
    return values.totals[SERIES_2(domain_messages_total, place, verdict_lost)];
}

/* By name, in whatever place; one that is away meanwhile comes back with what it had, until there have been too many others. */
static void test_domains(void **state)
{
    (void)state;
    struct shown *shown = calloc(1, sizeof *shown);
    char name[DOMAIN_BYTES];
    assert_non_null(shown);
    assert_int_equal(show_domain(shown, "a.test", 0, 7), 7);
    assert_int_equal(show_domain(shown, "b.test", 0, 3), 3);
    assert_int_equal(show_domain(shown, "a.test", 63, 5), 7);
    assert_int_equal(show_domain(shown, "b.test", 1, 4), 4);
    for (unsigned i = 0; i < DOMAINS_MAX; i++) {
        snprintf(name, sizeof name, "d%u.test", i);
        assert_int_equal(show_domain(shown, name, i, i), i);
        assert_int_equal(show_domain(shown, name, 0, 0), i);
    }
    assert_int_equal(show_domain(shown, "a.test", 0, 1), 1);
    free(shown);
}

/* As many as there can be, all others than before. */
static void test_other_domains(void **state)
{
    (void)state;
    struct shown *shown = calloc(1, sizeof *shown);
    assert_non_null(shown);
    for (unsigned turn = 0; turn < 4; turn++) {
        struct snapshot values;
        snapshot_clear(&values);
        values.domains.shown = UINT64_MAX;
        for (unsigned place = 0; place < DOMAINS_MAX; place++) {
            snprintf(values.domains.names[place], DOMAIN_BYTES, "d%u.test", place + turn / 2 * DOMAINS_MAX);
            values.totals[SERIES_2(domain_recipients_total, place, outcome_refused)] = turn % 2 == 0 ? 1 + place : 0;
        }
        shown_raise(shown, a, &values);
        for (unsigned place = 0; place < DOMAINS_MAX; place++)
            assert_int_equal(values.totals[SERIES_2(domain_recipients_total, place, outcome_refused)], 1 + place);
    }
    free(shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_back), cmocka_unit_test(test_tallies_apart), cmocka_unit_test(test_many_tallies),
        cmocka_unit_test(test_domains),    cmocka_unit_test(test_other_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
