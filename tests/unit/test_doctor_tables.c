/* milter/supervisor/doctor_tables.c: lookup tables as Postfix reads them. (Those that postmap tells: tests/system/test_doctor_mail.py.) */
#include "milter/supervisor/doctor_memory.h"
#include "milter/supervisor/doctor_tables.h"

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

/* KEY=VALUE, with a bar behind each. */
static const char *shown(const struct table_entry *entry)
{
    const char *text = "";
    for (; entry != NULL; entry = entry->next)
        text = memory_print("%s%s=%s|", text, entry->key, entry->value);
    return text;
}

static void test_texts(void **state)
{
    static const struct {
        const char *text;
        bool patterns;
        const char *shown;
    } rows[] = {
        {"", false, ""},
        {"\n \n# a b\n  # a b\n", false, ""},
        {"192.0.2.1 DISABLE", false, "192.0.2.1=DISABLE|"},
        {"192.0.2.0/24\tDISABLE \r\n!10.0.0.0/8  unix:a, unix:b\n", false,
         "192.0.2.0/24=DISABLE|!10.0.0.0/8=unix:a, unix:b|"},
        {"a unix:a,\n# between\n\n  unix:b,\n\tunix:c\nb x", false, "a=unix:a, unix:b, unix:c|b=x|"},
        {"a\n  DISABLE\n", false, "a=DISABLE|"},
        {"a\nb\n\n", false, ""},
        {" a x\n", false, "a=x|"},
        {"if 10.0.0.0/8\n10.0.0.1 x\nENDIF\nif !10.0.0.0/8\n", false, "10.0.0.1=x|"},
        {"iffy x\n", false, "iffy=x|"},
        {"if /^10/\n/^10\\.0/ DISABLE\nendif", true, "/^10\\.0/=DISABLE|"},
        {"/a b/i x y\n! /a\\/b c/ x\n", true, "/a b/i=x y|! /a\\/b c/=x|"},
        {"|a b|x y", true, "|a b|x=y|"},
        {"/a b", true, ""},
        {"/a\\", true, ""},
        {"!", true, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(shown(table_entries(rows[i].text, rows[i].patterns)), rows[i].shown);
}

/* Tables that stand in the setting itself, and such as are not read. */
static void test_settings(void **state)
{
    static const struct {
        const char *setting, *type, *name, *shown;
        int status;
    } rows[] = {
        {"static:DISABLE", "static", "DISABLE", "all clients=DISABLE|", EX_OK},
        {"static:{unix:a, unix:b}", "static", "{unix:a, unix:b}", "all clients=unix:a, unix:b|", EX_OK},
        {"static:{", "static", "{", "all clients={|", EX_OK},
        {"proxy:static:x", "static", "x", "all clients=x|", EX_OK},
        {"cidr:{{10.0.0.0/8 x}, { ::1 { unix:a, b=c } }}", "cidr", "{{10.0.0.0/8 x}, { ::1 { unix:a, b=c } }}",
         "10.0.0.0/8=x|::1={ unix:a, b=c }|", EX_OK},
        {"cidr:{", "cidr", "{", "", EX_OK},
        {"regexp:/nonexistent/table", "regexp", "/nonexistent/table", "", EX_UNAVAILABLE},
        {"ldap:x", "ldap", "x", "", EX_UNAVAILABLE},
        {"static", "static", "", "all clients=|", EX_OK},
        {"x", "x", "", "", EX_UNAVAILABLE},
    };
    const struct postfix postfix = {.postconf = "postconf"};
    (void)state;
    assert_null(tables_read(&postfix, " , "));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct table *table = tables_read(&postfix, rows[i].setting);
        assert_null(table->next);
        assert_string_equal(table->text, rows[i].setting);
        assert_string_equal(table->type, rows[i].type);
        assert_string_equal(table->name, rows[i].name);
        assert_string_equal(shown(table->entries), rows[i].shown);
        assert_int_equal(table->unread.status, rows[i].status);
    }
    const struct table *two = tables_read(&postfix, "static:{a b}, static:c");
    assert_string_equal(two->next->text, "static:c");
    assert_null(two->next->next);
}

/* A text of one endless entry is read in one go. */
static void test_long(void **state)
{
    enum { LINES = 1000000 };
    char *text = memory_take(2 * LINES + 3);
    (void)state;
    memcpy(text, "a", 1);
    for (size_t i = 0; i < LINES; i++)
        memcpy(text + 1 + 2 * i, "\n ", 2);
    memcpy(text + 1 + 2 * (size_t)LINES, "b", 1);
    assert_string_equal(shown(table_entries(text, false)), "a=b|");
    for (size_t i = 0; i < LINES; i++)
        memcpy(text + 1 + 2 * i, " x", 2);
    assert_int_equal(strlen(table_entries(text, false)->value), 2 * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_texts, tear_down),
        cmocka_unit_test_teardown(test_settings, tear_down),
        cmocka_unit_test_teardown(test_long, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
