/* conf/lib/redis_socket.c: a resolver that hangs, and hosts of several addresses of which some do not answer. getaddrinfo is replaced by one
 * that the test holds and lets go. */
#include "conf/lib/redis.h"

#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECOND = 1000000, GENEROUS = 60 * SECOND, ADDRESSES = 2 };

/* ---- the resolver ---- */

static sem_t let_go;         /* each look-up takes one */
static atomic_int looked_up; /* how often, which is how many threads did */
static int answer;           /* what getaddrinfo returns */
static struct sockaddr_in addresses[ADDRESSES];
static struct addrinfo infos[ADDRESSES];

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    (void)service;
    if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    assert_string_equal(name, "redis.example.org");
    atomic_fetch_add(&looked_up, 1);
    while (sem_wait(&let_go) != 0) {
    }
    *result = infos;
    return answer;
}

void freeaddrinfo(struct addrinfo *info)
{
    (void)info;
}

/* A listener on a port of 127.0.0.1, as address number i. */
static int listen_as(int i, int backlog)
{
    socklen_t length = sizeof addresses[i];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    addresses[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (const struct sockaddr *)&addresses[i], length), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addresses[i], &length), 0);
    infos[i] = (struct addrinfo){.ai_family = AF_INET,
                                 .ai_socktype = SOCK_STREAM,
                                 .ai_addr = (struct sockaddr *)&addresses[i],
                                 .ai_addrlen = length,
                                 .ai_next = i + 1 < ADDRESSES ? &infos[i + 1] : NULL};
    return fd;
}

static const struct settings settings = {.redis_url = "redis://redis.example.org:6379/0", .redis_timeout = SECOND};

static bool exchange(struct redis *redis, int64_t timeout)
{
    redis_command(redis, 1, (const char *[]){"PING"}, NULL);
    return redis_exchange(redis, timeout);
}

/* Exchanges until someone connects to `listener`: that the connection is not answered does not matter here. */
static void expect_connection(struct redis *redis, int listener)
{
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    assert_false(exchange(redis, 2 * SECOND));
    assert_int_equal(redis_error(redis), error_timeout);
    assert_non_null(strstr(redis_error_text(redis), "no answer in time"));
    assert_int_equal(poll(&wait, 1, 0), 1);
    close(accept(listener, NULL, NULL));
}

/* However long it hangs and whoever asks: one thread, and no exchange takes longer than it may. */
static void test_resolver_hangs(void **state)
{
    (void)state;
    atomic_store(&looked_up, 0);
    answer = 0;
    int refused = listen_as(0, 8), listener = listen_as(1, 8);
    close(refused); /* nobody answers at the first address */
    struct redis *redis = redis_open(&settings, "test"), *other = redis_open(&settings, "test");
    for (int i = 0; i < 3; i++) {
        assert_false(exchange(redis, SECOND / 10));
        assert_int_equal(redis_error(redis), error_timeout);
        assert_non_null(strstr(redis_error_text(redis), "not connected in time"));
        assert_false(exchange(other, SECOND / 10));
    }
    assert_int_equal(atomic_load(&looked_up), 1);
    redis_close(redis); /* while its name is being resolved */
    redis = redis_open(&settings, "test");
    assert_false(exchange(redis, SECOND / 10));
    assert_int_equal(atomic_load(&looked_up), 1);
    sem_post(&let_go); /* for the one that nobody waits for any more */
    sem_post(&let_go);
    expect_connection(redis, listener);
    assert_int_equal(atomic_load(&looked_up), 2);
    redis_close(redis);
    redis_close(other);
    close(listener);
}

static void test_resolver_fails(void **state)
{
    (void)state;
    answer = EAI_AGAIN;
    struct redis *redis = redis_open(&settings, "test");
    sem_post(&let_go);
    assert_false(exchange(redis, GENEROUS));
    assert_int_equal(redis_error(redis), error_connect);
    assert_non_null(strstr(redis_error_text(redis), "redis.example.org:6379: the host's name cannot be resolved: "));
    redis_close(redis);
}

/* An address that swallows connections leaves time for the one behind it. */
static void test_address_hangs(void **state)
{
    int fillers[8];
    (void)state;
    answer = 0;
    int full = listen_as(0, 0), listener = listen_as(1, 8);
    for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(fillers[i], (const struct sockaddr *)&addresses[0], sizeof addresses[0]);
    }
    struct redis *redis = redis_open(&settings, "test");
    sem_post(&let_go);
    expect_connection(redis, listener);
    redis_close(redis);
    for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++)
        close(fillers[i]);
    close(full);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolver_hangs),
        cmocka_unit_test(test_resolver_fails),
        cmocka_unit_test(test_address_hangs),
    };
    sem_init(&let_go, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
