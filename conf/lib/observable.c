/* Totals that cannot be observed: a table of metrics, and the gauge that each hangs on. */
#include "conf/lib/observable.h"

static const struct {
    enum metric_id metric;
    enum label_part part;
} rows[] = {
#define OBSERVABLE(part, metric) {metric_##metric, part_##part},
#include "conf/tables/observable.def"
#undef OBSERVABLE
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static bool is_zero(const struct snapshot *snapshot, const struct metric *metric)
{
    for (unsigned slot = 0; slot < metric->slots; slot++) {
        if (snapshot->totals[metric->first + slot] != 0)
            return false;
    }
    return true;
}

bool observable_hides(const struct snapshot *snapshot, const struct metric *metric)
{
    for (int i = 0; i < ROWS; i++) {
        if (&catalogue[rows[i].metric] == metric)
            return snapshot->gauges[gauge_observable + (unsigned)rows[i].part] == 0 && is_zero(snapshot, metric);
    }
    return false;
}
