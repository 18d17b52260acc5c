/* A connection to one Redis server, with deadlines.
 *
 * The URL names the server, or sentinels that know which server is the master: they are asked at every connect, and the server must
 * say that it is one. User and password are for the server; sentinels are asked without.
 *
 * hiredis formats commands and reads replies; the socket is ours: non-blocking, close-on-exec, MSG_NOSIGNAL, one absolute deadline an
 * exchange (sentinels, name resolution in a helper thread, connect, AUTH, SELECT, ROLE, commands, replies). An *exchange* is a list
 * of commands, sent as one pipeline, and their replies. After an error the connection is closed; the next exchange connects anew. Only
 * commands of Redis 6.2, RESP2. Traps that this avoids: hiredis' own I/O has no deadline after a reconnect, is killed by SIGPIPE and
 * reads late replies as those of the next command (hiredis 0.14).
 *
 * One connection belongs to one thread. hiredis may call abort() when memory runs out: the process that uses this must be one whose
 * death does not hurt mail. */
#ifndef CONF_LIB_REDIS_H
#define CONF_LIB_REDIS_H

#include "conf/lib/catalogue.h"
#include "conf/lib/settings.h"

#include <poll.h>

struct redis;
struct redis_reply;

enum redis_progress {
    redis_pending, /* wait as redis_wait says, and call redis_step again */
    redis_done,    /* all replies are there; single replies may be errors */
    redis_failed,  /* see redis_error, redis_error_text; the connection is closed */
};

/* Checks a URL: redis://host[:port][/db], unix:///path[?db=N], sentinel://host[:port],host[:port].../name[?db=N] with 16 sentinels at
 * most. Returns NULL, or what is wrong with it (a literal). */
const char *redis_check_url(const char *url);

/* A connection that is not open yet. `settings` gives URL, user, password file (read at each connect, so that a password can change
 * without a restart) and timeout; it must outlive the connection or its redis_close. `name` is told to the server by CLIENT
 * SETNAME. NULL if memory is short. */
struct redis *redis_open(const struct settings *settings, const char *name);
void redis_close(struct redis *redis);

/* Closes the connection after an exchange, so that the next one connects, and asks for the master, anew: for replies that say that this
 * server is not, or not now, the one to talk to. The replies stay. */
void redis_hang_up(struct redis *redis);

/* How many connections were made so far: two exchanges with the same number had the same one. */
unsigned redis_connections(const struct redis *redis);

/* Adds a command to the exchange in preparation. Arguments are copied; lengths NULL: NUL-terminated. */
void redis_command(struct redis *redis, size_t count, const char *const *arguments, const size_t *lengths);

/* Starts the exchange with the commands added; all of it must be done within `timeout` microseconds. */
void redis_start(struct redis *redis, int64_t timeout);

/* Goes on as far as possible without waiting. */
enum redis_progress redis_step(struct redis *redis);

/* What to wait for while pending: fills *wait (events, descriptor; -1: nothing) and returns for how many milliseconds at most. */
int redis_wait(const struct redis *redis, struct pollfd *wait);

/* redis_start and redis_step in a poll loop of its own, for callers that may block: false when it failed. */
bool redis_exchange(struct redis *redis, int64_t timeout);

/* The reply to the i-th command of the exchange; valid until the next redis_command, redis_start or redis_close. NULL where there is
 * none; for the functions below that is a nil. */
const struct redis_reply *redis_reply(const struct redis *redis, size_t i);

enum redis_kind { redis_nil, redis_integer, redis_string, redis_array, redis_error_reply };
enum redis_kind redis_reply_kind(const struct redis_reply *reply);
int64_t redis_reply_integer(const struct redis_reply *reply);
/* Of strings, status and errors, else ""; NUL-terminated. `length` may be NULL. */
const char *redis_reply_text(const struct redis_reply *reply, size_t *length);
size_t redis_reply_count(const struct redis_reply *reply); /* of arrays */
const struct redis_reply *redis_reply_item(const struct redis_reply *reply, size_t i);

/* The class of an error reply's text: WRONGPASS, NOAUTH, "ERR invalid password" are auth, NOPERM is noperm, READONLY and MASTERDOWN
 * readonly, OOM oom, MISCONF and NOREPLICAS misconf, LOADING and BUSY loading, MOVED/ASK/CLUSTERDOWN/TRYAGAIN moved, NOSCRIPT,
 * WRONGTYPE; a text that starts with FENCED (our own script) fenced; a server that turns connections away connect; else other. */
enum label_error redis_classify(const char *text);

/* Why the exchange failed: its class for push_errors_total (connect, timeout, auth, protocol, …) and a sentence without the
 * password. */
enum label_error redis_error(const struct redis *redis);
const char *redis_error_text(const struct redis *redis);

#endif
