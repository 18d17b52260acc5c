/* The history in Redis: an entry a minute of the values that people look at, for two weeks. Best effort, behind a push that was accepted. Totals
 * stand there as they are, so that an entry that is missing takes nothing away from the next; what cannot be seen is not there. */
#ifndef MILTER_PUSHER_HISTORY_H
#define MILTER_PUSHER_HISTORY_H

#include "conf/lib/redis.h"
#include "conf/lib/tally.h"

#ifndef HISTORY_EVERY_MS /* a test need not wait for minutes */
#define HISTORY_EVERY_MS (60 * 1000)
#endif
enum { HISTORY_KEEP_SECONDS = 14 * 24 * 3600, HISTORY_ENTRIES = 14 * 24 * 60 };

/* Adds the command for an entry to an exchange, if there is none of this minute yet; `sha` is that of history.lua, `now_ms` milliseconds
 * since the Unix epoch. */
bool history_ask(struct redis *redis, const char *sha, const struct settings *settings, const struct tally *tally,
                 const struct snapshot *snapshot, int64_t now_ms);

/* Takes the answer, which is reply number `reply`. One that Redis does not take is lost, fails no push, is counted in push_errors_total,
 * and said once for each reason. false: the server does not know the script. */
bool history_take(const struct redis *redis, size_t reply, const struct tally *tally);

/* It is not known what Redis holds: this minute's entry is written again. */
void history_anew(void);

#endif
