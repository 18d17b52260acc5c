/* conf/lib/redis_sentinel.c, and what redis.c makes of it: sentinels that do not answer, do not know, or are wrong. The peers here are
 * threads on ports of 127.0.0.1 that say what a row tells them to. What real sentinels do is tested by tests/system. */
#include "conf/lib/redis.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECOND = 1000000, GENEROUS = 60 * SECOND, TURNS = 4, CONNECTIONS = 4, SENTINELS = 3, PEERS = SENTINELS + 2 };

/* The servers that the sentinels may name; the rest are sentinels. */
enum { one = SENTINELS, other };

/* ---- peers ---- */

static const char HOLD[] = "hold";     /* says nothing more, and stays */
static const char REFUSE[] = "refuse"; /* nobody listens */
static const char NAME_ONE[] = "one";  /* the answer of a sentinel: this server is the master */
static const char NAME_OTHER[] = "other";
static const char NAME_HOST[] = "host"; /* `one` again, by a name that is to be resolved */

/* What it says in each connection, each time that something arrived; then it hangs up. The last connection's words are for all
 * that follow. */
struct peer {
    const char *turns[CONNECTIONS][TURNS];
    int listener;
    uint16_t port;
    atomic_int connections;
    pthread_t thread;
};

static struct peer peers[PEERS];
static struct settings settings;

static const char *words(const char *turn, char *text, size_t size)
{
    if (turn != NAME_ONE && turn != NAME_OTHER && turn != NAME_HOST)
        return turn;
    snprintf(text, size, "*2\r\n$9\r\n%s\r\n$5\r\n%05u\r\n", turn == NAME_HOST ? "localhost" : "127.0.0.1",
             peers[turn == NAME_OTHER ? other : one].port);
    return text;
}

static void serve_connection(int fd, const char *const *turns)
{
    char bytes[4096], text[64];
    for (int i = 0; i < TURNS && turns[i] != NULL && recv(fd, bytes, sizeof bytes, 0) > 0; i++) {
        if (turns[i] == HOLD) {
            while (recv(fd, bytes, sizeof bytes, 0) > 0) {
            }
            break;
        }
        const char *said = words(turns[i], text, sizeof text);
        assert_int_equal(send(fd, said, strlen(said), MSG_NOSIGNAL), strlen(said));
    }
    close(fd);
}

static void *serve(void *context)
{
    struct peer *peer = context;
    int fd;
    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        int number = atomic_fetch_add(&peer->connections, 1);
        while (number > 0 && (number >= CONNECTIONS || peer->turns[number][0] == NULL))
            number--;
        serve_connection(fd, peer->turns[number]);
    }
    return NULL;
}

