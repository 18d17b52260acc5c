/* After a power failure the tally was begun from a copy that may be older than what Redis holds. Before totals are shown again they are
 * raised to what Redis holds for the same tally id; where Redis does not hold it, or is not reached in TALLY_SETTLE_MS, a new tally
 * id begins at 0: a clean reset is what every collector understands, a small step back is not. Redis holds it if it is the server that
 * the copy names, which has not been started anew or had another master since. */
#ifndef MILTER_PUSHER_SETTLE_H
#define MILTER_PUSHER_SETTLE_H

#include "conf/lib/redis.h"
#include "conf/lib/tally.h"

/* The owner of an instance's keys in Redis: tally id, colon, boot id; into at least 80 bytes. */
void settle_owner(const struct tally *tally, char *owner);

/* Adds the questions to an exchange. */
void settle_ask(struct redis *redis, const char *instance);

/* Asks the server who it is, in two commands; and what came of it, from the `first` reply on: what differs between any two servers, and
 * between two lives of one, and changes when its data came from another. 0 where it does not say. */
enum { SETTLE_IDENTITY_REPLIES = 2 };
void settle_ask_identity(struct redis *redis);
uint64_t settle_identity(const struct redis *redis, size_t first);

/* Do the answers say that the run which made the copy may write for now? It is the one before ours, which a moment ago was alive, or we
 * are a clone of it. Then nothing is decided yet. */
bool settle_is_leased(const struct redis *redis, const struct tally *tally);

/* Decides by the answers of server `server`. Returns NULL when settled, else the reply that was wrong. */
const struct redis_reply *settle_take(const struct redis *redis, const struct tally *tally, uint64_t server);

/* Resets when Redis could not be asked in time; true while still settling. */
bool settle_wait(const struct tally *tally);

#endif
