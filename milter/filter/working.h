/* Which callbacks are being worked on, and since when: a worker that is stuck in one must not go unnoticed while others still answer. And
 * how many were finished: where that number grows the filter is busy, and not hung.
 *
 * A small table of times; a callback takes a free place in it, or goes unwatched where its place is taken. Atomics only. */
#ifndef MILTER_FILTER_WORKING_H
#define MILTER_FILTER_WORKING_H

#include <stdint.h>

/* Takes a place for work that begins now (nanoseconds of CLOCK_MONOTONIC); returns the place, -1: unwatched. `key` spreads: any value
 * that differs between threads. */
int working_begin(uintptr_t key, int64_t now_ns);

/* Gives the place back, and counts the work as finished; -1: does neither. */
void working_end(int place);

/* Counts work that took no time as finished. */
void working_done(void);

/* How much work was finished, but for what went unwatched. It only grows. */
uint64_t working_finished(void);

/* When the oldest work began that is still under way; 0: there is none. */
int64_t working_oldest_ns(void);

#endif
