/*
 * wire.c - a buffered stream socket with deadlines, that carries milter packets.
 *
 * The socket is non-blocking; whoever waits, waits in poll() and until a deadline, so that a filter that hangs
 * shows as an error and never as a test that hangs.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LENGTH_SIZE = 4, READ_SIZE = 4096, LONGEST_PACKET = 1 << 20 };

static int fail(struct wire *w, const char *what, const char *why)
{
    snprintf(w->error, sizeof(w->error), "%s: %s", what, why);
    return -1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the socket is ready or the deadline is over: 1, 0, or -1. */
static int wait_for(struct wire *w, short what, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - now_ms();
        struct pollfd p = {.fd = w->fd, .events = what};
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return fail(w, "poll", strerror(errno));
    }
}

static void bytes_reserve(struct bytes *b, size_t more)
{
    if (b->size + more <= b->room)
        return;
    size_t room = (b->size + more) * 2;
    char *grown = realloc(b->data, room);
    if (grown == NULL)
        abort(); /* a test program without memory has nothing left to say */
    b->data = grown;
    b->room = room;
}

void bytes_add(struct bytes *b, const void *data, size_t size)
{
    if (size == 0)
        return;
    bytes_reserve(b, size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void bytes_add_string(struct bytes *b, const char *text)
{
    bytes_add(b, text, strlen(text) + 1);
}

static int connect_socket(int family, const struct sockaddr *address, socklen_t size, int timeout_ms)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* SO_SNDTIMEO bounds connect() too, also on a Unix socket with a full backlog, where poll() cannot wait. */
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 || connect(fd, address, size) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        int saved = errno;
        close(fd);
        errno = saved == EAGAIN || saved == EINPROGRESS ? ETIMEDOUT : saved;
        return -1;
    }
    return fd;
}

static int connect_unix(const char *path, int timeout_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect_socket(AF_UNIX, (const struct sockaddr *)&address, sizeof(address), timeout_ms);
}

static int connect_inet(const char *port_at_host, int timeout_ms)
{
    char port[16] = "";
    const char *at = strchr(port_at_host, '@');
    if (at == NULL || (size_t)(at - port_at_host) >= sizeof(port)) {
        errno = EINVAL;
        return -1;
    }
    memcpy(port, port_at_host, (size_t)(at - port_at_host));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(at + 1, port, &hints, &found) != 0) {
        errno = EINVAL;
        return -1;
    }
    int fd = connect_socket(found->ai_family, found->ai_addr, found->ai_addrlen, timeout_ms);
    int saved = errno;
    freeaddrinfo(found);
    errno = saved;
    return fd;
}

int wire_open(struct wire *w, const char *address, int timeout_ms)
{
    w->timeout_ms = timeout_ms;
    if (strncmp(address, "inet:", 5) == 0)
        w->fd = connect_inet(address + 5, timeout_ms);
    else
        w->fd = connect_unix(strncmp(address, "unix:", 5) == 0 ? address + 5 : address, timeout_ms);
    return w->fd < 0 ? fail(w, address, strerror(errno)) : 0;
}

void wire_close(struct wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    free(w->in.data);
    w->in = (struct bytes){0};
}

int wire_flush(struct wire *w)
{
    int64_t deadline = now_ms() + w->timeout_ms;
    size_t done = 0;
    while (done < w->out_size) {
        ssize_t n = send(w->fd, w->out + done, w->out_size - done, MSG_NOSIGNAL);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            int ready = wait_for(w, POLLOUT, deadline);
            if (ready <= 0)
                return ready < 0 ? -1 : fail(w, "write", "the filter does not read");
        } else if (n < 0 && errno != EINTR) {
            return fail(w, "write", strerror(errno));
        }
    }
    w->out_size = 0;
    return 0;
}

static int put_bytes(struct wire *w, const void *data, size_t size)
{
    const char *from = data;
    while (size > 0) {
        size_t room = sizeof(w->out) - w->out_size;
        size_t part = room < size ? room : size;
        memcpy(w->out + w->out_size, from, part);
        w->out_size += part;
        from += part;
        size -= part;
        if (w->out_size == sizeof(w->out) && wire_flush(w) != 0)
            return -1;
    }
    return 0;
}

int wire_put(struct wire *w, char code, const void *data, size_t size)
{
    char head[LENGTH_SIZE + 1];
    uint32_t length = htonl((uint32_t)size + 1);
    memcpy(head, &length, LENGTH_SIZE);
    head[LENGTH_SIZE] = code;
    return put_bytes(w, head, sizeof(head)) != 0 ? -1 : put_bytes(w, data, size);
}

/* Hands out a packet that is complete in the buffer. */
static enum wire_got take_packet(struct wire *w, const char **packet, size_t *size)
{
    size_t have = w->in.size - w->in_used;
    uint32_t length;
    if (have < LENGTH_SIZE)
        return WIRE_NOTHING;
    memcpy(&length, w->in.data + w->in_used, LENGTH_SIZE);
    length = ntohl(length);
    if (length == 0 || length > LONGEST_PACKET) {
        fail(w, "read", "a packet of impossible length");
        return WIRE_ERROR;
    }
    if (have < LENGTH_SIZE + length)
        return WIRE_NOTHING;
    *packet = w->in.data + w->in_used + LENGTH_SIZE;
    *size = length;
    w->in_used += LENGTH_SIZE + length;
    return WIRE_PACKET;
}

/* Reads what is there, behind what is in the buffer. */
static enum wire_got read_more(struct wire *w)
{
    if (w->in_used > 0) {
        memmove(w->in.data, w->in.data + w->in_used, w->in.size - w->in_used);
        w->in.size -= w->in_used;
        w->in_used = 0;
    }
    bytes_reserve(&w->in, READ_SIZE + 1);
    ssize_t n = recv(w->fd, w->in.data + w->in.size, READ_SIZE, 0);
    if (n > 0) {
        w->in.size += (size_t)n;
        return WIRE_PACKET;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return WIRE_NOTHING;
    fail(w, "read", n == 0 ? "the filter closed the connection" : strerror(errno));
    return n == 0 ? WIRE_EOF : WIRE_ERROR;
}

enum wire_got wire_get(struct wire *w, const char **packet, size_t *size, int timeout_ms)
{
    int64_t deadline = now_ms() + timeout_ms;
    for (;;) {
        enum wire_got got = take_packet(w, packet, size);
        if (got != WIRE_NOTHING)
            return got;
        got = read_more(w);
        if (got == WIRE_PACKET)
            continue;
        if (got != WIRE_NOTHING)
            return got;
        if (timeout_ms <= 0)
            return WIRE_NOTHING;
        int ready = wait_for(w, POLLIN, deadline);
        if (ready < 0)
            return WIRE_ERROR;
        if (ready == 0) {
            fail(w, "read", "no reply in time");
            return WIRE_NOTHING;
        }
    }
}
