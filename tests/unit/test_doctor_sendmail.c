/* milter/supervisor/doctor_sendmail.c: the lines of sendmail.cf that speak of filters. */
#include "milter/supervisor/doctor_memory.h"
#include "milter/supervisor/doctor_sendmail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int tear_down(void **state)
{
    (void)state;
    memory_free();
    return 0;
}

static struct sendmail *parse(const char *text)
{
    return sendmail_parse(text, strlen(text));
}

/* name socket flags C S R E */
static void expect_filter(const struct sendmail_filter *filter, const char *expected)
{
    assert_non_null(filter);
    assert_string_equal(memory_print("%s %s %s %lld %lld %lld %lld", filter->name, filter->socket, filter->flags,
                                     (long long)filter->connect, (long long)filter->write, (long long)filter->read,
                                     (long long)filter->content),
                        expected);
}

static void test_filters(void **state)
{
    static const char *const rows[][2] = {
        {"Xa, S=unix:/s, F=, T=C:1s;S:2s;R:2s;E:5s", "a unix:/s  1 2 2 5"},
        {"Xa, S=unix:/s", "a unix:/s  300 10 10 300"},
        {"Xa,S=local:/s,F=T,T=C:1m;E:1h30m", "a local:/s T 60 10 10 5400"},
        {"Xa , Socket = inet:1@h , Flags = 4 , Timeouts = s : 3 ", "a inet:1@h 4 300 10 10 300"},
        {"Xa, S=unix:/s,\n\tF=R,\n  T=c:7;r:8", "a unix:/s R 7 10 8 300"},
        {"Xa, T=C:;S:x;R:1x2;E:99999999999999999999w", "a   0 0 1 6047999999395200"},
        {"X", "   300 10 10 300"},
        {"X,,,=", "   300 10 10 300"},
        {"Xa, S=unix:/s # F=T", "a unix:/s # F=T  300 10 10 300"}, /* no comment: those begin a line */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_filter(parse(rows[i][0])->filters, rows[i][1]);
    assert_null(parse("#Xa, S=unix:/s\n Xb, S=unix:/s\n")->filters);
    const struct sendmail *two = parse("Xa, S=unix:/1\nXb, S=unix:/2\n");
    expect_filter(sendmail_filter(two, "b"), "b unix:/2  300 10 10 300");
    assert_ptr_equal(two->filters->next, sendmail_filter(two, "b"));
    assert_null(sendmail_filter(two, "c"));
}

static const char *joined(const struct sendmail_word *word)
{
    const char *text = "";
    for (; word != NULL; word = word->next)
        text = memory_print("%s%s|", text, word->text);
    return text;
}

static void test_options(void **state)
{
    const struct sendmail *sendmail = parse("#O InputMailFilters=nobody\n"
                                            "O InputMailFilters=first\n"
                                            "O inputmailfilters = a, b;c ,,d\n"
                                            "O RunAsUser=smmta:smmsp\n"
                                            "O MaxDaemonChildren=12\n"
                                            "O DontBlameSendmail=safe,GroupWritableDirPathSafe trustStickyBit\n");
    (void)state;
    assert_string_equal(joined(sendmail->input), "a|b|c|d|");
    assert_string_equal(sendmail->run_as, "smmta");
    assert_int_equal(sendmail->children, 12);
    assert_true(sendmail->group_writable_is_safe && sendmail->sticky_is_safe);
    sendmail = parse("O DontBlameSendmail=safe\nOInputMailFilters=\nO RunAsUser=\nO MaxDaemonChildren=\nO\nOx\nO=");
    assert_null(sendmail->input);
    assert_null(sendmail->run_as);
    assert_int_equal(sendmail->children, 0);
    assert_false(sendmail->group_writable_is_safe || sendmail->sticky_is_safe);
}

static void test_listeners(void **state)
{
    const struct sendmail *sendmail = parse("O DaemonPortOptions=Name=MTA, Port=smtp, Addr=127.0.0.1\n"
                                            "O DaemonPortOptions=Port=587, InputMailFilters=a;b, M=E, N=MSA\n"
                                            "O DaemonPortOptions=I=\n");
    const struct sendmail_listener *last = sendmail->listeners, *second = last->next, *first = second->next;
    (void)state;
    assert_null(first->next);
    assert_string_equal(first->name, "MTA");
    assert_string_equal(first->address, "127.0.0.1");
    assert_string_equal(first->port, "smtp");
    assert_string_equal(first->options, "Name=MTA, Port=smtp, Addr=127.0.0.1");
    assert_false(first->has_filters);
    assert_string_equal(second->name, "MSA");
    assert_string_equal(second->port, "587");
    assert_string_equal(second->address, "");
    assert_string_equal(second->options, "Port=587, M=E, N=MSA");
    assert_true(second->has_filters);
    assert_string_equal(joined(second->filters), "a|b|");
    assert_true(last->has_filters);
    assert_null(last->filters);
    assert_string_equal(last->name, "");
}

static void test_bytes(void **state)
{
    static const char text[] = "Xa, S=unix:/s\0, F=T\nXb\0\0\n\0X\r\nXc, S=unix:/c\r\n";
    (void)state;
    const struct sendmail *sendmail = sendmail_parse(text, sizeof text - 1);
    expect_filter(sendmail->filters, "a unix:/s  300 10 10 300");
    expect_filter(sendmail_filter(sendmail, "c"), "c unix:/c  300 10 10 300");
    assert_null(sendmail_parse(text, 0)->filters);
    expect_filter(sendmail_parse(text, 2)->filters, "a   300 10 10 300");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_filters, tear_down),
        cmocka_unit_test_teardown(test_options, tear_down),
        cmocka_unit_test_teardown(test_listeners, tear_down),
        cmocka_unit_test_teardown(test_bytes, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
