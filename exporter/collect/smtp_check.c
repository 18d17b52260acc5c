/* A check, from its socket to QUIT. */
#include "exporter/collect/smtp_check.h"

#include "conf/lib/snapshot.h"
#include "exporter/collect/smtp_reply.h"
#include "exporter/collect/smtp_tls.h"
#include "exporter/collect/smtp_wait.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { BYTES_MOST = 64 * 1024 }; /* of a reply, however quickly it comes */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct line {
    const struct smtp_check *check;
    struct smtp_seen *seen;
    int fd;
    uint64_t mark;     /* of the entry for the filter; 0: none */
    const char *wrong; /* why the last reply is none */
};

static bool is_ipv4(const uint8_t *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address, mapped, sizeof mapped) == 0;
}

static socklen_t make_address(const uint8_t *bytes, uint16_t port, union address *address)
{
    memset(address, 0, sizeof *address);
    if (is_ipv4(bytes)) {
        address->in.sin_family = AF_INET;
        address->in.sin_port = htons(port);
        memcpy(&address->in.sin_addr, bytes + 12, 4);
        return sizeof address->in;
    }
    address->in6.sin6_family = AF_INET6;
    address->in6.sin6_port = htons(port);
    memcpy(&address->in6.sin6_addr, bytes, 16);
    return sizeof address->in6;
}

/* A listener at any address is reached at the loopback one. */
static void reachable(const uint8_t *address, uint8_t *bytes)
{
    static const uint8_t nothing[16];
    memcpy(bytes, address, 16);
    if (is_ipv4(bytes) && memcmp(bytes + 12, nothing, 4) == 0)
        memcpy(bytes + 12, (const uint8_t[]){127, 0, 0, 1}, 4);
    else if (memcmp(bytes, nothing, 16) == 0)
        bytes[15] = 1;
}

/* ---- connecting ---- */

static bool failed(struct smtp_seen *seen, const char *what, int error)
{
    snprintf(seen->why, sizeof seen->why, "%s: %s", what, strerror(error));
    return false;
}

/* From the listener's own address, if it is one of this host: then the filter can be told, before it connects, where it comes from. */
static void tell_filter(struct line *line, const uint8_t *bytes)
{
    union address own;
    socklen_t length = make_address(bytes, 0, &own);
    if (line->check->told < 0 || bind(line->fd, &own.any, length) != 0 || getsockname(line->fd, &own.any, &length) != 0)
        return;
    uint16_t port = ntohs(own.any.sa_family == AF_INET ? own.in.sin_port : own.in6.sin6_port);
    line->mark = mta_checks_tell(line->check->told, line->check->place, bytes, port);
}

static bool dial(struct line *line, int64_t until_ms)
{
    union address server;
    uint8_t bytes[16];
    int error = 0;
    socklen_t error_length = sizeof error;
    reachable(line->check->address, bytes);
    socklen_t length = make_address(bytes, line->check->port, &server);
    line->fd = socket(server.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (line->fd < 0)
        return failed(line->seen, "no socket", errno);
    line->seen->tried = true;
    tell_filter(line, bytes);
    if (connect(line->fd, &server.any, length) == 0)
        return true;
    if (errno != EINPROGRESS)
        return failed(line->seen, "connect", errno);
    if (!smtp_wait(line->fd, POLLOUT, until_ms))
        return failed(line->seen, "connect", ETIMEDOUT);
    if (getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &error_length) != 0)
        error = errno;
    return error == 0 || failed(line->seen, "connect", error);
}

/* ---- talking ---- */

