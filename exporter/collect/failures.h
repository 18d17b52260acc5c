/* Several failures of one run of a collector, in the one sentence that the log gets of it. */
#ifndef EXPORTER_COLLECT_FAILURES_H
#define EXPORTER_COLLECT_FAILURES_H

#include "conf/lib/failure.h"

/* Puts `one` behind what *all says, or that there is more where it has no room. Returns false. *all begins with EX_OK and no text. */
bool failures_add(struct failure *all, const struct failure *one);

#endif
