/* milter/pusher/copier.c: what the first copy of a pusher bears, which begins while the rest of it still starts. */
#include "milter/pusher/copier.c"

#include "tests/unit/tally_form.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static struct tally tally;

/* The pusher before has shown more than Redis holds: its mark is on the disk, and no copy may take it away. */
static void test_first_copy(void **state)
{
    (void)state;
    struct failure failure;
    struct tally_header copied;
    char directory[] = "/tmp/milterscope-test-copier-XXXXXX", path[PATH_MAX];
    form_fresh(&tally);
    tally_go_ahead(&tally);
    assert_non_null(mkdtemp(directory));
    assert_true(copier_start(&tally, directory, &failure));
    assert_true(copier_finish(60 * 1000)); /* with nothing told in between */
    snprintf(path, sizeof path, "%s/%s", directory, TALLY_FILE);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread((void *)&copied, sizeof copied, 1, file), 1);
    fclose(file);
    assert_int_equal(atomic_load(&copied.ahead), tally_is_ahead);
    unlink(path);
    rmdir(directory);
    form_free(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_copy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
