/* Waiting at a socket for a moment that does not move. */
#ifndef EXPORTER_COLLECT_SMTP_WAIT_H
#define EXPORTER_COLLECT_SMTP_WAIT_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t smtp_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* false: the moment has come first, also where the socket has always something to do. */
static inline bool smtp_wait(int fd, short events, int64_t until_ms)
{
    struct pollfd wait = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = until_ms - smtp_clock_ms();
        if (left_ms <= 0)
            return false;
        int ready = poll(&wait, 1, (int)left_ms);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready > 0;
    }
}

#endif