/* Its code; 0 where there was none in time, and line->wrong says why. Nothing may stand behind it, since nothing was asked yet. */
static int read_reply(struct line *line, struct smtp_reply *reply, int64_t until_ms)
{
    char bytes[1024];
    size_t sum = 0;
    *reply = SMTP_REPLY_NONE;
    line->wrong = NULL;
    while (reply->state == smtp_reply_begun && line->wrong == NULL) {
        if (!smtp_wait(line->fd, POLLIN, until_ms)) {
            line->wrong = sum == 0 ? "silence" : "the reply does not end in time";
            break;
        }
        ssize_t got = recv(line->fd, bytes, sizeof bytes, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        sum += got > 0 ? (size_t)got : 0;
        if (got <= 0)
            line->wrong = got == 0 ? "it hangs up" : strerror(errno);
        else if (smtp_reply_take(reply, bytes, (size_t)got) < (size_t)got || reply->state == smtp_reply_broken)
            line->wrong = "this is not SMTP";
        else if (reply->state == smtp_reply_begun && sum > BYTES_MOST)
            line->wrong = "the reply has no end";
    }
    return line->wrong == NULL ? reply->code : 0;
}

/* A command is shorter than any socket's buffer. */
static int say(struct line *line, const char *command, struct smtp_reply *reply, int64_t until_ms)
{
    size_t length = strlen(command);
    if (send(line->fd, command, length, MSG_NOSIGNAL) != (ssize_t)length)
        return 0;
    return read_reply(line, reply, until_ms);
}

/* What can be said of our name without asking anybody: the address that we come from (RFC 5321, 4.1.3). */
static void hello(const struct line *line, char *command, size_t bytes)
{
    union address own = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t length = sizeof own;
    char text[INET6_ADDRSTRLEN] = "127.0.0.1";
    bool is_known = getsockname(line->fd, &own.any, &length) == 0;
    bool is_ipv6 = is_known && own.any.sa_family == AF_INET6;
    if (is_ipv6)
        inet_ntop(AF_INET6, &own.in6.sin6_addr, text, sizeof text);
    else if (is_known)
        inet_ntop(AF_INET, &own.in.sin_addr, text, sizeof text);
    snprintf(command, bytes, "EHLO [%s%s]\r\n", is_ipv6 ? "IPv6:" : "", text);
}

/* All that follows the greeting; each step only where the one before went well. */
static void converse(struct line *line, int64_t until_ms)
{
    struct smtp_reply reply;
    char command[INET6_ADDRSTRLEN + 16];
    hello(line, command, sizeof command);
    int code = say(line, command, &reply, until_ms);
    if (code / 100 == 2 && reply.starttls) {
        code = say(line, "STARTTLS\r\n", &reply, until_ms);
        if (code == 220) {
            line->seen->expiry_us = smtp_tls_expiry(line->fd, until_ms);
            return;
        }
    }
    if (code != 0)
        say(line, "QUIT\r\n", &reply, until_ms);
}

static void look_at_filter(struct line *line)
{
    int attached = mta_checks_seen(line->check->told, line->check->place, line->mark, line->seen->version);
    line->seen->attached = attached < 0 ? GAUGE_ABSENT : attached;
}

static void greet(struct line *line, int64_t until_ms)
{
    struct smtp_reply reply;
    struct smtp_seen *seen = line->seen;
    int code = read_reply(line, &reply, until_ms);
    int64_t rest_until_ms = clock_ms() + line->check->rest_ms;
    seen->up = code == 220;
    if (seen->up) {
        snprintf(seen->greeting, sizeof seen->greeting, "%s", reply.text);
        look_at_filter(line);
        converse(line, rest_until_ms);
    } else if (code != 0) {
        snprintf(seen->why, sizeof seen->why, "it greets with %d %.100s", code, reply.text);
        say(line, "QUIT\r\n", &reply, rest_until_ms);
    } else {
        snprintf(seen->why, sizeof seen->why, "%s", line->wrong);
    }
}

void smtp_check_run(const struct smtp_check *check, struct smtp_seen *seen)
{
    struct line line = {.check = check, .seen = seen, .fd = -1};
    int64_t until_ms = clock_ms() + check->greeting_ms;
    *seen = (struct smtp_seen){.attached = GAUGE_ABSENT, .expiry_us = GAUGE_ABSENT};
    if (dial(&line, until_ms))
        greet(&line, until_ms);
    if (line.fd >= 0)
        close(line.fd);
    /* Where it was not greeted the MTA may come to its filters later: the filter is to know it as long as it believes it. */
    if (seen->up && line.mark != 0)
        mta_checks_end(check->told, check->place);
}
