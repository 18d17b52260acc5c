/* milter/pusher/settle.c: what is asked after a power failure, and what is made of the answers. These are written as a server sends
 * them, and read by the real reader of replies. */
#include "tests/unit/tally_form.h"

#include "conf/lib/log.h"
#include "conf/lib/redis.h"
#include "conf/lib/redis_pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

static struct redis_pipeline answers;
static char asked[512]; /* commands, as text */
static char logged[256];

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
#define log_info(text)        snprintf(logged, sizeof logged, "info: %s", text)
#define log_warning(text)     snprintf(logged, sizeof logged, "warning: %s", text)
#include "milter/pusher/settle.c"
#undef redis_reply
#undef redis_command
#undef log_info
#undef log_warning

#include <cmocka.h>

enum { SERVER = 4711 };
#define RUN_BEFORE 0x0123456749abcdefu
#define RUN        "$16\r\n0123456749abcdef\r\n"
#define ID         "0123456789abcdeffedcba9876543210"
#define OWNER      "$69\r\n" ID ":a09da96c-e5bf-4353-bcbc-3915bf7e66ea\r\n"

/* A settling tally with the id above: push_total had 10 in the copy, and 3 were counted since; nothing else. */
static int begin(void **state)
{
    static struct tally tally;
    form_fresh(&tally);
    atomic_store(&tally.header->id[0], 0x0123456789abcdefu);
    atomic_store(&tally.header->id[1], 0xfedcba9876543210u);
    atomic_store(&tally.kept[SERIES_0(push_total)], 10);
    atomic_store(&tally.totals[SERIES_0(push_total)], 13);
    atomic_store(&tally.header->state, tally_settling);
    atomic_store(&tally.header->server, SERVER);
    tally.header->run_before = RUN_BEFORE;
    logged[0] = asked[0] = '\0';
    *state = &tally;
    return 0;
}

static int end(void **state)
{
    redis_pipeline_free(&answers);
    answers = (struct redis_pipeline){.bytes = NULL};
    form_free(*state);
    return 0;
}

/* The server says this to as many questions. */
static void answer_all(size_t questions, const char *said)
{
    static const char *const ping[] = {"PING"};
    redis_pipeline_clear(&answers);
    struct redis_reader *reader = redis_reader_new();
    for (size_t i = 0; i < questions; i++)
        redis_pipeline_add(&answers, 1, ping, NULL);
    assert_null(redis_pipeline_take(&answers, reader, said, strlen(said)));
    assert_int_equal(answers.replied, questions);
    redis_reader_free(reader);
}

/* To the first two; and that the run which made the copy pushed last. */
static void answer(const char *said)
{
    char all[2048];
    snprintf(all, sizeof all, "%s" RUN, said);
    answer_all(3, all);
}

static uint64_t total(const struct tally *tally, unsigned i)
{
    return atomic_load(&tally->totals[i]);
}

static bool is_settling(const struct tally *tally)
{
    return atomic_load(&tally->header->state) == tally_settling;
}

static void test_questions(void **state)
{
    char owner[80];
    memset(owner, 'x', sizeof owner);
    settle_ask(NULL, "mx1.example.org");
    assert_string_equal(asked, "HGET ms1:{mx1.example.org}:meta owner\nHGETALL ms1:{mx1.example.org}:counters\n"
                               "HGET ms1:{mx1.example.org}:meta run\nHGET ms1:{mx1.example.org}:meta lease\nTIME\n");
    struct tally *tally = *state;
    strcpy(tally->header->boot_id, "a09da96c-e5bf-4353-bcbc-3915bf7e66ea");
    settle_owner(tally, owner);
    assert_string_equal(owner, ID ":a09da96c-e5bf-4353-bcbc-3915bf7e66ea");
}

