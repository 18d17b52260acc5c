/* Two snapshots made one. */
#include "conf/lib/snapshot.h"

/* Of metrics that several programs write, the collector's are those that it has set. */
static void add_gauges(int64_t *gauges, const int64_t *node, const struct metric *metric)
{
    for (unsigned i = metric->first; i < metric->first + metric->slots; i++) {
        if (metric->writer == writer_collector || node[i] != GAUGE_ABSENT)
            gauges[i] = node[i];
    }
}

void snapshot_add_node(struct snapshot *snapshot, const struct snapshot *node)
{
    snapshot->has_node = node->has_node;
    snapshot->places = node->places;
    memcpy(snapshot->totals + total_node, node->totals + total_node,
           (total_COUNT - total_node) * sizeof snapshot->totals[0]);
    for (unsigned i = 0; i < metric_COUNT; i++) {
        if (!catalogue[i].is_total)
            add_gauges(snapshot->gauges, node->gauges, &catalogue[i]);
    }
}
