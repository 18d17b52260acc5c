/* The one thread that does I/O for what is shown: it asks Redis, of this instance or in scope fleet of all, opens the tally of this host,
 * which has no part in scope fleet, and reads /proc. What it found last lies ready in memory, so that no scrape waits for anything. */
#ifndef EXPORTER_SERVE_READER_H
#define EXPORTER_SERVE_READER_H

#include "conf/lib/tally.h"
#include "exporter/serve/fleet.h"
#include "exporter/serve/instance.h"
#include "exporter/serve/unparsed.h"

struct reader;

struct reading {
    bool complete;            /* everything was tried once */
    bool redis_well;          /* the last reading of Redis went well */
    char redis_error[400];    /* else: why not */
    struct instance instance; /* what Redis said when it last was well */
    struct fleet_view *fleet; /* the same in scope fleet; else NULL */
    struct tally_view *tally; /* or, where there is none, the copy of a stop; NULL where neither can be read */
    struct tally_view *node;  /* the collector's tally; NULL: there is none */
    bool tally_wrong;         /* there is one, but it cannot be read */
    char tally_error[512];    /* why there is none */
    struct snapshot process;  /* the process_* gauges */
    char unparsed[UNPARSED_BYTES];
};

/* Starts the thread; NULL with *failure. */
struct reader *reader_start(const struct settings *settings, struct failure *failure);
void reader_stop(struct reader *reader);

/* Settings of Redis that have changed take effect at once. */
void reader_reload(struct reader *reader, const struct settings *settings);

/* Waits until everything was tried once, which no deadline of ours is shorter than. */
void reader_wait(struct reader *reader);

/* Has the thread made progress within the last READER_STUCK_MS? */
enum { READER_STUCK_MS = 10 * 1000 };
bool reader_alive(const struct reader *reader);

/* What was found last, locked until reader_unlock. Reading the tally in it is allowed meanwhile: it is memory. */
const struct reading *reader_lock(struct reader *reader);
void reader_unlock(struct reader *reader);

#endif
