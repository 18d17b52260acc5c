/* Authentication-Results (RFC 8601): which results the headers of those whom we believe give. Pure memory operations; no allocation.
 *
 * Whoever adds such a header puts it above all others. So they are believed from the top down to the first of somebody else, and of one
 * method only the topmost header that has a result of it: what a sender forged in the name of a trusted one stands below. */
#ifndef MILTER_FILTER_AUTH_RESULTS_H
#define MILTER_FILTER_AUTH_RESULTS_H

#include "conf/lib/settings.h"

enum { AUTH_RESULTS_VALUE_MAX = 8192 };

/* The results of a message so far. All 0: none. */
struct auth_results {
    bool over; /* a header of somebody else was seen */
    bool methods[method_COUNT];
    uint8_t counts[method_COUNT][result_COUNT]; /* a method may have several results: each signature of DKIM has one */
};

/* Takes note of an Authentication-Results header, in the order in which they stand in the message, first to last. At most
 * AUTH_RESULTS_VALUE_MAX bytes are looked at. */
void auth_results_header(struct auth_results *results, const struct authserv_ids *trusted, const char *value);

#endif
