/* A refusal in the log of any MTA: its class, as of refusals that the filter sees, and its counting. */
#ifndef EXPORTER_COLLECT_LOG_REJECT_H
#define EXPORTER_COLLECT_LOG_REJECT_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"
#include "exporter/collect/log_line.h"

/* Counts log_rejects_total; a refusal for a rate is a limit of the MTA, too. `reply`: what the client was told, with its codes if there are
 * any. `otherwise`: the class where it tells none. */
void log_reject_count(const struct settings *settings, const struct tally *tally, enum label_where where,
                      struct span reply, enum label_class otherwise);

#endif
