/* conf/lib/redis*.c: the URL, the classes of errors, and what becomes of replies that a real server hardly ever gives. The server here is
 * a thread on a Unix socket that says what a row tells it to. What real servers do is tested by tests/system. */
#include "conf/lib/redis.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECOND = 1000000, GENEROUS = 60 * SECOND };

#define FOUR_HOSTS "a:1,b:2,c:3,d:4"
#define FIFTY      "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"
#define HUNDREDS   FIFTY FIFTY FIFTY FIFTY FIFTY

static const struct {
    const char *url;
    const char *wrong; /* a part of what is said; NULL: the URL is good */
} urls[] = {
    {"redis://127.0.0.1:6379/0", NULL},
    {"redis://localhost", NULL},
    {"redis://localhost/", NULL},
    {"redis://redis.example.org:6380/15", NULL},
    {"redis://[::1]", NULL},
    {"redis://[fe80::1%eth0]:6379/3", NULL},
    {"unix:///run/redis/redis.sock", NULL},
    {"unix:///run/redis/redis.sock?db=2", NULL},
    {"sentinel://localhost/mymaster", NULL},
    {"sentinel://10.0.0.1:26379,10.0.0.2:26379/my-master_1.x", NULL},
    {"sentinel://[::1]:26379,[fe80::1%eth0],host/m?db=15", NULL},
    {"sentinel://" FOUR_HOSTS "," FOUR_HOSTS "," FOUR_HOSTS "," FOUR_HOSTS "/m", NULL},
    {"", "neither"},
    {"localhost:6379", "neither"},
    {"rediss://localhost", "neither"},
    {"redis://", "no host"},
    {"redis://:6379", "no host"},
    {"redis:///0", "no host"},
    {"redis://user:secret@localhost", "redis.password_file"},
    {"redis://localhost:", "port"},
    {"redis://localhost:0", "port"},
    {"redis://localhost:65536", "port"},
    {"redis://localhost:63790000", "port"},
    {"redis://localhost:6379x", "port"},
    {"redis://localhost:+6379", "port"},
    {"redis://::1:6379", "no host"},
    {"redis://[::1", "]"},
    {"redis://[::1]6379", "port"},
    {"redis://local host", "name or an address"},
    {"redis://localhost/x", "database"},
    {"redis://localhost/1/2", "database"},
    {"redis://localhost/-1", "database"},
    {"redis://localhost/65536", "database"},
    {"unix://redis.sock", "absolute"},
    {"unix:///", "absolute"},
    {"unix:///run/redis.sock?db=", "database"},
    {"unix:///run/redis.sock?database=1", "?db=N"},
    {"sentinel://", "no host"},
    {"sentinel:///mymaster", "no host"},
    {"sentinel://localhost", "what they call the master"},
    {"sentinel://localhost/", "what they call the master"},
    {"sentinel://localhost?db=1", "what they call the master"},
    {"sentinel://localhost/?db=1", "what they call the master"},
    {"sentinel://localhost/my master", "what they call the master"},
    {"sentinel://localhost/mymaster/1", "what they call the master"},
    {"sentinel://localhost/mymaster?db=", "database"},
    {"sentinel://localhost/mymaster?db=1,2", "database"},
    {"sentinel://localhost/mymaster?name=1", "?db=N"},
    {"sentinel://localhost,/mymaster", "no host"},
    {"sentinel://,localhost/mymaster", "no host"},
    {"sentinel://a,,b/mymaster", "no host"},
    {"sentinel://a:26379:b/mymaster", "port"},
    {"sentinel://a:0,b/mymaster", "port"},
    {"sentinel://a;b/mymaster", "name or an address"},
    {"sentinel://[::1,::2]/mymaster", "]"},
    {"sentinel://::1/mymaster", "no host"},
    {"sentinel://user:secret@localhost/mymaster", "redis.password_file"},
    {"sentinel://" FOUR_HOSTS "," FOUR_HOSTS "," FOUR_HOSTS "," FOUR_HOSTS ",q/m", "more than 16"},
    {"sentinel://localhost/m" FIFTY "_______________", "too long"},
    {"sentinel://" FIFTY FIFTY FIFTY FIFTY FIFTY "______/m", "too long"},
    {"sentinel://" HUNDREDS "," HUNDREDS "/m", "too long"},
    {"unix:///"
     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567",
     "107"},
};

