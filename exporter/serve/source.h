/* What is shown: the values of all series, chosen from what the reader found last. Memory operations only; from any thread.
 *
 * - On a host with a readable tally it says what may be shown (tally_view_read_kept), and Redis under another tally id is ignored. Without
 *   one, Redis alone.
 * - Totals never step back (shown.h); they are absent while the tally settles with Redis, and where no source is readable.
 * - Gauges come from Redis while pushes arrive there, else from the tally.
 *
 * In scope fleet Redis is the only source, of all instances; the exporter's own values stand apart from theirs. */
#ifndef EXPORTER_SERVE_SOURCE_H
#define EXPORTER_SERVE_SOURCE_H

#include "conf/lib/failure.h"
#include "conf/lib/settings.h"
#include "conf/lib/snapshot.h"
#include "exporter/serve/unparsed.h"

struct source;

struct fleet_view;

struct view {
    struct snapshot values;   /* in scope fleet only the exporter's own */
    bool is_fleet;            /* the scope */
    struct fleet_view *fleet; /* the instances; NULL in scope node, and while Redis cannot be read */
    bool ready;               /* a source is readable */
    const char *from;         /* which one, for people */
    char trouble[1024];       /* what is not as it should be; empty: nothing */
    char unparsed[UNPARSED_BYTES];
};

/* Starts reading; NULL with *failure. */
struct source *source_open(const struct settings *settings, struct failure *failure);
void source_close(struct source *source);

/* The configuration was read again, well or not; `settings` is the one in force. */
void source_reload(struct source *source, const struct settings *settings, bool successful);

/* Waits until Redis and the tally were tried once. */
void source_wait(struct source *source);

/* Fills *view, to be released. */
void source_read(struct source *source, struct view *view);
void source_release(struct view *view);

/* Does the reading thread make progress? */
bool source_alive(const struct source *source);

#endif
