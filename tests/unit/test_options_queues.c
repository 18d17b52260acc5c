/* conf/lib/options_queues.c: the operator's queues, as they may be given and as they may not; printed and read again. */
#include "tests/unit/options_file.h"

#define EXPECTED "expected mappings such as {name: mqueue.in, directory: /var/spool/mqueue.in, format: sendmail}"
#define NAME_64  "mx-0123456789.abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRSTUVW"

static struct settings settings;

static const char *try(const char *value)
{
    char text[8192];
    snprintf(text, sizeof text, "mta: {kind: exim}\ncollector: {queues: %s}\n", value);
    return options_try(text, &settings);
}

static void test_right(void **state)
{
    (void)state;
    assert_string_equal(try("[]"), "");
    assert_int_equal(settings.collector_queues.count, 0);
    assert_int_equal(settings.collector_queue_interval, 30000000);
    assert_string_equal(try("[{name: mqueue.in, directory: /var/spool/mqueue.in, format: sendmail}, {format: exim, "
                            "directory: '/a \"b', name: " NAME_64 "}, {name: x, directory: /q*, format: postfix}]"),
                        "");
    const struct own_queues *queues = &settings.collector_queues;
    assert_int_equal(queues->count, 3);
    assert_string_equal(queues->list[0].name, "mqueue.in");
    assert_string_equal(queues->list[0].directory, "/var/spool/mqueue.in");
    assert_int_equal(queues->list[0].format, queue_form_sendmail);
    assert_int_equal(queues->list[1].format, queue_form_exim);
    assert_int_equal(queues->list[2].format, queue_form_postfix);
    static const char printed[] =
        "  queues: [{name: \"mqueue.in\", directory: \"/var/spool/mqueue.in\", format: sendmail}, {name: \"" NAME_64
        "\", directory: \"/a \\\"b\", format: exim}, {name: \"x\", directory: \"/q*\", format: postfix}]\n";
    assert_non_null(strstr(options_text(&settings), printed));
    struct own_queues before = *queues;
    assert_string_equal(try(printed + strlen("  queues: ")), "");
    assert_memory_equal(&settings.collector_queues, &before, sizeof before);
}

static void test_wrong(void **state)
{
    static const struct {
        const char *value, *said;
    } rows[] = {
        {"[{directory: /a, format: exim}]", "name is to be letters, digits, point, underscore and hyphen, 64 at most"},
        {"[{name: 'a b', directory: /a, format: exim}]", "name is to be letters"},
        {"[{name: " NAME_64 "x, directory: /a, format: exim}]", "name is to be letters"},
        {"[{name: deferred, directory: /a, format: exim}]", "a queue has that name already: " EXPECTED},
        {"[{name: rejects, directory: /a, format: exim}]", "a queue has that name already"},
        {"[{name: frozen, directory: /a, format: exim}]", "a queue has that name already"},
        {"[{name: a, directory: /a, format: exim}, {name: a, directory: /b, format: exim}]",
         "a queue has that name already"},
        {"[{name: a, format: exim}]", "directory is to be an absolute path"},
        {"[{name: a, directory: b, format: exim}]", "directory is to be an absolute path"},
        {"[{name: a, directory: \"/a\\nb\", format: exim}]", "directory is to be an absolute path"},
        {"[{name: a, directory: /a}]", "format is postfix, sendmail or exim"},
        {"[{name: a, directory: /a, format: qmail}]", "format is postfix, sendmail or exim: " EXPECTED},
        {"[{name: a, directory: /a, format: exim, colour: red}]", "collector.queues: " EXPECTED},
        {"[mqueue]", "collector.queues: " EXPECTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *said = try(rows[i].value);
        if (strstr(said, rows[i].said) == NULL)
            assert_string_equal(said, rows[i].said);
    }
    char path[300] = "/";
    for (size_t length = SETTINGS_PATH_MAX - 1; length <= SETTINGS_PATH_MAX; length++) {
        char value[512];
        memset(path + 1, 'a', length - 1);
        path[length] = '\0';
        snprintf(value, sizeof value, "[{name: a, directory: %s, format: exim}]", path);
        assert_int_equal(*try(value) == '\0', length < SETTINGS_PATH_MAX);
    }
}

static void test_most(void **state)
{
    (void)state;
    for (int count = OWN_QUEUES_MAX; count <= OWN_QUEUES_MAX + 1; count++) {
        char value[2048] = "[", *end = value + 1;
        for (int i = 0; i < count; i++)
            end += sprintf(end, "{name: q%d, directory: /q, format: exim}, ", i);
        strcpy(end, "]");
        const char *said = try(value);
        assert_int_equal(strstr(said, "more than 8 queues") != NULL, count > OWN_QUEUES_MAX);
    }
    assert_int_equal(queue_own_7 - queue_own_0 + 1, OWN_QUEUES_MAX);
}

static void test_interval(void **state)
{
    (void)state;
    assert_string_equal(options_try("collector: {queue_interval: 1}\n", &settings), "");
    assert_int_equal(settings.collector_queue_interval, 1000000);
    assert_string_equal(options_try("collector: {queue_interval: 3600}\n", &settings), "");
    assert_non_null(
        strstr(options_try("collector: {queue_interval: 0.9}\n", &settings), "out of range: from 1 to 3600"));
    assert_non_null(strstr(options_try("collector: {queue_interval: 3601}\n", &settings), "out of range"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_right), cmocka_unit_test(test_wrong),
                                       cmocka_unit_test(test_most), cmocka_unit_test(test_interval)};
    return cmocka_run_group_tests(tests, options_set_up, options_tear_down);
}
