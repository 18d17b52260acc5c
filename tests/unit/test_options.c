/* conf/lib/options.c: files as a whole. What is wrong is said with file, line, column and option; what is right comes out of
 * --print-config as it went in. The types of values, one by one: test_options_types.c. */
#include "tests/unit/options_file.h"

#include "conf/lib/options_types.h"

#include <sys/stat.h>

#define FIELD_BYTES(field) sizeof(((struct settings *)NULL)->field)
#define live               true
#define restart            false
#define OPTION(path, type, field, minimum, maximum, preset, reload, help)                                              \
    {#path, &option_##type, offsetof(struct settings, field), FIELD_BYTES(field), minimum, maximum, preset, reload,    \
     help},
static const struct option options[] = {
#include "conf/tables/options.def"
};
#undef OPTION
#undef live
#undef restart
enum { OPTIONS = sizeof options / sizeof options[0] };

/* ---- the table ---- */

/* The types that write an int64_t write eight bytes, whatever the field has. */
static void test_field_sizes(void **state)
{
    static const struct option_type *const numbers[] = {
        &option_log_level, &option_log_target, &option_mta_kind, &option_octal,        &option_number,
        &option_seconds,   &option_boolean,    &option_scope,    &option_spam_scanner, &option_top_sets};
    (void)state;
    for (size_t i = 0; i < OPTIONS; i++) {
        bool is_number = false;
        for (size_t j = 0; j < sizeof numbers / sizeof numbers[0]; j++)
            is_number = is_number || options[i].type == numbers[j];
        if (is_number != (options[i].bytes == sizeof(int64_t)) ||
            (is_number && options[i].field % sizeof(int64_t) != 0))
            fail_msg("%s has %zu bytes at %zu", options[i].path, options[i].bytes, options[i].field);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(options[i].path, options[j].path);
            assert_int_not_equal(options[i].field, options[j].field);
        }
        assert_true(strlen(options[i].path) < 64);
    }
    assert_true(offsetof(struct settings, exporter_listen) == offsetof(struct settings, exporter_listen.count));
}

/* ---- files that are right ---- */

static void test_defaults(void **state)
{
    struct settings settings;
    struct network network;
    (void)state;
    assert_string_equal(options_try("mta: {kind: exim}", &settings), "");
    assert_int_equal(settings.size, sizeof settings);
    assert_true(settings.read_at > INT64_C(1700000000000000));
    assert_string_equal(settings.state_directory, "/var/lib/milterscope");
    assert_string_equal(settings.run_directory, "/run/milterscope");
    assert_int_equal(settings.trusted_networks.count, 2);
    assert_null(network_parse("127.0.0.0/8", &network));
    assert_memory_equal(&settings.trusted_networks.list[0], &network, sizeof network);
    assert_null(network_parse("::1", &network));
    assert_memory_equal(&settings.trusted_networks.list[1], &network, sizeof network);
    assert_int_equal(settings.log_level, log_level_info);
    assert_int_equal(settings.log_target, log_to_stderr);
    assert_int_equal(settings.mta_kind, mta_kind_exim);
    assert_string_equal(settings.milter_socket, "unix:/run/milterscope/milter.sock");
    assert_int_equal(settings.milter_socket_mode, 0660);
    assert_string_equal(settings.milter_socket_group, "");
    assert_int_equal(settings.milter_max_sessions, 0);
    assert_int_equal(settings.milter_drain, 30 * 1000000);
    assert_int_equal(settings.milter_body, 0);
    assert_int_equal(settings.milter_reinjection.count, 0);
    assert_int_equal(settings.spam_scanner, scanner_milter);
    assert_int_equal(settings.spam_headers.count, 0);
    assert_int_equal(settings.spam_authserv_ids.count, 0);
    assert_int_equal(settings.reject_texts.count, 0);
    assert_string_equal(settings.redis_url, "redis://127.0.0.1:6379/0");
    assert_string_equal(settings.redis_user, "");
    assert_string_equal(settings.redis_password_file, "");
    assert_int_equal(settings.redis_push_interval, 1000000);
    assert_int_equal(settings.redis_timeout, 2000000);
    assert_int_equal(settings.exporter_listen.count, 1);
    assert_string_equal(settings.exporter_listen.list[0], "127.0.0.1:19154");
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    assert_string_equal(settings.instance, host);
}

static void test_auto(void **state)
{
    struct settings settings;
    (void)state;
    assert_string_equal(options_try("mta: {kind: postfix}", &settings), "");
    assert_string_equal(settings.milter_socket, "unix:/var/spool/postfix/milterscope/milter.sock");
    assert_true(strcmp(settings.milter_socket_group, "postfix") == 0 || settings.milter_socket_group[0] == '\0');
    assert_string_equal(options_try("mta: {kind: sendmail}", &settings), "");
    assert_string_equal(settings.milter_socket, "unix:/run/milterscope/milter.sock");
    assert_string_equal(options_try("{instance: mx1, milter: {socket: \"inet:1@h\", socket_group: mail}}", &settings),
                        "");
    assert_string_equal(settings.instance, "mx1");
    assert_string_equal(settings.milter_socket, "inet:1@h");
    assert_string_equal(settings.milter_socket_group, "mail");
}

