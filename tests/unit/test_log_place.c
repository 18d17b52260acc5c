/* exporter/collect/log_place.c: what is said of a place that fails, again and again, now and then, or each time in another way. */
#include "exporter/collect/log_place.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#undef fail

static struct log_place place = {.name = "/var/log/mail.log"};
static FILE *told; /* in place of standard error */

/* The log's lines since the last call. */
static const char *said(const char *failure)
{
    static char text[4096];
    int before = dup(STDERR_FILENO);
    place.failure.status = EX_OK;
    if (failure != NULL)
        fail(&place.failure, EX_OSFILE, "%s", failure);
    told = tmpfile();
    if (before < 0 || told == NULL || dup2(fileno(told), STDERR_FILENO) < 0)
        abort();
    log_place_say(&place);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(told);
    text[fread(text, 1, sizeof text - 1, told)] = '\0';
    fclose(told);
    return text;
}

static void test_once_until_it_changes(void **state)
{
    (void)state;
    log_open("test", log_level_info, log_to_stderr);
    assert_string_equal(said(NULL), "");
    assert_string_equal(said("it is closed"), "test: log: it is closed\n");
    assert_string_equal(said("it is closed"), "");
    place.said_ms -= SAY_MS;
    assert_string_equal(said("it is closed"), "");
    assert_string_equal(said("it is broken"), "test: log: it is broken\n");
    /* Now and then is not more often than so many seconds, and what is true in the end is said. */
    for (int i = 0; i < 1000; i++)
        assert_string_equal(said(i % 2 == 0 ? NULL : "it is closed"), "");
    place.said_ms -= SAY_MS;
    assert_string_equal(said(NULL), "test: log: /var/log/mail.log is read again\n");
    assert_string_equal(said(NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_once_until_it_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