static void test_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        const char *wrong = redis_check_url(urls[i].url);
        if (urls[i].wrong == NULL ? wrong != NULL : wrong == NULL || strstr(wrong, urls[i].wrong) == NULL)
            fail_msg("%s: %s", urls[i].url, wrong == NULL ? "taken" : wrong);
    }
}

static void test_classes(void **state)
{
    static const struct {
        const char *text;
        enum label_error error;
    } rows[] = {
        {"WRONGPASS invalid username-password pair or user is disabled.", error_auth},
        {"NOAUTH Authentication required.", error_auth},
        {"ERR invalid password", error_auth},
        {"ERR AUTH <password> called without any password configured for the default user.", error_auth},
        {"ERR Client sent AUTH, but no password is set", error_auth},
        {"ERR wrong number of arguments for 'auth' command", error_auth},
        {"NOPERM this user has no permissions to run the 'hset' command", error_noperm},
        {"ERR The user executing the script can't run this command or subcommand script: c0de, on @user_script:13.",
         error_noperm},
        {"ERR ACL failure in script: User x has no permissions to run the 'time' command script: c0de", error_noperm},
        {"ERR Error running script (call to f_c0de): @user_script:15: @user_script: 15: The user executing the script "
         "can't run this command or subcommand",
         error_noperm},
        {"ERR Error running script (call to f_c0de): @user_script:9: WRONGTYPE Operation against a key",
         error_wrongtype},
        {"ERR Error running script (call to f_c0de): @user_script:9: @user_script: 9: -READONLY You can't write",
         error_readonly},
        {"ERR Error running script (call to f_c0de): @user_script:9: something", error_other},
        {"ERR Error running script: READONLY", error_other},
        {"READONLY You can't write against a read only replica.", error_readonly},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", error_readonly},
        {"OOM command not allowed when used memory > 'maxmemory'.", error_oom},
        {"MISCONF Redis is configured to save RDB snapshots", error_misconf},
        {"NOREPLICAS Not enough good replicas to write.", error_misconf},
        {"LOADING Redis is loading the dataset in memory", error_loading},
        {"BUSY Redis is busy running a script.", error_loading},
        {"BUSYGROUP Consumer Group name already exists", error_other},
        {"MOVED 3999 127.0.0.1:6381", error_moved},
        {"ASK 3999 127.0.0.1:6381", error_moved},
        {"CLUSTERDOWN Hash slot not served", error_moved},
        {"TRYAGAIN Multiple keys request during rehashing of slot", error_moved},
        {"NOSCRIPT No matching script. Please use EVAL.", error_noscript},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", error_wrongtype},
        {"FENCED another owner pushes under this name", error_fenced},
        {"DENIED Redis is running in protected mode", error_connect},
        {"ERR max number of clients reached", error_connect},
        {"ERR unknown command 'FOO', with args beginning with: ", error_other},
        {"", error_other},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (redis_classify(rows[i].text) != rows[i].error)
            fail_msg("%s: class %d", rows[i].text, (int)redis_classify(rows[i].text));
    }
}

/* ---- a server that obeys ---- */

enum { TURNS = 4, CONNECTIONS = 2 };

/* What the server says after each time that something arrived; after the last it hangs up. HOLD: it says nothing, and stays. */
struct script {
    const char *turns[CONNECTIONS][TURNS];
};
static const char HOLD[] = "hold";

struct server {
    struct settings settings;
    struct script script;
    char folder[64];
    int listener;
    sem_t hung_up; /* posted when the server closed a connection */
    pthread_t thread;
};