/* Ways to write one and the same. */
static void test_same(void **state)
{
    static const char *const files[] = {
        "log:\n  level: debug\n",
        "{log: {level: debug}}",
        "---\nlog: {\"level\": 'debug'}\n...\n",
        "\xef\xbb\xbflog: {level: debug}",
        "# comment\r\nlog:\r\n  level: debug # more\r\n",
        "log: {}\nmilter:\nredis: \nlog: {level: debug}",
        "log: {level: &x debug}\nredis: {user: \"\"}",
        "%YAML 1.1\n---\n!!map {log: !!map {level: !!str debug}}",
        "trusted_networks: &n [127.0.0.0/8, '::1']\nlog: {level: debug}\n",
        "trusted_networks:\n- 127.0.0.0/8\n- \"::1\"\nlog:\n    level:\n        debug",
        "exporter: {listen: 127.0.0.1:19154}\nlog: {level: debug}",
        "? log\n: ? level\n  : debug",
    };
    struct settings first, settings;
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *wrong = options_try(files[i], i == 0 ? &first : &settings);
        if (*wrong != '\0')
            fail_msg("%s: %s", files[i], wrong);
        if (i == 0)
            continue;
        settings.read_at = first.read_at;
        assert_memory_equal(&settings, &first, sizeof settings);
    }
}

static void test_nothing(void **state)
{
    static const char *const files[] = {"", "\n", "# nothing\n", "---\n", "---\n...\n", "{}", "\xef\xbb\xbf"};
    struct settings first, settings;
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_string_equal(options_try(files[i], i == 0 ? &first : &settings), "");
        settings.read_at = first.read_at;
        assert_true(i == 0 || memcmp(&settings, &first, sizeof settings) == 0);
    }
}

static void test_large(void **state)
{
    enum { LARGE = 1 << 20 };
    struct settings settings;
    char *content = malloc(LARGE);
    (void)state;
    memset(content, '#', LARGE);
    for (size_t i = 100; i < LARGE; i += 100)
        content[i] = '\n';
    assert_string_equal(options_try_bytes(content, LARGE, &settings), "");
    memcpy(content + LARGE - 14, "\ninstance: mx2", 14);
    assert_string_equal(options_try_bytes(content, LARGE, &settings), "");
    assert_string_equal(settings.instance, "mx2");
    memset(content, 'x', LARGE);
    memcpy(content, "redis: {user: ", 14);
    content[LARGE - 1] = '}';
    const char *wrong = options_try_bytes(content, LARGE, &settings);
    assert_non_null(strstr(wrong, "test.yaml:1:15: redis.user: \"xxxxxxxx"));
    assert_non_null(strstr(wrong, "xxx\" is wrong (too long): expected a text"));
    assert_true(strlen(wrong) < 160);
    free(content);
}

/* ---- files that are wrong ---- */

/* The whole sentence, for one of each kind. */
static void test_sentences(void **state)
{
    static const struct {
        const char *content, *said;
    } rows[] = {
        {"instnce: mx1\n", "1:1: unknown option instnce; milterscope.conf(5) lists all"},
        {"log:\n  level: info\n  colour: red\n", "3:3: unknown option log.colour; milterscope.conf(5) lists all"},
        {"instance: {name: mx1}",
         "1:11: instance: needs a value: letters, digits, point, underscore and hyphen, 64 at most"},
        {"instance: mx1\nlog: {to: stderr}\ninstance: mx2", "3:1: instance: is given twice; keep one"},
        {"log: {level: info, level: info}", "1:20: log.level: is given twice; keep one"},
        {"log: info", "1:6: log: is a section: options are expected below it"},
        {"log: [info]", "1:6: log: is a section: options are expected below it"},
        {"log:\n  level:\n", "2:9: log.level: needs a value: error, warning, info or debug"},
        {"log: {level: [info]}", "1:14: log.level: needs a value: error, warning, info or debug"},
        {"log:\n  level: loud\n", "2:10: log.level: \"loud\" is wrong: expected error, warning, info or debug"},
        {"milter:\n  max_sessions: 1000001", "2:17: milter.max_sessions: 1000001 is out of range: from 0 to 1000000"},
        {"redis: {timeout: 0.05}", "1:18: redis.timeout: 0.05 is out of range: from 0.1 to 60"},
        {"milter:\n  socket_mode: 1000\n",
         "2:16: milter.socket_mode: \"1000\" is wrong: expected octal digits from 0000 to 0777"},
        {"trusted_networks: [10.0.0.0/8,\n  10.0.0.1/8]", "2:3: trusted_networks: \"10.0.0.1/8\" is wrong (the address "
                                                          "has bits set beyond the prefix): expected networks such as "
                                                          "10.0.0.0/8 or fd00::/8"},
        {"trusted_networks: {}", "1:19: trusted_networks: needs a value: networks such as 10.0.0.0/8 or fd00::/8"},
        {"trusted_networks: [[10.0.0.0/8]]",
         "1:20: trusted_networks: needs a value: networks such as 10.0.0.0/8 or fd00::/8"},
        {"exporter: {listen: []}",
         "1:20: exporter.listen: needs at least 1: addresses such as 127.0.0.1:19154 or [::1]:19154"},
        {"redis: {user: \"a\\0b\"}", "1:15: redis.user: holds a NUL"},
        {"- instance: mx1", "1:1: options are expected here, such as `instance: mx1`"},
        {"mx1", "1:1: options are expected here, such as `instance: mx1`"},
        {"[a, b]: mx1", "1:1: the name of an option is expected here"},
        {"instance: mx1\n---\ninstance: mx2\n", "3:1: a second document begins here; one is read"},
        {"---\n---\n", "3:1: a second document begins here; one is read"},
        {"instance: mx1\n\tlog: x",
         "2:1: found a tab character that violates indentation while scanning a plain scalar"},
        {"instance: [mx1", "2:1: did not find expected ',' or ']' while parsing a flow sequence"},
        {"instance: *x", "1:11: found undefined alias"},
        {"log:\n level: info\n  to: stderr", "3:5: mapping values are not allowed in this context"},
    };
    struct settings settings;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[512];
        snprintf(expected, sizeof expected, "test.yaml:%s", rows[i].said);
        assert_string_equal(options_try(rows[i].content, &settings), expected);
    }
}