static void peer_start(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->listener, (const struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &length), 0);
    peer->port = ntohs(address.sin_port);
    atomic_store(&peer->connections, 0);
    if (peer->turns[0][0] == REFUSE)
        return; /* a bound socket keeps its port from others */
    assert_int_equal(listen(peer->listener, 8), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void peers_stop(void)
{
    for (int i = 0; i < PEERS; i++) {
        shutdown(peers[i].listener, SHUT_RDWR);
        if (peers[i].turns[0][0] != REFUSE)
            pthread_join(peers[i].thread, NULL);
        close(peers[i].listener);
    }
}

/* ---- what they say ---- */

#define PONG    "+PONG\r\n"
#define GREETED "+OK\r\n"                                          /* a sentinel, to CLIENT SETNAME */
#define MASTER  "+OK\r\n+OK\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n" /* SELECT, CLIENT SETNAME, ROLE */
#define REPLICA "+OK\r\n+OK\r\n*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n"

struct situation {
    const char *turns[PEERS][CONNECTIONS][TURNS];
};

static void begin(const struct situation *situation)
{
    for (int i = 0; i < PEERS; i++) {
        memcpy(peers[i].turns, situation->turns[i], sizeof peers[i].turns);
        if (peers[i].turns[0][0] == NULL)
            peers[i].turns[0][0] = REFUSE;
        peer_start(&peers[i]);
    }
    settings = (struct settings){.redis_timeout = GENEROUS};
    snprintf(settings.redis_url, sizeof settings.redis_url,
             "sentinel://127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u/mymaster?db=1", peers[0].port, peers[1].port,
             peers[2].port);
}

static int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool exchange(struct redis *redis, int64_t timeout)
{
    redis_command(redis, 1, (const char *[]){"PING"}, NULL);
    return redis_exchange(redis, timeout);
}

static void expect_pong(struct redis *redis)
{
    if (!exchange(redis, GENEROUS))
        fail_msg("%s", redis_error_text(redis));
    assert_string_equal(redis_reply_text(redis_reply(redis, 0), NULL), "PONG");
}

static int asked(int i)
{
    return atomic_load(&peers[i].connections);
}

/* ---- tests ---- */

static void test_failures(void **state)
{
    static const struct {
        struct situation situation;
        const char *text; /* a part of what is said */
        enum label_error error;
        int names; /* a peer that is named; 0: all sentinels are */
    } rows[] = {
        {.situation = {{{{NULL}}}}, .text = "Connection refused; redis://", .error = error_connect},
        {.situation = {{{{GREETED}}, {{GREETED}}, {{GREETED}}}}, .text = "closed the conn", .error = error_connect},
        {.situation = {{{{HOLD}}, {{HOLD}}, {{GREETED, HOLD}}}}, .text = "in time; redis://", .error = error_timeout},
        {.situation = {{{{GREETED, "*-1\r\n"}}, {{GREETED, "*-1\r\n"}}, {{GREETED, "*-1\r\n"}}}},
         .text = "knows no master of this name; redis://",
         .error = error_other},
        {.situation = {{{{NULL}}, {{NULL}}, {{GREETED, "-NOAUTH no\r\n"}}}}, .text = "NOAUTH no", .error = error_auth},
        {.situation = {{{{NULL}}, {{NULL}}, {{"-NOAUTH no\r\n"}}}}, .text = "NOAUTH no", .error = error_auth},
        {.situation = {{{{GREETED, "*2\r\n+a b\r\n+6379\r\n"}},
                        {{GREETED, "*2\r\n+host\r\n+0\r\n"}},
                        {{GREETED, "*1\r\n+host\r\n"}}}},
         .text = "not the answer of a sentinel; redis://",
         .error = error_protocol},
        {.situation = {{{{GREETED, "*2\r\n$0\r\n\r\n+6379\r\n"}}, {{GREETED, "+OK\r\n"}}, {{GREETED, ":1\r\n"}}}},
         .text = "not the answer of a sentinel; redis://",
         .error = error_protocol},
        {.situation = {{{{GREETED, NAME_ONE}}}}, .text = "Connection refused", .error = error_connect, .names = one},
        {.situation = {{{{GREETED, NAME_ONE}}, [one] = {{HOLD}}}},
         .text = "no answer in time",
         .error = error_timeout,
         .names = one},
        {.situation = {{{{GREETED, NAME_ONE}}, [one] = {{"+OK\r\n+OK\r\n-NOPERM no\r\n"}}}},
         .text = "ROLE: NOPERM no",
         .error = error_noperm,
         .names = one},
        {.situation = {{{{GREETED, NAME_OTHER}}, {{NULL}}, {{HOLD}}, [other] = {{REPLICA}}}},
         .text = "is not a master",
         .error = error_readonly,
         .names = other},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(&rows[i].situation);
        struct redis *redis = redis_open(&settings, "test");
        bool waits = rows[i].error == error_timeout || rows[i].error == error_readonly;
        bool good = exchange(redis, !waits ? GENEROUS : rows[i].names == 0 ? SECOND / 2 : 2 * SECOND);
        const char *text = redis_error_text(redis);
        if (good || redis_error(redis) != rows[i].error || strstr(text, rows[i].text) == NULL)
            fail_msg("row %zu: good %d, class %d: %s", i, (int)good, (int)redis_error(redis), text);
        for (int peer = 0; peer < PEERS; peer++) {
            char address[40];
            bool named = rows[i].names == 0 ? peer < SENTINELS : peer == rows[i].names;
            snprintf(address, sizeof address, "redis://127.0.0.1:%u: ", peers[peer].port);
            if (named != (strstr(text, address) != NULL))
                fail_msg("row %zu: %s is %snamed: %s", i, address, named ? "not " : "", text);
        }
        assert_memory_equal(text, settings.redis_url, strcspn(settings.redis_url, "?"));
        redis_close(redis);
        peers_stop();
    }
}

/* Those that hang, or are not there, leave time for the one that knows, and it is asked first from then on. */
static void test_the_one_that_answers(void **state)
{
    static const struct situation situation = {
        {{{HOLD}}, {{NULL}}, {{GREETED, NAME_ONE}}, [one] = {{MASTER, PONG, PONG}}}};
    (void)state;
    begin(&situation);
    struct redis *redis = redis_open(&settings, "test");
    redis_command(redis, 1, (const char *[]){"PING"}, NULL);
    int64_t begun = clock_us();
    assert_true(redis_exchange(redis, 4 * SECOND));
    assert_true(clock_us() - begun >= SECOND); /* a share of four: three sentinels and the master */
    redis_hang_up(redis);
    expect_pong(redis);
    assert_int_equal(asked(0), 1);
    assert_int_equal(asked(2), 2);
    redis_close(redis);
    peers_stop();
}

/* A connection is kept, with the answer that led to it, until someone hangs up. */
static void test_asked_at_every_connect(void **state)
{
    static const struct situation situation = {{{{GREETED, NAME_ONE}, {GREETED, NAME_OTHER}, {GREETED, NAME_HOST}},
                                                [one] = {{MASTER, PONG, PONG}},
                                                [other] = {{MASTER, PONG}}}};
    (void)state;
    begin(&situation);
    struct redis *redis = redis_open(&settings, "test");
    expect_pong(redis);
    expect_pong(redis);
    assert_int_equal(asked(0), 1);
    redis_hang_up(redis);
    assert_string_equal(redis_reply_text(redis_reply(redis, 0), NULL), "PONG");
    expect_pong(redis);
    assert_int_equal(asked(0), 2);
    assert_int_equal(asked(other), 1);
    redis_hang_up(redis);
    redis_hang_up(redis);
    expect_pong(redis);
    assert_int_equal(asked(one), 2);
    redis_close(redis);
    peers_stop();
}

/* One that still believes in the master of yesterday does not keep us from it: others are asked, and later it again. */
static void test_sentinel_that_is_behind(void **state)
{
    static const struct situation one_is_behind = {
        {{{GREETED, NAME_OTHER}}, {{GREETED, NAME_ONE}}, [one] = {{MASTER, PONG}}, [other] = {{REPLICA}}}};
    static const struct situation all_are_behind = {{{{GREETED, NAME_OTHER}, {GREETED, NAME_ONE}},
                                                     {{GREETED, NAME_OTHER}},
                                                     {{GREETED, NAME_OTHER}},
                                                     [one] = {{MASTER, PONG}},
                                                     [other] = {{REPLICA}}}};
    (void)state;
    begin(&one_is_behind);
    struct redis *redis = redis_open(&settings, "test");
    expect_pong(redis);
    assert_int_equal(asked(other), 1);
    redis_close(redis);
    peers_stop();
    begin(&all_are_behind);
    redis = redis_open(&settings, "test");
    expect_pong(redis);
    assert_int_equal(asked(other), 3);
    redis_close(redis);
    peers_stop();
}

/* A master that does not answer makes its sentinel doubtful, too: it may be cut off together with it. */
static void test_master_that_does_not_answer(void **state)
{
    static const struct situation situation = {
        {{{GREETED, NAME_OTHER}}, {{GREETED, NAME_ONE}}, [one] = {{MASTER, PONG}}}};
    (void)state;
    begin(&situation);
    struct redis *redis = redis_open(&settings, "test");
    assert_false(exchange(redis, GENEROUS));
    expect_pong(redis);
    assert_int_equal(asked(0), 1);
    redis_close(redis);
    peers_stop();
}

/* An exchange that is given up while sentinels are asked leaves nothing behind. */
static void test_given_up(void **state)
{
    static const struct situation situation = {{{{HOLD}, {GREETED, NAME_ONE}}, [one] = {{MASTER, PONG}}}};
    (void)state;
    begin(&situation);
    struct redis *redis = redis_open(&settings, "test");
    redis_command(redis, 1, (const char *[]){"PING"}, NULL);
    redis_start(redis, GENEROUS);
    while (asked(0) == 0) {
        struct pollfd wait;
        assert_int_equal(redis_step(redis), redis_pending);
        int ms = redis_wait(redis, &wait);
        assert_true(wait.fd >= 0 && ms > 0);
        poll(&wait, 1, 10);
    }
    expect_pong(redis);
    redis_close(redis);
    peers_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_the_one_that_answers),
        cmocka_unit_test(test_asked_at_every_connect),
        cmocka_unit_test(test_sentinel_that_is_behind),
        cmocka_unit_test(test_master_that_does_not_answer),
        cmocka_unit_test(test_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
