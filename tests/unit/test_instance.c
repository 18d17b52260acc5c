/* exporter/serve/instance.c: what is asked about an instance, and what is made of the answers. These are written as a server sends them, and
 * read by the real reader of replies. */
#include "conf/lib/redis_pipeline.h"
#include "exporter/serve/instance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static struct redis_pipeline answers;
static char asked[1024]; /* commands, as text */

static const struct redis_reply *fake_reply(const struct redis *redis, size_t i)
{
    (void)redis;
    return i < answers.replied ? answers.replies[i] : NULL;
}

static void fake_command(struct redis *redis, size_t count, const char *const *arguments, const size_t *lengths)
{
    (void)redis;
    (void)lengths;
    for (size_t i = 0; i < count; i++) {
        strcat(asked, arguments[i]);
        strcat(asked, i + 1 < count ? " " : "\n");
    }
}

#define redis_reply(redis, i) fake_reply(redis, i)
#define redis_command         fake_command
#include "exporter/serve/instance.c"
#undef redis_reply
#undef redis_command

#include <cmocka.h>

#define ID     "0123456789abcdeffedcba9876543210"
#define OWNER  "$69\r\n" ID ":a09da96c-e5bf-4353-bcbc-3915bf7e66ea\r\n"
#define META   "*2\r\n" OWNER "$7\r\n990.000\r\n"
#define AFTER  "*1\r\n" OWNER
#define PONG   "+PONG\r\n"
#define NONE   "*0\r\n"
#define PUSHES "$22\r\nmilterscope_push_total\r\n"
#define ACTIVE "$27\r\nmilterscope_sessions_active\r\n"

#define PUSHER_UP   "$38\r\nmilterscope_redis_up{program=\"pusher\"}\r\n"
#define EXPORTER_UP "$40\r\nmilterscope_redis_up{program=\"exporter\"}\r\n"

static const int64_t NOW = INT64_C(1000250000); /* microseconds */
static struct instance instance;
static enum label_error error;
static struct failure failure;

/* The server says this to the questions, after the answer to another one. */
static bool take(const char *said)
{
    static const char *const ping[] = {"PING"};
    redis_pipeline_clear(&answers);
    struct redis_reader *reader = redis_reader_new();
    for (int i = 0; i < 1 + INSTANCE_QUESTIONS; i++)
        redis_pipeline_add(&answers, 1, ping, NULL);
    assert_null(redis_pipeline_take(&answers, reader, PONG, strlen(PONG)));
    assert_null(redis_pipeline_take(&answers, reader, said, strlen(said)));
    assert_int_equal(answers.replied, 1 + INSTANCE_QUESTIONS);
    redis_reader_free(reader);
    memset(&instance, 0x55, sizeof instance);
    instance.known = true;
    return instance_take(NULL, 1, NOW, &instance, &error, &failure);
}

static const struct redis_reply *answer_to_time(const char *said)
{
    static const char *const words[] = {"TIME"};
    redis_pipeline_clear(&answers);
    struct redis_reader *reader = redis_reader_new();
    redis_pipeline_add(&answers, 1, words, NULL);
    assert_null(redis_pipeline_take(&answers, reader, said, strlen(said)));
    assert_int_equal(answers.replied, 1);
    redis_reader_free(reader);
    return answers.replies[0];
}

/* Nothing of what was said is shown. */
static void expect_empty(void)
{
    struct snapshot nothing;
    snapshot_clear(&nothing);
    assert_false(instance.known);
    assert_int_equal(instance.dropped, 0);
    assert_false(instance.values.has_totals);
    assert_memory_equal(instance.values.totals, nothing.totals, sizeof nothing.totals);
    assert_memory_equal(instance.values.gauges, nothing.gauges, sizeof nothing.gauges);
}

static int end(void **state)
{
    (void)state;
    redis_pipeline_free(&answers);
    answers = (struct redis_pipeline){.bytes = NULL};
    return 0;
}

