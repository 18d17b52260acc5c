/* Totals that cannot be observed: tables of metrics and of series, and the gauge that each hangs on. */
#include "conf/lib/observable.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define OBSERVABLE(part, metric)
#define OBSERVABLE_BUT(part, metric, first, count)

#undef OBSERVABLE
#define OBSERVABLE(part, metric) {metric_##metric, part_##part},
static const struct {
    enum metric_id metric;
    enum label_part part;
} rows[] = {
#include "conf/tables/observable.def"
};
#undef OBSERVABLE
#define OBSERVABLE(part, metric)

#undef OBSERVABLE_BUT
#define OBSERVABLE_BUT(part, metric, first, count) {metric_##metric, part_##part, first, count},
static const struct {
    enum metric_id metric;
    enum label_part part;
    unsigned first, count; /* the totals that are shown all the same */
} but_rows[] = {
#include "conf/tables/observable.def"
};
#undef OBSERVABLE_BUT
#undef OBSERVABLE

static bool is_zero(const struct snapshot *snapshot, const struct metric *metric)
{
    for (unsigned slot = 0; slot < metric->slots; slot++) {
        if (snapshot->totals[metric->first + slot] != 0)
            return false;
    }
    return true;
}

static bool is_unseen(const struct snapshot *snapshot, enum label_part part)
{
    return snapshot->gauges[gauge_observable + (unsigned)part] == 0;
}

bool observable_hides(const struct snapshot *snapshot, const struct metric *metric)
{
    if (metric_is_node(metric) && !snapshot->has_node)
        return true;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (&catalogue[rows[i].metric] == metric)
            return is_unseen(snapshot, rows[i].part) && is_zero(snapshot, metric);
    }
    return false;
}

bool observable_hides_series(const struct snapshot *snapshot, const struct metric *metric, unsigned slot)
{
    const unsigned total = metric->first + slot;
    for (size_t i = 0; i < COUNT(but_rows); i++) {
        if (&catalogue[but_rows[i].metric] == metric)
            return (total < but_rows[i].first || total >= but_rows[i].first + but_rows[i].count) &&
                   is_unseen(snapshot, but_rows[i].part) && snapshot->totals[total] == 0;
    }
    return false;
}

unsigned observable_hidden(const struct snapshot *snapshot, const struct metric *metric)
{
    unsigned hidden = 0;
    if (observable_hides(snapshot, metric))
        return metric->slots;
    for (unsigned slot = 0; slot < metric->slots; slot++)
        hidden += observable_hides_series(snapshot, metric, slot);
    return hidden;
}
