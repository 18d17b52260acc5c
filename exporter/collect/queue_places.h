/* Which directories hold the queues: of the MTA, as its own configuration says, and of the operator (collector.queues). */
#ifndef EXPORTER_COLLECT_QUEUE_PLACES_H
#define EXPORTER_COLLECT_QUEUE_PLACES_H

#include "conf/lib/settings.h"
#include "exporter/collect/queue_scan.h"

/* Of a queue, so that none takes the room or the time of another; and of all: the operator's, and two more that may be patterns. */
enum { QUEUE_DIRECTORIES_MAX = 128, QUEUE_PLACES_MAX = (OWN_QUEUES_MAX + 2) * QUEUE_DIRECTORIES_MAX };

enum queue_cut { queue_cut_none, queue_cut_room, queue_cut_search };

struct queue_places {
    unsigned count;
    unsigned counts[queue_COUNT];              /* of each queue */
    enum queue_cut cuts[queue_COUNT];          /* why the queue has directories that are not in the list */
    struct queue_time ends[queue_COUNT];       /* when its directories are not looked for any more */
    bool has_instances;                        /* Postfix has more instances than this one */
    struct queue_place list[QUEUE_PLACES_MAX]; /* the queue that may be the largest comes last */
};

/* Looks them up anew: the configuration may have changed, directories may have come. false with *failure where the MTA's are not known, or
 * there is no MTA and nothing configured; the operator's are in *places then all the same. */
bool queue_places_find(const struct settings *settings, struct queue_places *places, struct failure *failure);

#endif
