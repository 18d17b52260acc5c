/* What is usual: of one signal, samples of each hour of the day over two weeks, in memory of fixed size.
 *
 * An hour that is over is kept as BASELINE_RANKS values of those that were seen in it, from low to high, each of which stands for as many
 * samples as any other. So median and 95th percentile of days together are right to one part in BASELINE_RANKS of a day, and a day
 * with a pause weighs as much as one without.
 *
 * Hours are those of the clock on the wall: people's mail follows it. Where it is set back, the hour that comes twice is one hour of twice
 * as many samples; the one that is left out is missing on that day.
 *
 * Pure functions but for the time zone. */
#ifndef EXPORTER_COLLECT_BASELINE_HISTORY_H
#define EXPORTER_COLLECT_BASELINE_HISTORY_H

#include "conf/lib/places.h"

enum {
    BASELINE_HOURS = 24,
    BASELINE_DAYS = 14,
    BASELINE_DAYS_LEAST = 7, /* so that a week's work days and others are among them */
    BASELINE_SAMPLES_MAX = 120,
    BASELINE_SAMPLES_LEAST = 30, /* an hour that was seen for less is not kept */
    BASELINE_RANKS = 20,
};

/* An hour of some day, as the clock on the wall shows it. */
struct baseline_time {
    int32_t day; /* since 1970-01-01 */
    uint32_t hour;
};

/* As it lies in the file, too. */
struct baseline_signal {
    char name[(PLACE_BYTES + 3) / 4 * 4];
    struct baseline_time now; /* what the samples are of */
    uint32_t count;
    uint32_t samples[BASELINE_SAMPLES_MAX];
    struct baseline_hour {
        int32_t day; /* 0: nothing is kept here */
        uint32_t ranks[BASELINE_RANKS];
    } past[BASELINE_HOURS][BASELINE_DAYS];
};

/* `now`: seconds since the Unix epoch. */
struct baseline_time baseline_time(int64_t now);

/* One more sample; what is beyond 32 bits counts as that much. */
void baseline_add(struct baseline_signal *signal, struct baseline_time now, int64_t value);

/* Median and 95th percentile, in millionths, of this hour on the BASELINE_DAYS days before; false: fewer than BASELINE_DAYS_LEAST of them
 * are known. */
struct baseline_usual {
    int64_t median, p95;
};
bool baseline_usual(const struct baseline_signal *signal, struct baseline_time now, struct baseline_usual *usual);

#endif
