/* exporter/serve/shown.c: totals of one tally never step back, and a new tally begins anew. */
#include "exporter/serve/shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/* What is shown of the first and the last total when the source says these. */
static void expect(struct shown *shown, const char *id, uint64_t first, uint64_t last, uint64_t shown_first,
                   uint64_t shown_last)
{
    uint64_t totals[total_COUNT] = {0};
    totals[0] = first;
    totals[total_COUNT - 1] = last;
    shown_raise(shown, id, totals);
    assert_int_equal(totals[0], shown_first);
    assert_int_equal(totals[total_COUNT - 1], shown_last);
    assert_int_equal(totals[1], 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_back),
        cmocka_unit_test(test_tallies_apart),
        cmocka_unit_test(test_many_tallies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
