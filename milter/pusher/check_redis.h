/* --check-redis: what milterscope --check-mta has the pusher ask, since it does not speak with Redis itself. */
#ifndef MILTER_PUSHER_CHECK_REDIS_H
#define MILTER_PUSHER_CHECK_REDIS_H

/* Asks the Redis server of the settings in descriptor HANDOVER_SETTINGS whether a push would be taken, and writes nothing there. Returns
 * EX_OK if so. If not, EX_UNAVAILABLE, with three lines on standard output: the class of the error as push_errors_total has it; what
 * helps, or nothing (readonly: host:port of the master; wrongtype: the key); a sentence. */
int check_redis(void);

#endif
