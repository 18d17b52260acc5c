/* Copies of the tally to the state directory, on a thread of their own: a disk may block for as long as it likes. */
#ifndef MILTER_PUSHER_COPIER_H
#define MILTER_PUSHER_COPIER_H

#include "conf/lib/failure.h"
#include "conf/lib/tally.h"

enum { COPIER_INTERVAL_SECONDS = 10 };

/* Starts the thread; `tally` must live as long as the process. */
bool copier_start(const struct tally *tally, const char *state_directory, struct failure *failure);

/* Does the copy on the disk name Redis server `server` (tally_header.server)? Where it does not, it is made anew soon. Any thread. */
bool copier_names(uint64_t server);

/* Copies bear the mark `ahead` from now on, or no more. */
void copier_mark(bool ahead);

enum copier_marked { copier_mark_pending, copier_mark_done, copier_mark_failed };
/* Has the copy on the disk got the mark that was asked for last? */
enum copier_marked copier_marked(void);

/* The last copy, with the mark of a clean stop; waits for it at most `milliseconds`. true when it was written, or
 * when the tally is settling and must not be copied. */
bool copier_finish(int milliseconds);

#endif
