/* Keeping hours, and reading quantiles from those that were kept. */
#include "exporter/collect/baseline_history.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SECONDS_A_DAY = 24 * 3600, MILLION = 1000000 };

struct baseline_time baseline_time(int64_t now)
{
    struct tm wall = {.tm_mday = 1};
    time_t seconds = (time_t)now;
    tzset(); /* the zone may have been changed under a process that runs for months */
    localtime_r(&seconds, &wall);
    struct tm midnight = {.tm_year = wall.tm_year, .tm_mon = wall.tm_mon, .tm_mday = wall.tm_mday};
    return (struct baseline_time){(int32_t)(timegm(&midnight) / SECONDS_A_DAY), (uint32_t)wall.tm_hour};
}

static int compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

/* The hour is over: what it was like is kept, in the place of the same hour two weeks before. */
static void keep(struct baseline_signal *signal)
{
    if (signal->count < BASELINE_SAMPLES_LEAST || signal->now.day <= 0)
        return;
    struct baseline_hour *hour = &signal->past[signal->now.hour][signal->now.day % BASELINE_DAYS];
    qsort(signal->samples, signal->count, sizeof signal->samples[0], compare);
    hour->day = signal->now.day;
    for (unsigned i = 0; i < BASELINE_RANKS; i++)
        hour->ranks[i] = signal->samples[(2 * i + 1) * signal->count / (2 * BASELINE_RANKS)];
}

void baseline_add(struct baseline_signal *signal, struct baseline_time now, int64_t value)
{
    if (signal->now.day != now.day || signal->now.hour != now.hour) {
        keep(signal);
        signal->now = now;
        signal->count = 0;
    }
    if (signal->count == BASELINE_SAMPLES_MAX)
        return;
    signal->samples[signal->count++] = value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* Between two values linearly, as Prometheus' quantile() does. */
static int64_t quantile(const uint32_t *sorted, unsigned count, unsigned percent)
{
    unsigned place = percent * (count - 1), below = place / 100, part = place % 100;
    int64_t value = (int64_t)sorted[below] * MILLION;
    if (part > 0)
        value += ((int64_t)sorted[below + 1] - sorted[below]) * part * (MILLION / 100);
    return value;
}

bool baseline_usual(const struct baseline_signal *signal, struct baseline_time now, struct baseline_usual *usual)
{
    uint32_t values[BASELINE_DAYS * BASELINE_RANKS];
    unsigned count = 0;
    for (unsigned i = 0; i < BASELINE_DAYS; i++) {
        const struct baseline_hour *hour = &signal->past[now.hour][i];
        int64_t days_ago = (int64_t)now.day - hour->day;
        if (hour->day == 0 || days_ago < 1 || days_ago > BASELINE_DAYS)
            continue;
        memcpy(values + count, hour->ranks, sizeof hour->ranks);
        count += BASELINE_RANKS;
    }
    if (count < BASELINE_DAYS_LEAST * BASELINE_RANKS)
        return false;
    qsort(values, count, sizeof values[0], compare);
    *usual = (struct baseline_usual){.median = quantile(values, count, 50), .p95 = quantile(values, count, 95)};
    return true;
}
