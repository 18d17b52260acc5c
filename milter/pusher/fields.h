/* The names of all fields that a push can have. Those of a domain are known once it has been given a place in the tally. */
#ifndef MILTER_PUSHER_FIELDS_H
#define MILTER_PUSHER_FIELDS_H

#include "conf/lib/domains.h"
#include "conf/lib/places.h"

struct fields {
    const char *totals[total_COUNT]; /* NULL: of a place without a name */
    const char *gauges[gauge_COUNT]; /* NULL: of a place without a name */
    enum metric_unit total_units[total_COUNT];
    uint64_t shown;       /* a bit for each domain that is pushed */
    struct places places; /* whose gauges have names */
};

/* false: no memory; what was taken is left to the end of the process, which is near. */
bool fields_fill(struct fields *fields);

/* Names what was given a name since; false as above. *changed: other domains are to be pushed than before. */
bool fields_follow(struct fields *fields, const struct domains *domains, bool *changed);

/* The gauges of places get the names that these have now; false as above. */
bool fields_follow_places(struct fields *fields, const struct places *places);

/* Is this total pushed? */
bool fields_has(const struct fields *fields, const struct metric *metric, unsigned slot);

/* How many fields of a metric are pushed. */
unsigned fields_count(const struct fields *fields, const struct metric *metric);

#endif
