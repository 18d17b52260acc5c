/* The values of all series at one moment, whatever they were read from: the tally, or Redis. Numbered by the catalogue. */
#ifndef CONF_LIB_SNAPSHOT_H
#define CONF_LIB_SNAPSHOT_H

#include "conf/lib/domains.h"
#include "conf/lib/places.h"

#include <string.h>

/* A gauge without a value: no live process says anything of it, so it is absent, which is not 0. */
#define GAUGE_ABSENT INT64_MIN

struct snapshot {
    bool has_totals;        /* false: totals are not known yet, and absent */
    bool has_node;          /* the same of those of the collector, from total_node on */
    struct domains domains; /* whose totals are in which place */
    struct places places;   /* whose gauges are */
    uint64_t totals[total_COUNT];
    int64_t gauges[gauge_COUNT];
};

/* Nothing known: no totals, all gauges absent. */
static inline void snapshot_clear(struct snapshot *snapshot)
{
    snapshot->has_totals = snapshot->has_node = false;
    memset(&snapshot->places, 0, sizeof snapshot->places);
    snapshot->domains.shown = 0;
    for (unsigned i = 0; i < DOMAINS_MAX; i++)
        snapshot->domains.names[i][0] = '\0';
    for (unsigned i = 0; i < total_COUNT; i++)
        snapshot->totals[i] = 0;
    for (unsigned i = 0; i < gauge_COUNT; i++)
        snapshot->gauges[i] = GAUGE_ABSENT;
}

/* Are the totals of this metric known? */
static inline bool snapshot_has(const struct snapshot *snapshot, const struct metric *metric)
{
    return metric_is_node(metric) ? snapshot->has_node : snapshot->has_totals;
}

/* Puts what the collector counted and saw in the place of what is said of that. */
void snapshot_add_node(struct snapshot *snapshot, const struct snapshot *node);

#endif
