/* The Lua scripts that the pusher runs in Redis, as NUL-terminated texts: push.lua, touch.lua and sets.lua beside this file. */
#ifndef MILTER_PUSHER_SCRIPTS_H
#define MILTER_PUSHER_SCRIPTS_H

extern const char script_push[];
extern const char script_touch[];
extern const char script_sets[];

#endif
