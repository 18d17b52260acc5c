/* exporter/collect/log_count.c: what is kept of lines that were not understood. */
#include "exporter/collect/log_count.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = LOG_UNPARSED_BYTES - 1 };

static struct settings settings;
static _Atomic uint64_t totals[total_COUNT];
static const struct tally tally = {.totals = totals};
static struct log_memory memory;

/* A line without a time, of blanks and then this text, whose byte `at` is the first for which there is no room. */
static const char *kept(const char *text, size_t at)
{
    char line[2 * LOG_UNPARSED_BYTES];
    struct log_counter counter = {
        .kind = mta_kind_postfix, .counting = {&settings, &tally, NULL, 0}, .memory = &memory};
    memset(line, ' ', sizeof line);
    line[0] = 'x';
    strcpy(line + ROOM - at, text);
    memset(&memory, 0, sizeof memory);
    log_count_text(&counter, line, strlen(line));
    assert_int_equal(memory.unparsed.count, 1);
    assert_true(strlen(memory.unparsed.lines[0]) <= ROOM);
    const char *end = memory.unparsed.lines[0] + strlen(memory.unparsed.lines[0]);
    while (end > memory.unparsed.lines[0] && end[-1] != ' ')
        end--;
    return end;
}

/* Wherever an address is cut, nothing of the name before its @ is left; other words are cut anywhere. */
static void test_cut(void **state)
{
    static const char address[] = "to=<joe.doe@x>";
    (void)state;
    for (size_t at = 0; at < strlen("to=<joe.doe@"); at++)
        assert_string_equal(kept(address, at), "");
    assert_string_equal(kept(address, strlen("to=<joe.doe@")), "to=<joe.doe@");
    assert_string_equal(kept(address, strlen(address)), address);
    assert_string_equal(kept("word joe@x", 3), "wor");
    assert_string_equal(kept("word", 4), "word");
}

/* Of the headers in Exim's rejectlog nothing is kept, whether or not the MTA is known. */
static void test_quoted_mail(void **state)
{
    static const char header[] = "F From: Joe Doe <joe@example.org>";
    struct log_counter counter = {.counting = {&settings, &tally, NULL, 0}, .memory = &memory};
    (void)state;
    memset(&memory, 0, sizeof memory);
    for (int kind = mta_kind_auto; kind <= mta_kind_exim; kind += mta_kind_exim - mta_kind_auto) {
        counter.kind = (enum mta_kind)kind;
        memory.exim.file = log_exim_reject;
        log_count_text(&counter, header, strlen(header));
        assert_int_equal(memory.unparsed.count, 0);
    }
    counter.kind = mta_kind_auto;
    memory.exim.file = log_exim_main;
    log_count_text(&counter, header, strlen(header));
    assert_int_equal(memory.unparsed.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut), cmocka_unit_test(test_quoted_mail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
