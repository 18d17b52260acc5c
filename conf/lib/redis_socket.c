/* Sockets to Redis. A resolution is owned by the connection and by its thread; the last of the two to let go frees it. */
#include "conf/lib/redis_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEEPALIVE_IDLE_SECONDS = 30, KEEPALIVE_INTERVAL_SECONDS = 10, KEEPALIVE_PROBES = 3 };

struct redis_resolution {
    struct redis_url url;
    struct redis_addresses addresses;
    const char *error;
    int descriptor;
    atomic_bool finished; /* released after addresses and error were written */
    atomic_int owners;
};

/* One thread at a time, however many connections there are. */
static atomic_flag resolving = ATOMIC_FLAG_INIT;

static void add_address(struct redis_addresses *addresses, const void *address, socklen_t length)
{
    if (addresses->count == REDIS_ADDRESSES_MAX)
        return;
    memcpy(&addresses->list[addresses->count].address, address, length);
    addresses->list[addresses->count++].length = length;
}

/* Returns 0 or an error of getaddrinfo(3). */
static int look_up(const struct redis_url *url, int flags, struct redis_addresses *addresses)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found;
    int error = getaddrinfo(url->host, url->port, &hints, &found);
    if (error != 0)
        return error;
    addresses->count = 0;
    for (const struct addrinfo *info = found; info != NULL; info = info->ai_next)
        add_address(addresses, info->ai_addr, info->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

bool redis_socket_literal(const struct redis_url *url, struct redis_addresses *addresses)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    addresses->count = 0;
    if (url->path[0] == '\0')
        return look_up(url, AI_NUMERICHOST | AI_NUMERICSERV, addresses) == 0;
    memcpy(local.sun_path, url->path, sizeof local.sun_path);
    add_address(addresses, &local, sizeof local);
    return true;
}

void redis_resolution_drop(struct redis_resolution *resolution)
{
    if (resolution == NULL || atomic_fetch_sub(&resolution->owners, 1) > 1)
        return;
    close(resolution->descriptor);
    free(resolution);
}

static void *resolve(void *context)
{
    struct redis_resolution *resolution = context;
    int error = look_up(&resolution->url, AI_NUMERICSERV, &resolution->addresses);
    resolution->error = error == 0 ? NULL : gai_strerror(error);
    atomic_store_explicit(&resolution->finished, true, memory_order_release);
    eventfd_write(resolution->descriptor, 1);
    redis_resolution_drop(resolution);
    atomic_flag_clear(&resolving);
    return NULL;
}

/* Starts a detached thread that takes no signals: they are for the program's own threads. */
static bool start_thread(void *(*run)(void *), void *context)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, NULL, run, context) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_detach(thread);
    return started;
}

struct redis_resolution *redis_resolution_start(const struct redis_url *url)
{
    if (atomic_flag_test_and_set(&resolving))
        return NULL;
    struct redis_resolution *resolution = calloc(1, sizeof *resolution);
    if (resolution != NULL) {
        resolution->url = *url;
        resolution->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        atomic_init(&resolution->owners, 2);
        if (resolution->descriptor >= 0 && start_thread(resolve, resolution))
            return resolution;
        if (resolution->descriptor >= 0)
            close(resolution->descriptor);
        free(resolution);
    }
    atomic_flag_clear(&resolving);
    return NULL;
}

int redis_resolution_descriptor(const struct redis_resolution *resolution)
{
    return resolution->descriptor;
}

bool redis_resolution_finished(const struct redis_resolution *resolution, struct redis_addresses *addresses,
                               const char **error)
{
    if (!atomic_load_explicit(&resolution->finished, memory_order_acquire))
        return false;
    *addresses = resolution->addresses;
    *error = resolution->error;
    return true;
}

/* None of these is worth failing for. */
static void set_tcp_options(int fd, int64_t timeout)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, (int)(timeout / 1000)},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

int redis_socket_connect(const struct redis_addresses *addresses, size_t i, int64_t timeout)
{
    const struct sockaddr *address = (const struct sockaddr *)&addresses->list[i].address;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (address->sa_family != AF_UNIX)
        set_tcp_options(fd, timeout);
    if (connect(fd, address, addresses->list[i].length) == 0 || errno == EINPROGRESS)
        return fd;
    int error = errno; /* EAGAIN from a Unix socket: its backlog is full, and it cannot be waited for */
    close(fd);
    errno = error;
    return -1;
}

int redis_socket_connected(int fd)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof error;
    if (poll(&writable, 1, 0) <= 0)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return -1;
    errno = error;
    return error == 0 ? 1 : -1;
}
