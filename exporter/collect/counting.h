/* Where what a log tells is counted, and by which settings. */
#ifndef EXPORTER_COLLECT_COUNTING_H
#define EXPORTER_COLLECT_COUNTING_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

struct failed_sets;

struct counting {
    const struct settings *settings;
    const struct tally *tally;
    struct failed_sets *failed; /* NULL: they are not kept */
    int64_t time_us;            /* when the line was written, since the Unix epoch; 0: it does not say */
};

#endif
