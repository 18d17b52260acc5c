/* The clocks of the collectors: one for how long, one for when. */
#ifndef EXPORTER_COLLECT_CLOCK_H
#define EXPORTER_COLLECT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* In microseconds. */
static inline int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Milliseconds that only ever go on: for deadlines. */
static inline int64_t clock_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

#endif
