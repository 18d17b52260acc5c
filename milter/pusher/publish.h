/* The open sets to Redis: the first ones of each order, and the sketch. Best effort, behind a push that was accepted: every
 * PUBLISH_EVERY_MS what has changed, and all now and then, since Redis may have lost it. */
#ifndef MILTER_PUSHER_PUBLISH_H
#define MILTER_PUSHER_PUBLISH_H

#include "conf/lib/redis.h"
#include "conf/lib/tally.h"

enum { PUBLISH_EVERY_MS = 5 * 1000, PUBLISH_ALL_EVERY_MS = 60 * 1000 };

/* Is it time? `last`: there is no later time. */
bool publish_due(int64_t now_ms, bool last);

/* Adds a command for each set that is to be written to an exchange; `sha` is that of sets.lua. Returns how many; 0: there is none, or no
 * memory. */
unsigned publish_ask(struct redis *redis, const char *sha, const struct settings *settings, const struct tally *tally,
                     int64_t now_ms);

/* Takes the answers. A set that Redis does not take is written again later, fails no push, is counted in push_errors_total, and said once
 * for each reason. false: the server does not know the script. */
bool publish_take(const struct redis *redis, const struct tally *tally);

/* What Redis holds is not known any more: all is written at the next time. */
void publish_anew(void);

/* The exchange failed: what it was to write is written again. */
void publish_failed(void);

#endif
