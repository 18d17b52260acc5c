/* From tallies to texts. */
#include "milter/pusher/values.h"

#include "conf/lib/observable.h"
#include "milter/pusher/fields.h"
#include "milter/pusher/node.h"

#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 32, TEXTS_BYTES = VALUE_BYTES * ((int)total_COUNT + (int)gauge_COUNT) };

struct values {
    struct node *node;
    char node_id[33];
    struct snapshot seen;
    uint64_t in_redis[total_COUNT];
    unsigned hidden[metric_COUNT]; /* how many series of a metric of totals cannot be observed */
    unsigned count;                /* fields of all others */
    struct fields fields;
    char texts[TEXTS_BYTES];
    size_t texts_at;
};

struct values *values_new(void)
{
    struct values *values = calloc(1, sizeof *values);
    if (values != NULL && fields_fill(&values->fields))
        return values;
    free(values);
    return NULL;
}

bool values_node_in(struct values *values, const char *run_directory)
{
    if (values->node == NULL)
        values->node = node_open(run_directory);
    return values->node != NULL;
}

/* What cannot be observed is not in Redis, nor are domains that are not configured. Where memory is short the domains stay as they are until
 * the next push. Returns whether that is other than before. */
static bool find_hidden(struct values *values)
{
    bool changed, other = fields_follow(&values->fields, &values->seen.domains, &changed) && changed;
    fields_follow_places(&values->fields, &values->seen.places);
    values->count = 0;
    for (unsigned i = 0; i < metric_COUNT; i++) {
        if (!catalogue[i].is_total)
            continue;
        unsigned hidden = observable_hidden(&values->seen, &catalogue[i]);
        other = other || hidden != values->hidden[i];
        values->hidden[i] = hidden;
        values->count += hidden < catalogue[i].slots ? fields_count(&values->fields, &catalogue[i]) - hidden : 0;
    }
    return other;
}

bool values_take(struct values *values, const struct tally *tally)
{
    values->texts_at = 0;
    tally_snapshot(tally, &values->seen);
    bool other = node_add(values->node, &values->seen, values->node_id);
    return find_hidden(values) || other;
}

const struct snapshot *values_seen(const struct values *values)
{
    return &values->seen;
}

const char *values_node_id(const struct values *values)
{
    return values->node_id;
}

/* ---- texts ---- */

static const char *value_text(struct values *values, enum metric_unit unit, int64_t value)
{
    char *text = values->texts + values->texts_at;
    values->texts_at += catalogue_value_text(unit, value, text) + 1;
    return text;
}

static size_t add_totals(struct values *values, const struct metric *metric, bool all, const char **texts)
{
    size_t count = 0;
    for (unsigned slot = 0; slot < metric->slots; slot++) {
        unsigned i = metric->first + slot;
        if (!fields_has(&values->fields, metric, slot) || observable_hides_series(&values->seen, metric, slot) ||
            (!all && values->seen.totals[i] == values->in_redis[i]))
            continue;
        texts[count++] = values->fields.totals[i];
        texts[count++] = value_text(values, values->fields.total_units[i], (int64_t)values->seen.totals[i]);
    }
    return count;
}

size_t values_counters(struct values *values, bool all, const char **texts)
{
    size_t count = 0;
    for (unsigned i = 0; i < metric_COUNT; i++) {
        if (catalogue[i].is_total && values->hidden[i] < catalogue[i].slots)
            count += add_totals(values, &catalogue[i], all, texts + count);
    }
    return count;
}

size_t values_gauges(struct values *values, const char **texts)
{
    size_t count = 0;
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        if (values->seen.gauges[i] == GAUGE_ABSENT || values->fields.gauges[i] == NULL)
            continue;
        texts[count++] = values->fields.gauges[i];
        texts[count++] = value_text(values, catalogue_gauge_metric(i)->unit, values->seen.gauges[i]);
    }
    return count;
}

/* ---- in Redis ---- */

unsigned values_count(const struct values *values)
{
    return values->count;
}

void values_written(struct values *values)
{
    memcpy(values->in_redis, values->seen.totals, sizeof values->in_redis);
}

const uint64_t *values_in_redis(const struct values *values)
{
    return values->in_redis;
}
