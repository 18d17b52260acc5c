/* The values that a push writes: those of both tallies as they are when it begins, and those that Redis holds since the one before. One thread. */
#ifndef MILTER_PUSHER_VALUES_H
#define MILTER_PUSHER_VALUES_H

#include "conf/lib/snapshot.h"
#include "conf/lib/tally.h"

enum { VALUES_ARGUMENTS_MAX = 2 * ((int)total_COUNT + (int)gauge_COUNT) };

struct values;

/* NULL: no memory. */
struct values *values_new(void);

/* The node's tally is in this folder. false: no memory. */
bool values_node_in(struct values *values, const char *run_directory);

/* Looks at both tallies. true: what can be observed, the configured domains or the node's tally are others than before, so everything is to be
 * written, zeros included. */
bool values_take(struct values *values, const struct tally *tally);

/* What was seen then, and the id of the node's tally; empty: there is none. Valid until the next look. */
const struct snapshot *values_seen(const struct values *values);
const char *values_node_id(const struct values *values);

/* Names and values of counters that Redis does not hold, or of `all`, and of the gauges that there are: texts in pairs, valid until the next look.
 * Returns how many texts; both together are VALUES_ARGUMENTS_MAX at most. */
size_t values_counters(struct values *values, bool all, const char **texts);
size_t values_gauges(struct values *values, const char **texts);

/* How many counters Redis holds when all of them are written. */
unsigned values_count(const struct values *values);

/* Redis holds them now. */
void values_written(struct values *values);

/* The totals that Redis holds. */
const uint64_t *values_in_redis(const struct values *values);

#endif