static void test_questions(void **state)
{
    (void)state;
    asked[0] = '\0';
    instance_ask(NULL, "mx1.example.org");
    assert_string_equal(asked, "HMGET ms1:{mx1.example.org}:meta owner pushed_at node\n"
                               "HGETALL ms1:{mx1.example.org}:counters\n"
                               "HGETALL ms1:{mx1.example.org}:gauges\n"
                               "HMGET ms1:{mx1.example.org}:meta owner node\n");
}

/* Totals of the node's tally under its own id; where that changes while it is read they are nobody's, and the others are as they were. */
static void test_node(void **state)
{
#define NODE_ID    "0123456789abcdef0123456789abcdef"
#define OTHER_ID   "0123456789abcdef0123456789abcdee"
#define NODE(id)   "$32\r\n" id "\r\n"
#define META_NODE  "*3\r\n" OWNER "$7\r\n990.000\r\n"
#define AFTER_NODE "*2\r\n" OWNER
#define NOTICES    "$30\r\nmilterscope_bounces_sent_total\r\n"
#define OWN_QUEUE  "$46\r\nmilterscope_queue_messages{queue=\"scanner.in\"}\r\n"
#define NO_QUEUE   "$38\r\nmilterscope_queue_messages{queue=\"#0\"}\r\n"
#define VALUES                                                                                                         \
    "*4\r\n" PUSHES "$2\r\n17\r\n" NOTICES "$1\r\n5\r\n"                                                               \
    "*4\r\n" OWN_QUEUE "$1\r\n3\r\n" NO_QUEUE "$1\r\n4\r\n"
    (void)state;
    assert_true(take(META_NODE NODE(NODE_ID) VALUES AFTER_NODE NODE(NODE_ID)));
    assert_string_equal(instance.node_id, NODE_ID);
    assert_true(instance.values.has_totals && instance.values.has_node);
    assert_int_equal(instance.values.totals[SERIES_0(bounces_sent_total)], 5);
    assert_int_equal(instance.values.totals[SERIES_0(push_total)], 17);
    assert_string_equal(instance.values.places.names[places_queue], "scanner.in");
    assert_int_equal(instance.values.gauges[gauge_queue_messages + (unsigned)queue_own_0], 3);
    assert_int_equal(instance.dropped, 1); /* a place is no name */
    assert_true(take(META_NODE NODE(NODE_ID) VALUES AFTER_NODE NODE(OTHER_ID)));
    assert_true(instance.values.has_totals && !instance.values.has_node);
    assert_true(take(META_NODE "$0\r\n\r\n" VALUES AFTER_NODE "$0\r\n\r\n"));
    assert_true(instance.values.has_totals && !instance.values.has_node);
    assert_string_equal(instance.node_id, "");
}

static void test_longest_name(void **state)
{
    (void)state;
    char name[SETTINGS_NAME_MAX];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    asked[0] = '\0';
    instance_ask(NULL, name);
    for (const char *key = asked; (key = strstr(key, "ms1:{")) != NULL; key++)
        assert_memory_equal(key + 5 + strlen(name), "}:", 2);
}

static void test_values(void **state)
{
    (void)state;
    assert_true(take(META "*2\r\n" PUSHES "$2\r\n17\r\n"
                          "*4\r\n" ACTIVE "$2\r\n-1\r\n" PUSHER_UP "$1\r\n1\r\n" AFTER));
    assert_true(instance.known);
    assert_string_equal(instance.id, ID);
    assert_int_equal(instance.age, 10250000);
    assert_true(instance.values.has_totals);
    assert_int_equal(instance.values.totals[SERIES_0(push_total)], 17);
    assert_int_equal(instance.values.gauges[gauge_sessions_active], -1);
    assert_int_equal(instance.values.gauges[(unsigned)gauge_redis_up + (unsigned)program_pusher], 1);
    assert_int_equal(instance.values.gauges[gauge_filter_up], GAUGE_ABSENT);
    assert_int_equal(instance.dropped, 0);
}

/* A master that lost its memory: known, and nothing of totals is. */
static void test_no_counters(void **state)
{
    (void)state;
    assert_true(take(META NONE NONE AFTER));
    assert_true(instance.known);
    assert_false(instance.values.has_totals);
}

