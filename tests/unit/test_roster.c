/* exporter/serve/roster.c: sorted, bounded, and nobody who is listed is forgotten for somebody new. */
#include "exporter/serve/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct roster roster;

static struct member *list(const char *name)
{
    return roster_list(&roster, name, strlen(name));
}

static void expect_sorted(void)
{
    for (unsigned i = 1; i < roster.count; i++)
        assert_true(strcmp(roster.members[i - 1]->name, roster.members[i]->name) < 0);
}

static void test_names(void **state)
{
    (void)state;
    roster_begin(&roster);
    struct member *b = list("b"), *a = list("a"), *c = list("c");
    assert_non_null(a);
    assert_ptr_equal(list("b"), b);
    assert_int_equal(roster.count, 3);
    assert_ptr_equal(roster.members[0], a);
    assert_ptr_equal(roster.members[1], b);
    assert_ptr_equal(roster.members[2], c);
    assert_null(list(""));
    assert_null(list("a b"));
    assert_null(roster_list(&roster, "a\0b", 3));
    assert_int_equal(roster.count, 3);
    roster_clear(&roster);
}

/* One that is away is known when it comes back, with what was shown of it. */
static void test_away_and_back(void **state)
{
    (void)state;
    roster_begin(&roster);
    struct member *a = list("a");
    a->unknown = 7;
    a->said.known = true;
    a->indexed_at = 1;
    roster_begin(&roster);
    assert_false(roster_lists(&roster, a));
    assert_non_null(list("b"));
    roster_begin(&roster);
    assert_ptr_equal(list("a"), a);
    assert_true(roster_lists(&roster, a));
    assert_int_equal(a->unknown, 7);
    assert_false(a->said.known); /* not yet in this reading */
    assert_int_equal(a->indexed_at, -1);
    roster_clear(&roster);
}

static struct member *list_number(int number)
{
    char name[32];
    snprintf(name, sizeof name, "mx%d", number);
    return list(name);
}

static void test_full(void **state)
{
    (void)state;
    roster_begin(&roster);
    for (int i = 0; i < ROSTER_MAX; i++)
        assert_non_null(list_number(i));
    assert_null(list("late")); /* all others are listed */
    expect_sorted();
    roster_begin(&roster);
    for (int i = 0; i < ROSTER_MAX; i++) {
        if (i != 500 && i != 7)
            list_number(i)->unknown = 1;
    }
    roster_begin(&roster);
    for (int i = 0; i < ROSTER_MAX; i++) {
        if (i != 500 && i != 7 && i != 3)
            list_number(i);
    }
    list_number(7)->unknown = 7;
    struct member *late = list("late"); /* takes the place of 500, which was away longest */
    assert_non_null(late);
    assert_int_equal(late->unknown, 0);
    assert_int_equal(roster.count, ROSTER_MAX);
    assert_int_equal(list_number(7)->unknown, 7);
    assert_int_equal(list_number(3)->unknown, 1);
    assert_null(list_number(500));
    expect_sorted();
    roster_clear(&roster);
    assert_int_equal(roster.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_away_and_back),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
