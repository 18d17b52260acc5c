/*
 * load_latency.c - how long replies took (see load_latency.h).
 *
 * Units of 10 ns. Up to twice LATENCY_STEPS each has a row; from there on each doubling has LATENCY_STEPS rows.
 */
#include "load_latency.h"

enum { UNIT_NS = 10 };

/* How many bits of a number do not tell in which row it is. */
static unsigned coarseness(uint32_t units)
{
    unsigned shift = 0;
    while (units >> shift >= 2 * LATENCY_STEPS)
        shift++;
    return shift;
}

void latency_add(struct latency *l, int64_t ns)
{
    uint64_t positive = ns > 0 ? (uint64_t)ns : 0, whole = positive / UNIT_NS;
    uint32_t units = whole > UINT32_MAX ? UINT32_MAX : (uint32_t)whole;
    unsigned shift = coarseness(units);
    l->replies[shift * LATENCY_STEPS + (units >> shift)]++;
    l->count++;
    l->most_ns = positive > l->most_ns ? positive : l->most_ns;
}

static double row_us(uint32_t row)
{
    uint32_t shift = row < 2 * LATENCY_STEPS ? 0 : row / LATENCY_STEPS - 1;
    return (double)((uint64_t)(row - shift * LATENCY_STEPS) << shift) * (double)UNIT_NS / 1000;
}

double latency_us(const struct latency *l, double quantile)
{
    uint64_t wanted = (uint64_t)(quantile * (double)l->count + 0.5), seen = 0;
    if (l->count == 0)
        return 0;
    if (wanted >= l->count)
        return (double)l->most_ns / 1000;
    for (uint32_t row = 0; row < sizeof l->replies / sizeof l->replies[0]; row++) {
        seen += l->replies[row];
        if (seen > wanted)
            return row_us(row);
    }
    return (double)l->most_ns / 1000;
}