/* Redis knows this tally: totals are raised by what it holds more than the copy. */
static void test_raised(void **state)
{
    static const struct {
        const char *counters;
        uint64_t pushes, busy;
    } rows[] = {
        {"*2\r\n$22\r\nmilterscope_push_total\r\n$2\r\n17\r\n", 20, 0},
        {"*2\r\n$22\r\nmilterscope_push_total\r\n$2\r\n10\r\n", 13, 0},
        {"*2\r\n$22\r\nmilterscope_push_total\r\n$1\r\n9\r\n", 13, 0},
        {"*4\r\n$37\r\nmilterscope_filter_busy_seconds_total\r\n$8\r\n1.500001\r\n$22\r\nmilterscope_push_total\r\n$"
         "2\r\n11\r\n",
         14, 1500001},
        /* what is no total of ours is nothing */
        {"*4\r\n$8\r\nof_other\r\n$1\r\n7\r\n$22\r\nmilterscope_push_total\r\n$2\r\n12\r\n", 15, 0},
        {"*3\r\n$22\r\nmilterscope_push_total\r\n$2\r\n17\r\n$22\r\nmilterscope_push_total\r\n", 20, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char said[1024], id[33];
        assert_int_equal(i > 0 ? begin(state) : 0, 0);
        struct tally *tally = *state;
        snprintf(said, sizeof said, OWNER "%s", rows[i].counters);
        answer(said);
        assert_null(settle_take(NULL, tally, SERVER));
        assert_false(is_settling(tally));
        for (unsigned j = 0; j < total_COUNT; j++) {
            uint64_t expected = j == SERIES_0(push_total)                  ? rows[i].pushes
                                : j == SERIES_0(filter_busy_seconds_total) ? rows[i].busy
                                                                           : 0;
            if (total(tally, j) != expected)
                fail_msg("row %zu: total %u is %llu", i, j, (unsigned long long)total(tally, j));
        }
        tally_id_text(tally, id);
        assert_string_equal(id, ID);
        assert_string_equal(logged, "info: totals raised to what Redis holds of them");
        if (i + 1 < sizeof rows / sizeof rows[0])
            form_free(tally);
    }
}

/* Redis knows another tally, or none: a new one begins with what was counted since the start. */
static void test_reset(void **state)
{
    static const char *const owners[] = {
        "$-1\r\n",
        "$0\r\n\r\n",
        "$69\r\n1123456789abcdeffedcba9876543210:a09da96c-e5bf-4353-bcbc-3915bf7e66ea\r\n",
        "$31\r\n0123456789abcdeffedcba987654321\r\n",
    };
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        char said[512], id[33];
        assert_int_equal(i > 0 ? begin(state) : 0, 0);
        struct tally *tally = *state;
        snprintf(said, sizeof said, "%s*2\r\n$22\r\nmilterscope_push_total\r\n$2\r\n17\r\n", owners[i]);
        answer(said);
        assert_null(settle_take(NULL, tally, SERVER));
        assert_false(is_settling(tally));
        assert_int_equal(total(tally, SERIES_0(push_total)), 3);
        tally_id_text(tally, id);
        assert_string_not_equal(id, ID);
        assert_string_equal(
            logged, "warning: totals were lost with the power, and Redis does not hold them: a new tally begins at 0");
        if (i + 1 < sizeof owners / sizeof owners[0])
            form_free(tally);
    }
}

/* Redis knows this tally, but its totals are not whole: a small step back would be worse than a reset. */
static void test_not_whole(void **state)
{
    static const char *const counters[] = {
        "*0\r\n",
        "*2\r\n$8\r\nof_other\r\n$1\r\n7\r\n",
        "*2\r\n$22\r\nmilterscope_push_total\r\n$3\r\n-99\r\n",
        "*2\r\n$22\r\nmilterscope_push_total\r\n$20\r\n99999999999999999999\r\n",
        "*2\r\n$22\r\nmilterscope_push_total\r\n$19\r\n2305843009213693952\r\n", /* 2^61 */
        "*2\r\n*1\r\n:1\r\n:5\r\n",
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        char said[512], id[33];
        assert_int_equal(i > 0 ? begin(state) : 0, 0);
        struct tally *tally = *state;
        snprintf(said, sizeof said, OWNER "%s", counters[i]);
        answer(said);
        assert_null(settle_take(NULL, tally, SERVER));
        assert_false(is_settling(tally));
        assert_int_equal(total(tally, SERIES_0(push_total)), 3);
        tally_id_text(tally, id);
        assert_string_not_equal(id, ID);
        if (i + 1 < sizeof counters / sizeof counters[0])
            form_free(tally);
    }
}

/* Redis knows this tally, but it is not the server that took it, or is it in another life, or does not say: what it holds may be older
 * than what was shown. */
static void test_another_server(void **state)
{
    static const uint64_t servers[][2] = {{SERVER, SERVER + 1}, {SERVER, 0}, {0, SERVER}, {0, 0}};
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        assert_int_equal(i > 0 ? begin(state) : 0, 0);
        struct tally *tally = *state;
        atomic_store(&tally->header->server, servers[i][0]);
        answer(OWNER "*2\r\n$22\r\nmilterscope_push_total\r\n$2\r\n17\r\n");
        assert_null(settle_take(NULL, tally, servers[i][1]));
        assert_false(is_settling(tally));
        assert_int_equal(total(tally, SERIES_0(push_total)), 3);
        if (i + 1 < sizeof servers / sizeof servers[0])
            form_free(tally);
    }
}

