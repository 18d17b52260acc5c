/* The open sets: for each set and hour the heavy hitters and a sketch of how many distinct members there are, in memory of fixed size that
 * outlives the process.
 *
 * A record is counted once, whatever kills the pusher: what it will change is written down first, and the place in the ring up to which
 * records were counted is the last that is written. The pusher that comes next takes back what was half done, and knows where to go on.
 * Two hours are held: the one that runs, and the one before, until Redis has it.
 *
 * One process, one thread. */
#ifndef MILTER_PUSHER_SETS_H
#define MILTER_PUSHER_SETS_H

#include "conf/lib/heavy.h"
#include "milter/ring.h"

enum { SETS_HOURS = 2, SETS_PLACES_EACH = 10 }; /* of a table, for each member that is shown */

/* Takes the memory in descriptor `fd`, as the pusher before left it; -1, or what cannot be used: begins anew, in memory of its own if need
 * be. `now`: seconds since the Unix epoch. */
bool sets_open(int fd, const struct settings *settings, int64_t now, struct failure *failure);

/* The hour may have changed. */
void sets_tick(int64_t now);

/* A ring is read from now on, whose head says `head`; returns from where. */
uint64_t sets_begin_ring(uint64_t ring, uint64_t head);
/* It was read to its end. */
void sets_end_ring(uint64_t ring);

/* Counts the record at `place` of a ring. */
void sets_count(uint64_t ring, uint64_t place, const struct ring_record *record);

/* The place holds no record that can be counted. */
void sets_skip(uint64_t ring, uint64_t place);

/* ---- for Redis ---- */

/* One set in one hour. */
struct sets_table {
    enum top_set set;
    int64_t hour; /* 0: none */
    bool changed; /* since it was taken back */
    struct heavy *heavy;
    const struct heavy_sum *sum;
    const struct heavy_entry *entries;
    const uint8_t *sketch;
};

/* The i-th table; false: there are no more. */
bool sets_table(unsigned i, struct sets_table *table);

/* Redis holds the i-th table, of that hour, as it was when `changed` was taken back. */
void sets_take_changed(unsigned i);
void sets_give_changed(unsigned i);

#endif
