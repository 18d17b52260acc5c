/* exporter/collect/failures.c: several failures in one sentence. */
#include "exporter/collect/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#undef fail

/* All failures of a run are in its sentence, or that there are more. */
static void test_failures(void **state)
{
    struct failure all = {EX_OK, ""}, one;
    (void)state;
    fail(&one, EX_CONFIG, "%0200d", 1);
    for (int i = 0; i < 5; i++)
        assert_false(failures_add(&all, &one));
    assert_int_equal(strlen(all.text), 200 + 2 + 200 + strlen("; and more"));
    assert_string_equal(all.text + 402, "; and more");
    fail(&all, EX_CONFIG, "%0511d", 1);
    assert_false(failures_add(&all, &one));
    assert_int_equal(strlen(all.text), 511);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