static void test_not_known(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "*2\r\n$-1\r\n$-1\r\n" NONE NONE "*1\r\n$-1\r\n",                               /* never pushed */
        "*2\r\n" OWNER "$-1\r\n" NONE NONE AFTER,                                       /* no time */
        "*2\r\n" OWNER "$4\r\nsoon\r\n" NONE NONE AFTER,                                /* none either */
        "*2\r\n" OWNER "$2\r\n-1\r\n" NONE NONE AFTER,                                  /* before time began */
        META "*2\r\n" PUSHES "$1\r\n1\r\n" NONE "*1\r\n$-1\r\n",                        /* deleted meanwhile */
        META NONE NONE "*1\r\n$34\r\n1123456789abcdeffedcba9876543210:x\r\n",           /* another owner */
        "*2\r\n$4\r\nmine\r\n$1\r\n1\r\n" NONE NONE "*1\r\n$4\r\nmine\r\n",             /* no tally id */
        "*2\r\n$32\r\n" ID "\r\n$1\r\n1\r\n" NONE NONE "*1\r\n$32\r\n" ID "\r\n",       /* no boot id */
        "*2\r\n$34\r\n0" ID ":\r\n$1\r\n1\r\n" NONE NONE "*1\r\n$34\r\n0" ID ":\r\n",   /* too long */
        "*2\r\n$35\r\nX" ID ":x\r\n$1\r\n1\r\n" NONE NONE "*1\r\n$35\r\nX" ID ":x\r\n", /* not hexadecimal */
        "*0\r\n" NONE NONE "*0\r\n",                                                    /* no elements */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!take(rows[i]))
            fail_msg("row %zu: %s", i, failure.text);
        expect_empty();
    }
}

/* What an exporter says of an instance, or of itself, it does not learn from there. */
static void test_of_the_exporter(void **state)
{
    (void)state;
    assert_true(take(META NONE "*8\r\n" EXPORTER_UP "$1\r\n1\r\n$14\r\nmilterscope_up\r\n$1\r\n1\r\n"
                               "$23\r\nmilterscope_instance_up\r\n$1\r\n1\r\n" PUSHER_UP "$1\r\n0\r\n" AFTER));
    assert_int_equal(instance.dropped, 3);
    assert_int_equal(instance.values.gauges[(unsigned)gauge_redis_up + (unsigned)program_exporter], GAUGE_ABSENT);
    assert_int_equal(instance.values.gauges[(unsigned)gauge_redis_up + (unsigned)program_pusher], 0);
    assert_int_equal(instance.values.gauges[gauge_up], GAUGE_ABSENT);
    assert_int_equal(instance.values.gauges[gauge_instance_up], GAUGE_ABSENT);
}

/* Of other builds, and garbage: each counts as dropped, and hurts no other. */
static void test_dropped(void **state)
{
    (void)state;
    assert_true(take(META "*10\r\n$3\r\nnew\r\n$1\r\n1\r\n" PUSHES "$2\r\n-5\r\n" PUSHES "$3\r\n1.5\r\n" ACTIVE
                          "$1\r\n3\r\n" PUSHES "$1\r\n4\r\n"
                          "*4\r\n" ACTIVE "$3\r\nNaN\r\n" PUSHES "$1\r\n9\r\n" AFTER));
    assert_true(instance.known);
    assert_int_equal(instance.dropped, 6);
    assert_int_equal(instance.values.totals[SERIES_0(push_total)], 4);
    assert_int_equal(instance.values.gauges[gauge_sessions_active], GAUGE_ABSENT);
}

