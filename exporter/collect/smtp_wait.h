/* Waiting at a socket for a moment that does not move, or until the program ends. */
#ifndef EXPORTER_COLLECT_SMTP_WAIT_H
#define EXPORTER_COLLECT_SMTP_WAIT_H

#include "exporter/collect/clock.h"
#include "exporter/collect/collector.h"

#include <errno.h>
#include <poll.h>

enum { SMTP_WAIT_STEP_MS = 500 }; /* in which the end is looked at */

/* false: the moment or the end has come first, also where the socket has always something to do. */
static inline bool smtp_wait(int fd, short events, int64_t until_ms)
{
    struct pollfd wait = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = until_ms - clock_ms();
        if (left_ms <= 0 || collectors_end)
            return false;
        int ready = poll(&wait, 1, left_ms < SMTP_WAIT_STEP_MS ? (int)left_ms : SMTP_WAIT_STEP_MS);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready > 0;
    }
}

#endif
