/* Which totals are absent because the filter cannot see what they count (conf/tables/observable.def): 0 would say that it did not
 * happen. Pure functions. */
#ifndef CONF_LIB_OBSERVABLE_H
#define CONF_LIB_OBSERVABLE_H

#include "conf/lib/snapshot.h"

/* Is this metric to be left out? What has been counted once is shown for ever, and so is all while no filter runs that could tell. */
bool observable_hides(const struct snapshot *snapshot, const struct metric *metric);

#endif
