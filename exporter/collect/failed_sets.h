/* The open sets of deliveries that failed: which domains are deferred, and which providers refuse us, each with the reason.
 *
 * A member is a registered domain and a class of delivery_problems_total, "example.org mailbox_full"; an attempt counts as one recipient, and a
 * bounced one as refused, too. It counts in the hour in which its line was written, if that is the one that runs or the one before.
 * They lie in memory that goes with the totals of the log (log_store.h), so each attempt counts once there, too.
 *
 * One thread. */
#ifndef EXPORTER_COLLECT_FAILED_SETS_H
#define EXPORTER_COLLECT_FAILED_SETS_H

#include "conf/lib/node_sets.h"
#include "exporter/collect/delivery.h"

/* Counts into *sets, which outlives it: all zero, or what a run before left, which is forgotten if `privacy` was another one. NULL: no memory. */
struct failed_sets *failed_sets_open(struct node_sets *sets, const struct settings *settings);
void failed_sets_close(struct failed_sets *failed);

/* What time it is, in microseconds since the Unix epoch. */
void failed_sets_tick(struct failed_sets *failed, int64_t now_us);

/* An attempt that was deferred or bounced, for that reason. Memory operations only. `time_us`: when; 0: now. */
void failed_sets_count(struct failed_sets *failed, int64_t time_us, const struct delivery *delivery,
                       enum label_problem problem);

/* Hands them to the pusher, if anything was counted since it was done last; does not wait for the disk. false with *failure: it is to be tried
 * again. */
bool failed_sets_hand_over(struct failed_sets *failed, struct failure *failure);

#endif
