/* Which directories hold the queues: of the MTA, as its own configuration says, and of the operator (collector.queues). */
#ifndef EXPORTER_COLLECT_QUEUE_PLACES_H
#define EXPORTER_COLLECT_QUEUE_PLACES_H

#include "conf/lib/settings.h"
#include "exporter/collect/queue_scan.h"

enum { QUEUE_PLACES_MAX = 128 };

struct queue_places {
    unsigned count;
    struct queue_place list[QUEUE_PLACES_MAX]; /* the queue that may be the largest comes last */
    bool cut[queue_COUNT];                     /* the queue has more directories than there is room for */
    bool has_instances;                        /* Postfix has more instances than this one */
};

/* Looks them up anew: the configuration may have changed, directories may have come. false with *failure where the MTA's are not known, or
 * there is no MTA and nothing configured; the operator's are in *places then all the same. */
bool queue_places_find(const struct settings *settings, struct queue_places *places, struct failure *failure);

#endif
