/* The collector `log`: follows the delivery log of the MTA and counts what it says.
 *
 * Lines come from log_source.h, log_count.h counts them, log_store.h keeps what was counted together with the positions. A run takes what
 * there is, for RUN_MS at most; what is left is taken by the next one, which is due at once then. */
#ifndef EXPORTER_COLLECT_DELIVERY_LOG_H
#define EXPORTER_COLLECT_DELIVERY_LOG_H

#include "exporter/collect/collector.h"
#include "exporter/collect/log_store.h"

extern const struct collector collect_log;

/* Where it keeps what it counts; before the collector is opened. */
void delivery_log_keep_in(struct log_store *store);

#endif
