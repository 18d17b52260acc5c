/* milter/supervisor/doctor_list.c: lists of filters as Postfix reads them, and written again so that Postfix and master.cf take them. */
#include "milter/supervisor/doctor_list.h"
#include "milter/supervisor/doctor_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int tear_down(void **state)
{
    (void)state;
    memory_free();
    return 0;
}

/* Endpoints between bars, and the default_action of each behind a slash. */
static const char *shown(const char *value)
{
    const char *text = "";
    for (const struct filter *filter = list_split(value); filter != NULL; filter = filter->next) {
        const char *action = list_setting(filter, "default_action");
        text =
            memory_print("%s%s%s%s|", text, filter->endpoint, action != NULL ? "/" : "", action != NULL ? action : "");
    }
    return text;
}

static void test_split(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {" ,\t, ", ""},
        {"unix:a", "unix:a|"},
        {"unix:a,inet:127.0.0.1:1", "unix:a|inet:127.0.0.1:1|"},
        {"unix:a unix:b,\n\tunix:c", "unix:a|unix:b|unix:c|"},
        {"{ unix:a, default_action=accept }", "unix:a/accept|"},
        {"{unix:a default_action=accept} , unix:b", "unix:a/accept|unix:b|"},
        {"{ unix:a, connect_timeout=1s, default_action=tempfail, default_action=accept }", "unix:a/accept|"},
        {"{ unix:a, { default_action = accept } }, unix:b", "unix:a/accept|unix:b|"},
        {"{ unix:a, xdefault_action=accept, default_actionx=reject }", "unix:a|"},
        {"{ unix:a, default_action= }", "unix:a/|"},
        {"unix:a default_action=accept", "unix:a|default_action=accept|"},
        {"{}", "|"},
        {"{", "|"},
        {"}", "}|"},
        {"{ unix:a, default_action=accept", "unix:a/accept|"},
        {"{{{{", "{{{|"},
        {"unix:a}, unix:b", "unix:a}|unix:b|"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(shown(rows[i][0]), rows[i][1]);
}

static bool is_not_b(const struct filter *filter, const void *context)
{
    return strcmp(filter->endpoint, context) != 0;
}

static void test_join(void **state)
{
    static const char value[] = "unix:a,{ unix:b, x=1 } {  unix:c,\n default_action = accept , protocol=6 }";
    const struct filter *filters = list_split(value);
    (void)state;
    assert_string_equal(list_join(filters, is_not_b, "unix:b", "{ unix:z, x=1 }", false),
                        "unix:a, {  unix:c,\n default_action = accept , protocol=6 }, { unix:z, x=1 }");
    assert_string_equal(list_join(filters, is_not_b, "", NULL, true),
                        "unix:a,{unix:b,x=1},{unix:c,default_action,=,accept,protocol=6}");
    assert_string_equal(list_join(NULL, is_not_b, "", "unix:z", false), "unix:z");
    assert_string_equal(list_join(NULL, is_not_b, "", NULL, true), "");
    assert_string_equal(list_join(list_split("unix:b"), is_not_b, "unix:b", NULL, false), "");
    assert_string_equal(list_join(list_split("$mine {"), is_not_b, "none", "unix:z", true), "$mine,{unix:z");
}

static void test_seconds(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {{"30s", 30},
                {"30", 30},
                {"0", 0},
                {"5m", 300},
                {"2h", 7200},
                {"1d", 86400},
                {"1W", 604800},
                {"", -1},
                {"s", -1},
                {"-1", -1},
                {"1s ", -1},
                {"1 s", -1},
                {"1ss", -1},
                {"1x", -1},
                {"$x", -1},
                {"9999999999s", -1},
                {"999999999", 999999999}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(list_seconds(rows[i].text), rows[i].seconds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_split, tear_down),
        cmocka_unit_test_teardown(test_join, tear_down),
        cmocka_unit_test_teardown(test_seconds, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
