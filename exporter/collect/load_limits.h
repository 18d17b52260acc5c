/* The loads at which the MTA does less, from its configuration: what it compares the load average of a minute with. */
#ifndef EXPORTER_COLLECT_LOAD_LIMITS_H
#define EXPORTER_COLLECT_LOAD_LIMITS_H

#include "exporter/collect/mta_settings.h"

/* In millionths; GAUGE_ABSENT where there is no limit. Sendmail: QueueLA, RefuseLA, DelayLA, the first two with defaults of 8 and 12 for each
 * of `processors`. Exim: queue_only_load queues, smtp_load_reserve refuses (all but smtp_reserve_hosts). Postfix does not look at
 * the load. `text` is the configuration of that MTA. */
void load_limits(enum label_server server, const struct mta_text *text, long processors, int64_t limits[load_COUNT]);

#endif