/* A clone of this machine, or nobody that tells who it was, pushed last: what Redis holds is not what was counted here. */
static void test_another_run(void **state)
{
    static const char *const runs[] = {"$16\r\n0123456700000000\r\n", "$-1\r\n", "$0\r\n\r\n", "-WRONGTYPE no\r\n"};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        char said[512], id[33];
        assert_int_equal(i > 0 ? begin(state) : 0, 0);
        struct tally *tally = *state;
        snprintf(said, sizeof said, OWNER "*2\r\n$22\r\nmilterscope_push_total\r\n$2\r\n17\r\n%s", runs[i]);
        answer_all(3, said);
        assert_null(settle_take(NULL, tally, SERVER));
        assert_int_equal(total(tally, SERIES_0(push_total)), 3);
        tally_id_text(tally, id);
        assert_string_not_equal(id, ID);
        if (i + 1 < sizeof runs / sizeof runs[0])
            form_free(tally);
    }
}

#define LOST(domain) "$65\r\nmilterscope_domain_messages_total{domain=\"" domain "\",verdict=\"lost\"}\r\n"
#define PUSHES       "$22\r\nmilterscope_push_total\r\n$2\r\n10\r\n"

/* Domains are raised by their names. What Redis does not hold of them was not configured, and nothing was counted since; but one that it
 * does hold, and the copy does not, was. */
static void test_domains(void **state)
{
    static const struct {
        const char *counters;
        bool raised;
        uint64_t a, b;
    } rows[] = {
        {"*4\r\n" PUSHES LOST("a.test") "$1\r\n9\r\n", true, 9 + 1, 5},
        {"*2\r\n" PUSHES, true, 4 + 1, 5},
        {"*6\r\n" PUSHES LOST("b.test") "$1\r\n6\r\n" LOST("a.test") "$1\r\n4\r\n", true, 4 + 1, 6},
        {"*4\r\n" PUSHES LOST("c.test") "$1\r\n0\r\n", true, 4 + 1, 5},
        {"*4\r\n" PUSHES LOST("c.test") "$1\r\n1\r\n", false, 1, 0},
        {"*4\r\n" PUSHES LOST("A.test") "$1\r\n1\r\n", true, 4 + 1, 5},
        /* half of what was there */
        {"*4\r\n" PUSHES
         "$67\r\nmilterscope_domain_messages_total{domain=\"a.test\",verdict=\"passed\"}\r\n$1\r\n4\r\n",
         false, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static struct own_domains own;
        char said[1024];
        assert_int_equal(i > 0 ? begin(state) : 0, 0);
        struct tally *tally = *state;
        memset(&own, 0, sizeof own);
        assert_null(own_domains_add(&own, "a.test", ""));
        assert_null(own_domains_add(&own, "b.test", ""));
        assert_int_equal(tally_place_domains(tally, &own), 0);
        for (unsigned place = 0; place < 2; place++) { /* a.test was counted once since the start */
            unsigned slot = SERIES_2(domain_messages_total, place, verdict_lost);
            atomic_store(&tally->kept[slot], 4 + place);
            atomic_store(&tally->totals[slot], 5);
        }
        snprintf(said, sizeof said, OWNER "%s", rows[i].counters);
        answer(said);
        assert_null(settle_take(NULL, tally, SERVER));
        assert_int_equal(strncmp(logged, "info: totals raised", 19) == 0, rows[i].raised);
        assert_int_equal(total(tally, SERIES_2(domain_messages_total, 0, verdict_lost)), rows[i].a);
        assert_int_equal(total(tally, SERIES_2(domain_messages_total, 1, verdict_lost)), rows[i].b);
        if (i + 1 < sizeof rows / sizeof rows[0])
            form_free(tally);
    }
}

static uint64_t identity(const char *server, const char *replication)
{
    char said[512];
    snprintf(said, sizeof said, "$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(server), server, strlen(replication),
             replication);
    answer(said);
    return settle_identity(NULL, 0);
}

static void test_identity(void **state)
{
    (void)state;
    settle_ask_identity(NULL);
    assert_string_equal(asked, "INFO server\nINFO replication\n");
    uint64_t one =
        identity("# Server\r\nrun_id:aa\r\nx:y\r\n", "# Replication\r\nmaster_replid:bb\r\nmaster_replid2:0\r\n");
    assert_int_not_equal(one, 0);
    assert_int_equal(one, identity("# Server\r\nuptime:9\r\nrun_id:aa\r\n", "# Replication\r\nmaster_replid:bb\r\n"));
    assert_int_not_equal(one, identity("# Server\r\nrun_id:ab\r\n", "# Replication\r\nmaster_replid:bb\r\n"));
    assert_int_not_equal(one, identity("# Server\r\nrun_id:aa\r\n", "# Replication\r\nmaster_replid:bc\r\n"));
    assert_int_equal(0, identity("# Server\r\n", "# Replication\r\nmaster_replid:bb\r\n"));
    assert_int_equal(0, identity("# Server\r\nrun_id:aa\r\n", "no_master_replid:bb\r\n"));
    assert_int_equal(0, identity("", ""));
    answer("-NOPERM no\r\n-NOPERM no\r\n");
    assert_int_equal(0, settle_identity(NULL, 0));
}

/* Somebody may write for now; by the clock of Redis. */
static void test_leased(void **state)
{
    static const struct {
        const char *lease, *time;
        bool leased;
    } rows[] = {
        {"$-1\r\n", "*2\r\n$3\r\n100\r\n$1\r\n0\r\n", false},
        {"$6\r\n100000\r\n", "*2\r\n$3\r\n100\r\n$1\r\n0\r\n", false},
        {"$6\r\n100001\r\n", "*2\r\n$3\r\n100\r\n$1\r\n0\r\n", true},
        {"$1\r\nx\r\n", "*2\r\n$3\r\n100\r\n$1\r\n0\r\n", false},
        {"$6\r\n100001\r\n", "-NOPERM no\r\n", false},
        {"-NOPERM no\r\n", "*2\r\n$3\r\n100\r\n$1\r\n0\r\n", false},
        {"$6\r\n100001\r\n", "*0\r\n", false},
        {"$19\r\n9223372036854775807\r\n", "*2\r\n$19\r\n9223372036854775807\r\n$1\r\n0\r\n", false},
        {"$20\r\n-9223372036854775808\r\n", "*2\r\n$20\r\n-9223372036854775808\r\n$1\r\n0\r\n", false},
    };
    const struct tally *tally = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char said[512];
        snprintf(said, sizeof said, OWNER "*0\r\n" RUN "%s%s", rows[i].lease, rows[i].time);
        answer_all(5, said);
        assert_int_equal(settle_is_leased(NULL, tally), rows[i].leased);
    }
    answer_all(5, OWNER "*0\r\n$16\r\nffffffffffffffff\r\n$6\r\n100001\r\n*2\r\n$3\r\n100\r\n$1\r\n0\r\n");
    assert_false(settle_is_leased(NULL, tally)); /* somebody else's: there is nothing to wait for */
}

