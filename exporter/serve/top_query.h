/* What is asked of the top lists: the parameters of a request, checked. */
#ifndef EXPORTER_SERVE_TOP_QUERY_H
#define EXPORTER_SERVE_TOP_QUERY_H

#include "conf/lib/top.h"

enum { TOP_LIMIT_USUAL = 100, TOP_LIMIT_MAX = 1000, TOP_WRONG_MAX = 256 };

struct parameter {
    const char *name, *value; /* decoded; value may be NULL: there is no = */
};

struct top_query {
    enum top_set set;
    enum top_by by;
    unsigned hours; /* the one that runs, and those before it */
    unsigned limit;
};

/* Reads set, hours, by and limit. false with a sentence in `wrong` of at least TOP_WRONG_MAX bytes: a parameter is unknown, there twice,
 * or not one of what it can be. */
bool top_query_read(const struct parameter *parameters, size_t count, struct top_query *query, char *wrong);

#endif
