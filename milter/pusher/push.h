/* One push after the other: absolute values of all series to Redis, what changed each time, everything where something was lost.
 *
 * Not blocking: push_begin puts the commands together, push_step goes on, the caller waits in its poll loop. */
#ifndef MILTER_PUSHER_PUSH_H
#define MILTER_PUSHER_PUSH_H

#include "conf/lib/redis.h"
#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

struct push;

enum push_result {
    push_pending,
    push_written, /* Redis holds what the tally held when it began */
    push_again,   /* begin the next one at once */
    push_failed,  /* see push_error; begin the next one after a while */
};

/* `epoch` counts the starts of the pusher with this tally. NULL without memory. */
struct push *push_new(const struct tally *tally, uint32_t epoch);

/* Connects with these settings from the next push on; they must outlive it. */
bool push_connect(struct push *push, const struct settings *settings);

/* Begins a push, or what must come before it: the settling of totals, the loading of scripts. `last`: the last one before a clean stop,
 * which leaves the keys to whoever comes next. */
void push_begin(struct push *push, bool last);

/* Goes on without waiting. Counts its own metrics when a push ends. */
enum push_result push_step(struct push *push);

/* What to wait for while pending; returns milliseconds until the deadline. */
int push_wait(const struct push *push, struct pollfd *wait);

/* After push_written: the totals that Redis holds, total_node of them and those of the node, and which server that is (settle_identity). false: it was
 * connected to anew meanwhile, and is asked before the next push. */
const uint64_t *push_totals(const struct push *push);
bool push_server(const struct push *push, uint64_t *server);

enum label_error push_error(const struct push *push);
const char *push_error_text(const struct push *push);

#endif
