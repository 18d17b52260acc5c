/* From the address of a Redis server to a socket, without waiting. Private to redis*.c.
 *
 * Names are resolved in a helper thread, since getaddrinfo cannot be given a deadline. The thread is never joined and may hang
 * in DNS for as long as it likes; while one does, no second is started in this process. */
#ifndef CONF_LIB_REDIS_SOCKET_H
#define CONF_LIB_REDIS_SOCKET_H

#include "conf/lib/redis_url.h"

#include <sys/socket.h>

enum { REDIS_ADDRESSES_MAX = 8 };

struct redis_addresses {
    size_t count;
    struct {
        struct sockaddr_storage address;
        socklen_t length;
    } list[REDIS_ADDRESSES_MAX];
};

/* Fills *addresses and returns true where no name has to be resolved: a Unix socket, a numeric address. */
bool redis_socket_literal(const struct redis_url *url, struct redis_addresses *addresses);

/* A name on its way to addresses. */
struct redis_resolution;

/* Starts a thread that resolves the URL's host. NULL: not now, another one is under way. */
struct redis_resolution *redis_resolution_start(const struct redis_url *url);

/* Readable when the resolution has finished. */
int redis_resolution_descriptor(const struct redis_resolution *resolution);

/* false while it is under way; else fills *addresses, and *error with NULL or a sentence (a literal). */
bool redis_resolution_finished(const struct redis_resolution *resolution, struct redis_addresses *addresses,
                               const char **error);

/* Gives it up, finished or not. NULL is allowed. */
void redis_resolution_drop(struct redis_resolution *resolution);

/* Begins to connect: a non-blocking, close-on-exec socket, or -1 with errno. `timeout` in microseconds is for data that the other end
 * does not acknowledge. */
int redis_socket_connect(const struct redis_addresses *addresses, size_t i, int64_t timeout);

/* Has the connection been made? 1: yes; 0: not yet; -1: no, with errno. */
int redis_socket_connected(int fd);

#endif
