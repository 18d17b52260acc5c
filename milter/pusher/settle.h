/* After a power failure the tally was begun from a copy that may be older than what Redis holds. Before totals are shown again they are
 * raised to what Redis holds for the same tally id; where Redis does not hold it, or is not reached in TALLY_SETTLE_MS, a new tally
 * id begins at 0: a clean reset is what every collector understands, a small step back is not. */
#ifndef MILTER_PUSHER_SETTLE_H
#define MILTER_PUSHER_SETTLE_H

#include "conf/lib/redis.h"
#include "conf/lib/tally.h"

/* The owner of an instance's keys in Redis: tally id, colon, boot id; into at least 80 bytes. */
void settle_owner(const struct tally *tally, char *owner);

/* Adds the questions to an exchange. */
void settle_ask(struct redis *redis, const char *instance);

/* Decides by the answers. Returns NULL when settled, else the reply that was wrong. */
const struct redis_reply *settle_take(const struct redis *redis, const struct tally *tally);

/* Resets when Redis could not be asked in time; true while still settling. */
bool settle_wait(const struct tally *tally);

#endif
