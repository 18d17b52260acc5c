/*
 * load_latency.h - how long replies took, in a table of fixed size however many there are.
 *
 * Times are kept to a thousandth of their value, and none above 42 s.
 */
#ifndef KIT_LOAD_LATENCY_H
#define KIT_LOAD_LATENCY_H

#include <stdint.h>

enum { LATENCY_STEPS = 1024, LATENCY_DOUBLINGS = 22 };

struct latency {
    uint64_t count, most_ns;
    uint64_t replies[LATENCY_STEPS * (LATENCY_DOUBLINGS + 1)];
};

void latency_add(struct latency *l, int64_t ns);

double latency_us(const struct latency *l, double quantile);
/* Microseconds that this share of the replies took at most; 0 when there were none. */

#endif