/* An answer that is none decides nothing. */
static void test_errors(void **state)
{
    static const struct {
        const char *said, *wrong;
    } rows[] = {
        {"-NOPERM no\r\n*0\r\n", "NOPERM no"},
        {"-WRONGTYPE no\r\n-NOPERM no\r\n", "WRONGTYPE no"},
        {OWNER "-WRONGTYPE no\r\n", "WRONGTYPE no"},
        {"$-1\r\n-LOADING no\r\n", "LOADING no"},
        {OWNER "$-1\r\n", ""},
        {OWNER "+OK\r\n", "OK"},
        {":1\r\n*0\r\n", ""},
        {"*0\r\n*0\r\n", ""},
    };
    struct tally *tally = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        answer(rows[i].said);
        const struct redis_reply *wrong = settle_take(NULL, tally, SERVER);
        assert_non_null(wrong);
        assert_string_equal(redis_reply_text(wrong, NULL), rows[i].wrong);
        assert_true(is_settling(tally));
        assert_int_equal(total(tally, SERIES_0(push_total)), 13);
        assert_string_equal(logged, "");
    }
}

/* Redis is waited for a minute, and not longer. */
static void test_wait(void **state)
{
    struct tally *tally = *state;
    assert_true(settle_wait(tally));
    atomic_store(&tally->header->begun_ms, tally_clock_ms() - TALLY_SETTLE_MS + 10 * 1000);
    assert_true(settle_wait(tally));
    assert_int_equal(total(tally, SERIES_0(push_total)), 13);
    assert_string_equal(logged, "");
    atomic_store(&tally->header->begun_ms, tally_clock_ms() - TALLY_SETTLE_MS);
    assert_false(settle_wait(tally));
    assert_false(is_settling(tally));
    assert_int_equal(total(tally, SERIES_0(push_total)), 3);
    assert_string_equal(logged,
                        "warning: totals were lost with the power, and Redis cannot be asked: a new tally begins at 0");
    logged[0] = '\0';
    assert_false(settle_wait(tally));
    assert_int_equal(total(tally, SERIES_0(push_total)), 3);
    assert_string_equal(logged, "");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_questions),      TEST(test_raised),   TEST(test_reset),       TEST(test_not_whole),
        TEST(test_another_server), TEST(test_identity), TEST(test_leased),      TEST(test_errors),
        TEST(test_wait),           TEST(test_domains),  TEST(test_another_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