static void serve_connection(int fd, const char *const *turns)
{
    char bytes[4096];
    for (int i = 0; i < TURNS && turns[i] != NULL && recv(fd, bytes, sizeof bytes, 0) > 0; i++) {
        if (turns[i] == HOLD)
            continue;
        assert_int_equal(send(fd, turns[i], strlen(turns[i]), MSG_NOSIGNAL), strlen(turns[i]));
    }
}

static void *serve(void *context)
{
    struct server *server = context;
    int fds[CONNECTIONS];
    int count = 0;
    while (count < CONNECTIONS && (fds[count] = accept(server->listener, NULL, NULL)) >= 0) {
        const char *const *turns = server->script.turns[count++];
        serve_connection(fds[count - 1], turns);
        bool hangs_up = true;
        for (int i = 0; i < TURNS; i++)
            hangs_up = hangs_up && turns[i] != HOLD;
        if (hangs_up) {
            shutdown(fds[count - 1], SHUT_RDWR);
            sem_post(&server->hung_up);
        }
    }
    while (count > 0)
        close(fds[--count]);
    return NULL;
}

static void server_start(struct server *server, const struct script *script)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *server = (struct server){.script = *script, .settings = {.redis_timeout = GENEROUS}};
    strcpy(server->folder, "/tmp/test_redis.XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", server->folder);
    snprintf(server->settings.redis_url, sizeof server->settings.redis_url, "unix://%s?db=1", address.sun_path);
    sem_init(&server->hung_up, 0, 0);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    char path[80];
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    snprintf(path, sizeof path, "%s/s", server->folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/password", server->folder);
    unlink(path);
    assert_int_equal(rmdir(server->folder), 0);
}

static void give_password(struct server *server, const char *content)
{
    snprintf(server->settings.redis_password_file, sizeof server->settings.redis_password_file, "%s/password",
             server->folder);
    FILE *out = fopen(server->settings.redis_password_file, "w");
    assert_non_null(out);
    fputs(content, out);
    fclose(out);
}

static bool exchange(struct redis *redis, int64_t timeout)
{
    redis_command(redis, 1, (const char *[]){"PING"}, NULL);
    return redis_exchange(redis, timeout);
}

#define SELECTED "+OK\r\n+OK\r\n" /* SELECT, CLIENT SETNAME */

