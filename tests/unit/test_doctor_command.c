/* milter/supervisor/doctor_command.c, doctor_findings.c: another program's words and its end, bounded; what is said of findings, and lines
 * that a shell takes as they are meant. */
#include "milter/handover.h"
#include "milter/supervisor/doctor_command.h"
#include "milter/supervisor/doctor_findings.h"
#include "milter/supervisor/doctor_memory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct command_result result;
static struct failure failure;

static int tear_down(void **state)
{
    (void)state;
    memory_free();
    return 0;
}

static bool run_shell(const char *script, int deadline_ms, int descriptor)
{
    const char *const words[] = {"/bin/sh", "-c", script, NULL};
    struct command command = {.arguments = words, .descriptor = descriptor, .deadline_ms = deadline_ms};
    failure = (struct failure){EX_OK, ""};
    return command_run(&command, &result, &failure);
}

static void test_run(void **state)
{
    (void)state;
    assert_true(run_shell("printf 'a\\nb'; echo one >&2; echo two >&2; exit 3", 60000, -1));
    assert_int_equal(result.status, 3);
    assert_string_equal(result.out, "a\nb");
    assert_string_equal(result.err, "two");
    assert_true(run_shell("read line; echo \"<$line>\"", 60000, -1)); /* nothing comes from standard input */
    assert_string_equal(result.out, "<>\n");
    assert_string_equal(result.err, "");
}

static void test_descriptor(void **state)
{
    static const char script[] = "cat <&4";
    (void)state;
    assert_int_equal(HANDOVER_SETTINGS, 4);
    for (int number = 4; number <= 20; number += 16) {
        int pair[2];
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        assert_int_equal(write(pair[1], "passed", 6), 6);
        close(pair[1]);
        int fd = fcntl(pair[0], F_DUPFD_CLOEXEC, number);
        close(pair[0]);
        assert_int_equal(fd, number);
        assert_true(run_shell(script, 60000, fd));
        assert_string_equal(result.out, "passed");
        close(fd);
    }
}

static void expect_failure(const char *script, int deadline_ms, const char *text)
{
    if (run_shell(script, deadline_ms, -1))
        fail_msg("%s: status %d", script, result.status);
    assert_int_equal(failure.status, EX_UNAVAILABLE);
    assert_non_null(strstr(failure.text, text));
}

/* One that hangs is ended, also when it has closed its output or a child of its keeps that open. */
static void test_bounded(void **state)
{
    struct timespec before, after;
    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &before);
    expect_failure("exec sleep 1000", 200, "/bin/sh did not end within 0 s");
    expect_failure("exec >&- 2>&-; exec sleep 1000", 200, "did not end");
    expect_failure("yes", 60000, "or said too much");
    expect_failure("kill -KILL $$", 60000, "/bin/sh was ended by signal 9");
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 60);
}

static void test_find(void **state)
{
    (void)state;
    assert_int_equal(setenv("PATH", "bin:.::/nonexistent:/bin:/usr/bin", 1), 0);
    assert_string_equal(command_find("sh"), "/bin/sh");
    assert_null(command_find("no-such-program-here"));
    assert_int_equal(unsetenv("PATH"), 0);
    assert_null(command_find("no-such-program-here"));
}

/* What the findings print, closed again. */
static const char *printed(const struct findings *findings)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    findings_print(findings, out);
    fclose(out);
    const char *kept = memory_copy(text, length);
    free(text);
    return kept;
}

static void test_findings(void **state)
{
    struct findings findings;
    (void)state;
    findings_begin(&findings);
    assert_string_equal(printed(&findings), "");
    findings_add(&findings, cure_run("do it"), "one %d", 1);
    findings_add(&findings, cure_run("do it"), "two");
    findings_add(&findings, (struct cure){"Put into a file", "do it"}, "three\n\033[31m");
    findings_add(&findings, cure_run("do\nthat"), "four");
    assert_int_equal(findings.count, 4);
    assert_string_equal(printed(&findings), "one 1.\ntwo. Run:\n    do it\nthree??[31m. Put into a file:\n    do it\n"
                                            "four. Run:\n    do?that\n");
    findings_blind(&findings, EX_NOPERM, "first");
    findings_blind(&findings, EX_OSERR, "second");
    assert_int_equal(findings.blind.status, EX_NOPERM);
    assert_string_equal(findings.blind.text, "first");
}

/* A shell gives back what was put in. */
static void test_shell_word(void **state)
{
    static const char *const words[] = {"",
                                        "plain/Word-1.2:3@x,%+=_",
                                        "two words",
                                        "$(reboot)",
                                        "`reboot`; reboot",
                                        "it's",
                                        "''",
                                        "'",
                                        "\\",
                                        "a\nb",
                                        "!\"#&*",
                                        "~",
                                        "{ a, b }",
                                        "\xff\xc3"};
    (void)state;
    assert_string_equal(shell_word(words[1]), words[1]);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_true(run_shell(memory_print("printf %%s %s", shell_word(words[i])), 60000, -1));
        assert_string_equal(result.out, words[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_run, tear_down),      cmocka_unit_test_teardown(test_descriptor, tear_down),
        cmocka_unit_test_teardown(test_bounded, tear_down),  cmocka_unit_test_teardown(test_find, tear_down),
        cmocka_unit_test_teardown(test_findings, tear_down), cmocka_unit_test_teardown(test_shell_word, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
