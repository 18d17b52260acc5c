/* What is shown never steps back: the largest value of each total that was shown, for each tally.
 *
 * A replica that lags, an empty master, a switch between the tally and Redis: each would look like a counter reset. A new tally id is
 * a true reset and begins anew. The exporter of a host sees one id at a time; some more are kept, so that two that take turns
 * under one name do not make each other forget. Pure; not thread-safe. */
#ifndef EXPORTER_SERVE_SHOWN_H
#define EXPORTER_SERVE_SHOWN_H

#include "conf/lib/snapshot.h"

enum { SHOWN_TALLIES = 4, TALLY_ID_BYTES = 33, NODE_TOTALS = total_COUNT - total_node };

struct shown {
    unsigned turn; /* the next to be replaced */
    struct {
        char id[TALLY_ID_BYTES]; /* empty: free */
        struct domains domains;
        uint64_t totals[total_node];
    } tallies[SHOWN_TALLIES];
    char node_id[TALLY_ID_BYTES];
    uint64_t node_totals[NODE_TOTALS];
};

/* Raises the totals in `values`, of tally `id`, to what was shown before, and remembers the result. A domain that is not among the values
 * is remembered as long as there is room. */
void shown_raise(struct shown *shown, const char *id, struct snapshot *values);

/* The same with the totals of the node's tally, of which the last one is remembered. */
void shown_raise_node(struct shown *shown, const char *id, struct snapshot *values);

#endif
