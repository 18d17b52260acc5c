/* How far totals may be shown on this host: what readers of the tally see of it.
 *
 * A total that was shown must not be lower after a power failure under the same tally id. So readers are shown what Redis has taken, as
 * soon as the copy on the disk names the server that took it: after the failure totals are raised to what that server holds, if it is
 * still the same, with nothing lost; else a new tally id begins. While Redis takes nothing for AHEAD_AFTER_MS, or is written too seldom,
 * readers are shown everything, after the copy on the disk was marked: the failure then ends in a new tally id.
 *
 * One thread calls all of this: the pusher's loop. */
#ifndef MILTER_PUSHER_AHEAD_H
#define MILTER_PUSHER_AHEAD_H

#include "conf/lib/tally.h"

enum {
    AHEAD_AFTER_MS = 5 * 1000,
    AHEAD_INTERVAL_MS = 2500, /* where pushes are rarer, readers are always shown everything */
    AHEAD_MARK_MS = 10 * 1000 /* a disk that stands still for so long does not keep readers from anything */
};

/* Goes on where the pusher before ended. The copier runs. */
void ahead_start(const struct tally *tally);

/* A push begins: its totals are read after this. */
void ahead_pushing(void);

/* Redis server `server` (tally_header.server; 0: not known) holds the totals of the push that began last. */
void ahead_pushed(const uint64_t *totals, uint64_t server);

/* Decides what is shown; to be called every tenth of a second. */
void ahead_tick(int64_t now_ms, int64_t push_interval_ms);

#endif
