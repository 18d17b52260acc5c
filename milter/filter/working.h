/* Which callbacks are being worked on, and since when: a worker that is stuck in one must not go unnoticed while others still answer.
 *
 * A small table of times; a callback takes a free place in it, or goes unwatched where its place is taken. Atomics only. */
#ifndef MILTER_FILTER_WORKING_H
#define MILTER_FILTER_WORKING_H

#include <stdint.h>

/* Takes a place for work that begins now (nanoseconds of CLOCK_MONOTONIC); returns the place, -1: unwatched. `key` spreads: any value
 * that differs between threads. */
int working_begin(uintptr_t key, int64_t now_ns);

/* Gives the place back; -1 is fine. */
void working_end(int place);

/* When the oldest work began that is still under way; 0: there is none. */
int64_t working_oldest_ns(void);

#endif
