/* The filter's own thread beside libmilter's: heartbeat, reload, drain. All of the filter's I/O that is not libmilter's. */
#ifndef MILTER_FILTER_CONTROL_H
#define MILTER_FILTER_CONTROL_H

#include "conf/lib/failure.h"
#include "conf/lib/tally.h"

/* Sets the session limit from settings and open files, starts the thread and tells the supervisor that the filter is ready. */
bool control_start(const struct tally *tally, struct failure *failure);

#endif