static void test_replies(void **state)
{
    static const struct {
        const char *turns[TURNS];
        const char *password;
        const char *text; /* a part of what is said; of the reply where the exchange goes well */
        enum label_error error;
        bool good;
    } rows[] = {
        {.turns = {SELECTED, "+PONG\r\n"}, .good = true, .text = "PONG"},
        {.turns = {"+OK\r\n-NOPERM no\r\n", "+PONG\r\n"}, .good = true, .text = "PONG"},
        {.turns = {SELECTED, "-READONLY no\r\n"}, .good = true, .text = "READONLY no"},
        {.turns = {SELECTED, "*1\r\n*1\r\n$2\r\nab\r\n"}, .good = true, .text = ""},
        {.turns = {SELECTED, "$3\r\na"}, .error = error_connect, .text = "closed the connection"},
        {.turns = {SELECTED}, .error = error_connect, .text = "closed the connection"},
        {.turns = {NULL}, .error = error_connect, .text = ""},
        {.turns = {SELECTED, "HTTP/1.1 400\r\n"}, .error = error_protocol, .text = "Protocol error"},
        {.turns = {SELECTED, "+PONG\r\n+PONG\r\n"}, .error = error_protocol, .text = "more than was asked"},
        {.turns = {SELECTED, "+PONG\r\n+PO"}, .error = error_protocol, .text = "more than was asked"},
        {.turns = {SELECTED "+PONG\r\n"}, .error = error_protocol, .text = "more than was asked"},
        {.turns = {SELECTED, "*2000000\r\n:1\r\n"}, .error = error_protocol, .text = "memory"},
        {.turns = {SELECTED, "*9999999999\r\n"}, .error = error_protocol, .text = ""},
        {.turns = {"-ERR max number of clients reached\r\n"}, .error = error_connect, .text = "max number of clients"},
        {.turns = {"-NOAUTH needed\r\n-NOAUTH needed\r\n"}, .error = error_auth, .text = "NOAUTH needed"},
        {.turns = {"-ERR DB index is out of range\r\n+OK\r\n"}, .error = error_other, .text = "SELECT: ERR DB index"},
        {.turns = {"+OK\r\n" SELECTED, "+PONG\r\n"}, .password = "secret\nmore\n", .good = true, .text = "PONG"},
        {.turns = {"-WRONGPASS no\r\n-NOAUTH\r\n-NOAUTH\r\n"},
         .password = "secret",
         .error = error_auth,
         .text = "AUTH: WRONGPASS no"},
        {.turns = {"-ERR unknown command 'AUTH', with args beginning with: 'secret'\r\n" SELECTED},
         .password = "secret",
         .error = error_auth,
         .text = "does not know AUTH"},
        {.turns = {NULL}, .password = "\n", .error = error_auth, .text = "first line is empty"},
        {.turns = {SELECTED, HOLD}, .error = error_timeout, .text = "no answer in time"},
        {.turns = {HOLD}, .error = error_timeout, .text = "no answer in time"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server server;
        struct script script = {0};
        memcpy(script.turns[0], rows[i].turns, sizeof rows[i].turns);
        server_start(&server, &script);
        if (rows[i].password != NULL)
            give_password(&server, rows[i].password);
        struct redis *redis = redis_open(&server.settings, "test");
        bool good = exchange(redis, rows[i].error == error_timeout ? SECOND / 4 : GENEROUS);
        const char *text = good ? redis_reply_text(redis_reply(redis, 0), NULL) : redis_error_text(redis);
        if (good != rows[i].good || strstr(text, rows[i].text) == NULL || strstr(text, "secret") != NULL ||
            (!good && redis_error(redis) != rows[i].error))
            fail_msg("row %zu: good %d, class %d: %s", i, (int)good, (int)redis_error(redis), text);
        redis_close(redis);
        server_stop(&server);
    }
}

/* The answer to a question that was given up must not be taken for that of the next: the connection is given up, too. */
static void test_late_reply(void **state)
{
    static const struct script script = {{{SELECTED, HOLD}, {SELECTED, "+second\r\n", HOLD}}};
    struct server server;
    (void)state;
    server_start(&server, &script);
    struct redis *redis = redis_open(&server.settings, "test");
    assert_false(exchange(redis, SECOND / 4));
    assert_true(exchange(redis, GENEROUS));
    assert_string_equal(redis_reply_text(redis_reply(redis, 0), NULL), "second");
    redis_close(redis);
    server_stop(&server);
}

/* A connection that the server closed between two exchanges is made anew, and nobody notices. */
static void test_closed_between(void **state)
{
    static const struct script script = {{{SELECTED, "+first\r\n"}, {SELECTED, "+second\r\n", HOLD}}};
    struct server server;
    (void)state;
    server_start(&server, &script);
    struct redis *redis = redis_open(&server.settings, "test");
    assert_true(exchange(redis, GENEROUS));
    sem_wait(&server.hung_up);
    assert_true(exchange(redis, GENEROUS));
    assert_string_equal(redis_reply_text(redis_reply(redis, 0), NULL), "second");
    redis_close(redis);
    server_stop(&server);
}

static void test_nobody_there(void **state)
{
    struct settings settings = {.redis_url = "unix:///nonexistent/redis.sock", .redis_timeout = GENEROUS};
    (void)state;
    struct redis *redis = redis_open(&settings, "test");
    assert_false(exchange(redis, GENEROUS));
    assert_int_equal(redis_error(redis), error_connect);
    assert_non_null(strstr(redis_error_text(redis), "unix:///nonexistent/redis.sock: No such file"));
    assert_int_equal(redis_reply_kind(redis_reply(redis, 0)), redis_nil);
    redis_close(redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),       cmocka_unit_test(test_classes),        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_late_reply), cmocka_unit_test(test_closed_between), cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
