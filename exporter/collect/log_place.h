/* A place in which the MTA writes its log, a file or the journal: opened, read some lines at a time, its position kept, and what is wrong with
 * it said. One thread. */
#ifndef EXPORTER_COLLECT_LOG_PLACE_H
#define EXPORTER_COLLECT_LOG_PLACE_H

#include "exporter/collect/log_count.h"
#include "exporter/collect/log_source.h"
#include "exporter/collect/log_store.h"

struct log_place {
    char name[SETTINGS_PATH_MAX];
    enum log_exim_file exim_file; /* by its name, as Exim calls them */
    struct log_source *source;    /* NULL: cannot be opened or read, and is tried again */
    bool has_more;                /* in this run */
    int64_t last_us;              /* when the last line was written that was read */
    struct failure failure;       /* of this run; EX_OK: it was read */

    /* Private. */
    bool was_there;
    char said[sizeof((struct failure *)0)->text]; /* of it in our own log; empty: nothing, or that it is read again */
    int64_t said_ms;                              /* when that was; 0: never */
};

/* *place is all zero. */
void log_place_begin(struct log_place *place, const char *name);
void log_place_close(struct log_place *place);

/* Is there a log in which nothing may just not have happened? A file that never was may be a name that is misspelt. */
bool log_place_is_there(struct log_place *place);

/* At the beginning of a run. One that cannot be opened has nothing more, and a failure. */
void log_place_open(struct log_place *place, const struct log_store *store);

/* Counts a few hundred lines; returns how many. One that fails is opened anew in the next run: a journal, say, may be another one by now. */
unsigned log_place_read(struct log_place *place, struct log_counter *counter);

/* Keeps the position. *changed: it is another one than before, which may be so though no line was read. */
void log_place_keep(struct log_place *place, struct log_store *store, bool *changed);

/* At the end of a run: says what is new of its failure, or that there is none any more. */
void log_place_say(struct log_place *place);

#endif
