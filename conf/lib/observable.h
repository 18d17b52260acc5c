/* Which totals are absent because the filter cannot see what they count (conf/tables/observable.def): 0 would say that it did not
 * happen. Pure functions. */
#ifndef CONF_LIB_OBSERVABLE_H
#define CONF_LIB_OBSERVABLE_H

#include "conf/lib/snapshot.h"

/* Is this metric of totals to be left out? What has been counted once is shown for ever, and so is all while no filter runs that could
 * tell. Those of the collector are, where there is none. */
bool observable_hides(const struct snapshot *snapshot, const struct metric *metric);

/* The same of one series of a metric that is shown; `slot` counts from the metric's first. */
bool observable_hides_series(const struct snapshot *snapshot, const struct metric *metric, unsigned slot);

/* How many series of this metric are left out. */
unsigned observable_hidden(const struct snapshot *snapshot, const struct metric *metric);

#endif
