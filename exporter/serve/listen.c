/* From an address as text to a listening socket, and to a sentence where that fails. */
#include "exporter/serve/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

/* Splits the address, which the configuration has checked. */
static int look_up(const char *address, struct addrinfo **info)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = strrchr(address, ':');
    size_t bracket = address[0] == '[';
    char host[64];
    if (colon == NULL)
        return EAI_NONAME;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address) - (int)(2 * bracket), address + bracket);
    return getaddrinfo(host, colon + 1, &hints, info);
}

static bool fail_to_listen(const char *address, int error, struct failure *failure)
{
    switch (error) {
    case EADDRINUSE:
        return fail(failure, EX_UNAVAILABLE,
                    "exporter.listen %s: address in use by another program; stop that (ss -ltnp names it), or choose "
                    "another port",
                    address);
    case EACCES:
        return fail(failure, EX_NOPERM, "exporter.listen %s: not allowed; choose a port above 1023", address);
    case EADDRNOTAVAIL:
        return fail(failure, EX_UNAVAILABLE, "exporter.listen %s: no such address on this host; ip address lists them",
                    address);
    default:
        return fail(failure, EX_OSERR, "exporter.listen %s: %s", address, strerror(error));
    }
}

static bool begin(int fd, const struct addrinfo *info)
{
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
}

int listen_on(const char *address, struct failure *failure)
{
    struct addrinfo *info;
    int error = look_up(address, &info);
    if (error != 0) {
        fail(failure, EX_CONFIG, "exporter.listen %s: %s", address, gai_strerror(error));
        return -1;
    }
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !begin(fd, info)) {
        fail_to_listen(address, errno, failure);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(info);
    return fd;
}
