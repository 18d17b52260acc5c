/* conf/lib/command_line.c: what each flag prints, where, and with which exit status. */
#include "tests/unit/options_file.h"

#include "conf/lib/command_line.h"

#include <getopt.h>
#include <sys/mman.h>

static bool dump;
static const struct command_flag own[] = {{.name = "dump", .set = &dump, .help = "print the totals, and end"}};
static char out[8192], err[8192]; /* what was printed */
static struct settings settings;
static const char *file;

/* Standard output or error, kept in memory for a while. */
static int redirect(int number, FILE *stream)
{
    int before = dup(number), kept = memfd_create("test", MFD_CLOEXEC);
    fflush(stream);
    dup2(kept, number);
    close(kept);
    return before;
}

static void take(int number, FILE *stream, int before, char *text, size_t size)
{
    fflush(stream);
    ssize_t length = pread(number, text, size - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    dup2(before, number);
    close(before);
}

/* Runs with the words of `line` as arguments. */
static int run(const char *line)
{
    static char words[256]; /* `file` points there */
    char *rest = words, *arguments[16];
    int count = 0;
    arguments[count++] = (char[]){"program"};
    strcpy(words, line);
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        if (*word != '\0')
            arguments[count++] = word;
    }
    arguments[count] = NULL;
    dump = false;
    optind = 0; /* getopt begins anew */
    int before_out = redirect(STDOUT_FILENO, stdout), before_err = redirect(STDERR_FILENO, stderr);
    int status = command_line(count, arguments, "milterscope-test", "Tests.", own, 1, &settings, &file);
    take(STDERR_FILENO, stderr, before_err, err, sizeof err);
    take(STDOUT_FILENO, stdout, before_out, out, sizeof out);
    return status;
}

/* What was printed begins with `text`. */
static void expect_begin(const char *text)
{
    assert_true(strlen(out) >= strlen(text));
    assert_memory_equal(out, text, strlen(text));
}

static void test_go_on(void **state)
{
    (void)state;
    options_put("instance: mx1", 13);
    assert_int_equal(run("-c test.yaml"), COMMAND_GO_ON);
    assert_string_equal(settings.instance, "mx1");
    assert_string_equal(file, "test.yaml");
    assert_false(dump);
    assert_int_equal(run("--dump --config=test.yaml"), COMMAND_GO_ON);
    assert_true(dump);
    assert_int_equal(run("-ctest.yaml --dump"), COMMAND_GO_ON);
    assert_true(dump);
    assert_string_equal(out, "");
    assert_string_equal(err, "");
}

static void test_information(void **state)
{
    (void)state;
    assert_int_equal(run("--version"), EX_OK);
    assert_string_equal(out, "milterscope-test " MILTERSCOPE_VERSION "\n");
    assert_int_equal(run("-c /nonexistent --help"), EX_OK);
    expect_begin("usage: milterscope-test [-c FILE] [OPTION]\nTests.\n");
    assert_non_null(strstr(out, "(" OPTIONS_DEFAULT_FILE ")"));
    assert_non_null(strstr(out, "\n      --dump          print the totals, and end\n"));
    assert_string_equal(err, "");
}

static void test_configuration(void **state)
{
    (void)state;
    options_put("instance: mx1", 13);
    assert_int_equal(run("-c test.yaml --check-config"), EX_OK);
    assert_string_equal(out, "test.yaml: sound\n");
    assert_int_equal(run("--print-config -c test.yaml"), EX_OK);
    expect_begin("instance: \"mx1\"\nstate_directory: \"/var/lib/milterscope\"\n");
    assert_non_null(strstr(out, "\nexporter:\n  listen: [\"127.0.0.1:19154\"]\n"));
    assert_string_equal(err, "");
    options_put("instance: mx 1", 14);
    for (int i = 0; i < 3; i++) {
        static const char *const lines[] = {"-c test.yaml", "-c test.yaml --check-config",
                                            "-c test.yaml --print-config"};
        assert_int_equal(run(lines[i]), EX_CONFIG);
        assert_string_equal(out, "");
        assert_string_equal(
            err, "milterscope-test: test.yaml:1:11: instance: \"mx 1\" is wrong: expected letters, digits, point, "
                 "underscore and hyphen, 64 at most\n");
    }
}

static void test_usage(void **state)
{
    static const struct {
        const char *line, *said;
    } rows[] = {
        {"--no-such-flag", "milterscope-test --help lists the options\n"},
        {"-x", "milterscope-test --help lists the options\n"},
        {"-c", "milterscope-test --help lists the options\n"},
        {"--dump=1 -c test.yaml", "milterscope-test --help lists the options\n"},
        {"start", "milterscope-test: unexpected argument start; milterscope-test --help lists the options\n"},
        {"-c test.yaml stop",
         "milterscope-test: unexpected argument stop; milterscope-test --help lists the options\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(run(rows[i].line), EX_USAGE);
        assert_string_equal(out, "");
        size_t length = strlen(err), end = strlen(rows[i].said);
        assert_true(length >= end);
        assert_string_equal(err + length - end, rows[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_go_on), cmocka_unit_test(test_information),
                                       cmocka_unit_test(test_configuration), cmocka_unit_test(test_usage)};
    return cmocka_run_group_tests(tests, options_set_up, options_tear_down);
}
