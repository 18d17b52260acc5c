/* What a collector is: something of this host that is looked at from time to time, and put into the node's tally.
 *
 * The collectors stand in one table in main.c. Each has a thread of its own, so that one that hangs (a dead disk, a mail server that says
 * nothing) holds up no other; one that runs longer than its deadline is told by collector_success 0 while it hangs. A collector writes its
 * own metrics and no others: gauges with tally_gauge_set (GAUGE_ABSENT: not to be seen), names with tally_set_place, totals as its file says. What cannot be seen on
 * this host is absent, not 0. */
#ifndef EXPORTER_COLLECT_COLLECTOR_H
#define EXPORTER_COLLECT_COLLECTOR_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

struct collector {
    enum label_collector name;
    int64_t deadline_ms; /* a run that takes longer has failed */
    /* What it keeps between runs; *settings and *tally outlive it. NULL with *failure: it cannot work; said once, and tried again
     * every minute. */
    void *(*open)(const struct settings *settings, const struct tally *tally, struct failure *failure);
    /* One run. false with *failure: what could not be done; its gauges are absent then, or those of the part that failed. */
    bool (*run)(void *self, struct failure *failure);
    /* Milliseconds until the next run is due, after a run. */
    int64_t (*pause_ms)(const void *self);
    void (*close)(void *self);
};

/* The program ends: a run that may be long looks at this from time to time, and returns with what it has. */
extern _Atomic bool collectors_end;

#endif