/* Redis' clock, or where it does not tell, our own. */
static void test_time(void **state)
{
    (void)state;
    static const char *const no_time[] = {
        "-NOPERM no\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*2\r\n$1\r\nx\r\n$1\r\n1\r\n",
        "*2\r\n$2\r\n-1\r\n$1\r\n1\r\n",
        "*2\r\n$1\r\n1\r\n$7\r\n1000000\r\n",
    };
    assert_int_equal(instance_time(answer_to_time("*2\r\n$4\r\n1000\r\n$6\r\n250000\r\n")), NOW);
    for (size_t i = 0; i < sizeof no_time / sizeof no_time[0]; i++) {
        int64_t ours = (int64_t)time(NULL) * 1000000;
        assert_in_range(instance_time(answer_to_time(no_time[i])), ours, ours + 60 * 1000000);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        enum label_error error;
        const char *text;
    } rows[] = {
        {"-NOPERM no\r\n" NONE NONE AFTER, error_noperm, "HMGET meta: NOPERM no"},
        {META "-LOADING x\r\n" NONE AFTER, error_loading, "HGETALL counters: LOADING x"},
        {META NONE "-WRONGTYPE x\r\n" AFTER, error_wrongtype, "HGETALL gauges: WRONGTYPE x"},
        {META NONE NONE "-MASTERDOWN x\r\n", error_readonly, "HMGET meta: MASTERDOWN x"},
        {META ":1\r\n" NONE AFTER, error_protocol, "HGETALL counters: the answer is of another kind"},
        {"$-1\r\n" NONE NONE AFTER, error_protocol, "HMGET meta: the answer is of another kind"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(take(rows[i].said));
        assert_int_equal(error, rows[i].error);
        assert_string_equal(failure.text, rows[i].text);
        expect_empty();
    }
}

/* Appends a field and its value, as a server sends them. */
static void say(char *said, const char *field, const char *value)
{
    sprintf(said + strlen(said), "$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(field), field, strlen(value), value);
}

static const char *refused_of(const char *domain)
{
    static char field[512];
    snprintf(field, sizeof field, "milterscope_domain_recipients_total{domain=\"%s\",outcome=\"refused\"}", domain);
    return field;
}

/* Names that could be the operator's are shown, 64 of them; others are dropped, whatever they try. */
static void test_domains(void **state)
{
    enum { TOO_MANY = DOMAINS_MAX + 3 };
    static const char *const wrong[] = {"",          "#00",       "A.test", "a b",     "a\\\"b",
                                        "a\n} 1\nx", "-a",        "a..b",   "a,b",     "a.test\",x=\"",
                                        "\xc3\xa4",  "192.0.2.1", "{a=\"",  "a.test\\"};
    enum { WRONG = sizeof wrong / sizeof wrong[0] };
    static char said[65536];
    char domain[256], value[16];
    (void)state;
    sprintf(said, META "*%d\r\n", 2 * (WRONG + TOO_MANY + 2));
    for (int i = 0; i < WRONG; i++)
        say(said, refused_of(wrong[i]), "666");
    memset(domain, 'a', sizeof domain);
    domain[129] = '\0';
    say(said, refused_of(domain), "666"); /* too long, and no label */
    say(said, "milterscope_domain_recipients_total{domain=\"a.test\",outcome=\"perhaps\"}", "666");
    for (int i = 0; i < TOO_MANY; i++) {
        snprintf(domain, sizeof domain, "d%d.test", i);
        snprintf(value, sizeof value, "%d", i);
        say(said, refused_of(domain), value);
    }
    strcat(said, NONE AFTER);
    assert_true(take(said));
    assert_int_equal(instance.dropped, WRONG + 2 + TOO_MANY - DOMAINS_MAX);
    assert_true(instance.values.domains.shown == UINT64_MAX);
    for (unsigned i = 0; i < DOMAINS_MAX; i++) {
        snprintf(domain, sizeof domain, "d%u.test", i);
        assert_string_equal(instance.values.domains.names[i], domain);
        assert_int_equal(instance.values.totals[SERIES_2(domain_recipients_total, i, outcome_refused)], i);
        assert_int_equal(instance.values.totals[SERIES_2(domain_recipients_total, i, outcome_accepted)], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions), cmocka_unit_test(test_node),        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_no_counters), cmocka_unit_test(test_not_known),
        cmocka_unit_test(test_dropped),   cmocka_unit_test(test_domains),     cmocka_unit_test(test_of_the_exporter),
        cmocka_unit_test(test_time),      cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
