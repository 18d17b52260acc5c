/* Copies of the tally to the state directory, on a thread of their own: a disk may block for as long as it likes. */
#ifndef MILTER_PUSHER_COPIER_H
#define MILTER_PUSHER_COPIER_H

#include "conf/lib/failure.h"
#include "conf/lib/tally.h"

enum { COPIER_INTERVAL_SECONDS = 10 };

/* Starts the thread; `tally` must live as long as the process. */
bool copier_start(const struct tally *tally, const char *state_directory, struct failure *failure);

/* The last copy, with the mark of a clean stop; waits for it at most `milliseconds`. true when it was written, or
 * when the tally is settling and must not be copied. */
bool copier_finish(int milliseconds);

#endif
