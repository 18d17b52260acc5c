/* The top lists of the last TOP_HOURS_MAX hours, read from Redis by a thread of their own, with a connection of its own: they stand in no
 * tally, and nobody's scrape waits for them. What it found last lies ready in memory. */
#ifndef EXPORTER_SERVE_TOPS_H
#define EXPORTER_SERVE_TOPS_H

#include "conf/lib/failure.h"
#include "exporter/serve/top_slot.h"

struct tops;

/* Starts the thread; NULL with *failure. */
struct tops *tops_open(const struct settings *settings, struct failure *failure);
void tops_close(struct tops *tops);

/* Settings of Redis that have changed take effect at the next reading. */
void tops_reload(struct tops *tops, const struct settings *settings);

enum tops_state {
    tops_well,
    tops_not_kept, /* the set is not among top.sets */
    tops_away,     /* Redis cannot be read; why is in `trouble` */
};
enum { TOPS_TROUBLE_MAX = 500 };

/* The list that is asked for, to be freed with top_list_free where it is there; and the hour that runs, by Redis' clock. From any thread. */
enum tops_state tops_list(struct tops *tops, const struct top_query *query, struct top_list *list, int64_t *hour,
                          char *trouble);

#endif
