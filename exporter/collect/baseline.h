/* The collector that knows what is usual: each minute it looks at the queues and sockets in the tally of the node and at the rates in the one
 * of the conversation, and tells median and 95th percentile of the hour of the day over the last two weeks (baseline_history.h).
 *
 * What is not seen is no sample: a queue that no scan has found for three hours, rates while no filter answers or the totals are of another
 * tally than a minute ago. Of sockets those that are established are counted: the others are the
 * kernel's, of clients that have gone or not come yet, and their number is what an attacker makes it. */
#ifndef EXPORTER_COLLECT_BASELINE_H
#define EXPORTER_COLLECT_BASELINE_H

#include "exporter/collect/collector.h"

extern const struct collector collect_baseline;

#endif
