/* The Lua scripts that the pusher runs in Redis, as NUL-terminated texts: push.lua, touch.lua, sets.lua and history.lua beside this file. */
#ifndef MILTER_PUSHER_SCRIPTS_H
#define MILTER_PUSHER_SCRIPTS_H

#include "conf/lib/redis.h"

extern const char script_push[];
extern const char script_touch[];
extern const char script_sets[];
extern const char script_history[];

/* What is wrong with an answer that is not what a script of ours gives: the class, and in *text a text for people, valid as long as the
 * answer. */
enum label_error script_error(const struct redis_reply *reply, const char **text);

#endif