static void expect_part(const char *content, size_t length, const char *part)
{
    struct settings settings;
    const char *said = options_try_bytes(content, length, &settings);
    if (strstr(said, part) == NULL)
        fail_msg("\"%.60s\": said \"%s\" and not \"%s\"", content, said, part);
}

#define BYTES(text) text, sizeof(text) - 1

/* Bytes that are no text. */
static void test_bytes(void **state)
{
    (void)state;
    expect_part("instance: a\0b", 13,
                "test.yaml: at byte 11: control characters are not allowed; the file is to be UTF-8");
    expect_part(BYTES("\0\0\0\0"), "test.yaml: at byte 0: ");
    expect_part("instance: \xff\xfe", 12,
                "test.yaml: at byte 10: invalid leading UTF-8 octet; the file is to be UTF-8");
    expect_part(BYTES("instance: \xc3"), "test.yaml: at byte 10: incomplete UTF-8 octet sequence");
    expect_part(BYTES("instance: \xed\xa0\x80"), "test.yaml: at byte 10: ");
    expect_part(BYTES("instance: m\xc3\xa4x"), "test.yaml:1:11: instance: \"m\xc3\xa4x\" is wrong");
    expect_part("redis: {user: \"a\\tb\"}", 21,
                "test.yaml:1:15: redis.user: \"a\tb\" is wrong (holds a control character)");
    expect_part(BYTES("\"instance\\0x\": mx1"), "test.yaml:1:1: the name of an option is expected here");
}

/* Trees that are deep, wide or without end. */
static void test_trees(void **state)
{
    enum { DEEP = 5000 };
    static char content[3 * DEEP];
    (void)state;
    memset(content, '[', DEEP);
    expect_part(content, DEEP, "test.yaml:");
    memset(content, '[', DEEP);
    memset(content + DEEP, ']', DEEP);
    expect_part(content, 2 * DEEP, "test.yaml:");
    for (int i = 0; i < DEEP; i++)
        memcpy(content + 3 * i, "{a:", 3);
    expect_part(content, 3 * DEEP, "test.yaml:");
    expect_part(BYTES("&a {milter: *a}"), "test.yaml:1:5: unknown option milter.milter; milterscope.conf(5) lists all");
    expect_part(BYTES("trusted_networks: &a [*a]"), "test.yaml:1:19: trusted_networks: needs a value");
    memset(content, 'k', DEEP);
    memcpy(content + DEEP, ": 1", 3);
    expect_part(content, DEEP + 3, "test.yaml:1:5001: mapping values are not allowed in this context");
    expect_part(content + DEEP - 100, 103, "test.yaml:1:1: unknown option kkkkkkkkkk");
}

static void test_no_file(void **state)
{
    struct settings settings;
    struct failure failure;
    (void)state;
    unlink("test.yaml");
    assert_false(options_read("test.yaml", &settings, &failure));
    assert_int_equal(failure.status, EX_CONFIG);
    assert_string_equal(
        failure.text,
        "test.yaml: No such file or directory; name the configuration with -c FILE (an empty file will do)");
    assert_int_equal(mkdir("test.yaml", 0700), 0);
    assert_false(options_read("test.yaml", &settings, &failure));
    assert_int_equal(failure.status, EX_CONFIG);
    assert_string_equal(failure.text, "test.yaml: cannot be read: Is a directory");
    assert_int_equal(rmdir("test.yaml"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_sizes), cmocka_unit_test(test_defaults), cmocka_unit_test(test_auto),
        cmocka_unit_test(test_same),        cmocka_unit_test(test_nothing),  cmocka_unit_test(test_large),
        cmocka_unit_test(test_sentences),   cmocka_unit_test(test_bytes),    cmocka_unit_test(test_trees),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, options_set_up, options_tear_down);
}
