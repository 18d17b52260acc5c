/* Where is the master? Sentinels are asked, one after another, until one knows. Private to redis*.c.
 *
 * Each is asked over a connection of its own, for this one question, and gets its share of the time that there is, so that one that
 * hangs leaves time for those behind it and for the master. The one that answered is asked first next time. User and password of the
 * settings are the master's: sentinels that ask for a password are not supported. */
#ifndef CONF_LIB_REDIS_SENTINEL_H
#define CONF_LIB_REDIS_SENTINEL_H

#include "conf/lib/redis.h"
#include "conf/lib/redis_url.h"

/* The sentinels of one master. */
struct redis_sentinels;

/* `timeout` is redis.timeout; `name` is told to them. NULL if memory is short. */
struct redis_sentinels *redis_sentinels_open(const struct redis_sentinel_list *list, int64_t timeout, const char *name);

/* In these, NULL is allowed: there are no sentinels. */
void redis_sentinels_close(struct redis_sentinels *sentinels);
void redis_sentinels_stop(struct redis_sentinels *sentinels); /* gives up the question under way */
void redis_sentinels_doubt(
    struct redis_sentinels *sentinels); /* it led to no master: next time another one is asked first */

/* Begins to ask: not before `begin`, and so that time is left until `deadline` (microseconds of CLOCK_MONOTONIC). */
void redis_sentinels_start(struct redis_sentinels *sentinels, int64_t begin, int64_t deadline);

/* Goes on as far as possible without waiting. When done, *master has host and port of the master. */
enum redis_progress redis_sentinels_step(struct redis_sentinels *sentinels, struct redis_url *master);

/* As redis_wait. */
int redis_sentinels_wait(const struct redis_sentinels *sentinels, struct pollfd *wait);

/* Why none of them named the master: the class of what the last one said, and what each said. */
enum label_error redis_sentinels_error(const struct redis_sentinels *sentinels);
const char *redis_sentinels_error_text(const struct redis_sentinels *sentinels);

#endif
