/* The rings of the filters, emptied into the open sets. Memory operations, whatever Redis does. */
#ifndef MILTER_PUSHER_DRAIN_H
#define MILTER_PUSHER_DRAIN_H

#include "conf/lib/tally.h"

/* A ring that the supervisor shows; closes the descriptor. */
void drain_add(int fd);

/* Takes what the rings hold, and lets go of those whose filter is gone: what it had begun and not published is counted as dropped.
 * true: a ring is so full that the next look should come soon. */
bool drain_step(const struct tally *tally);

#endif
