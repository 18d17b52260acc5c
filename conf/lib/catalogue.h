/* The catalogue: every metric and every series of milterscope, made from conf/tables at compile time.
 *
 * A *series* is a metric with one value for each of its labels. Totals (counters, buckets and sums of histograms) are numbered by
 * `enum total`, values that come and go (gauges, infos) by `enum gauge`. The number of a metric's first series is
 * total_<name> or gauge_<name>; SERIES_1 and SERIES_2 count from there. Numbers are private to one build: what leaves a
 * process, to the tally file or to Redis, goes by name.
 *
 * Everything here is constant data and pure functions: safe from any thread. */
#ifndef CONF_LIB_CATALOGUE_H
#define CONF_LIB_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MILTERSCOPE_VERSION
#define MILTERSCOPE_VERSION "0.1.0"
#endif

/* enum label_<set> { <set>_<value>, …, <set>_COUNT } */
#define SET(set, label)                                                                                                \
    enum label_##set                                                                                                   \
    {
#define V(set, id, text) set##_##id,
#define END(set)                                                                                                       \
    set##_COUNT                                                                                                        \
    }                                                                                                                  \
    ;
#include "conf/tables/labels.def"

/* enum bounds_<set> { …, bounds_<set>_COUNT }: only the count is used. */
#define BOUNDS(set)                                                                                                    \
    enum bounds_##set                                                                                                  \
    {                                                                                                                  \
        bounds_##set##_NONE = -1,
#define B(set, le, value) bounds_##set##_##value,
#define END_BOUNDS(set)                                                                                                \
    bounds_##set##_COUNT                                                                                               \
    }                                                                                                                  \
    ;
#include "conf/tables/bounds.def"

/* How many series a list of labels spans, and how many the last label of it has. */
#define SERIES_L0             1
#define SERIES_L1(a)          ((int)a##_COUNT)
#define SERIES_L2(a, b)       ((int)a##_COUNT * (int)b##_COUNT)
#define SERIES_L4(a, b, c, d) ((int)a##_COUNT * (int)b##_COUNT * (int)c##_COUNT * (int)d##_COUNT)
#define WIDTH_L0              1
#define WIDTH_L1(a)           ((int)a##_COUNT)
#define WIDTH_L2(a, b)        ((int)b##_COUNT)
#define WIDTH_L4(a, b, c, d)  ((int)d##_COUNT)

/* The slots of one histogram: a bucket for each bound, one for +Inf, the sum. Buckets are disjoint. */
#define HISTOGRAM_SLOTS(bounds) ((int)bounds_##bounds##_COUNT + 2)

/* enum total: one number for each total of the catalogue. */
#define COUNTER(name, writer, unit, labels, help)                                                                      \
    total_##name, total_##name##_LAST = total_##name + SERIES_##labels - 1,
#define HISTOGRAM(name, writer, unit, labels, bounds, help)                                                            \
    total_##name, total_##name##_LAST = total_##name + SERIES_##labels * HISTOGRAM_SLOTS(bounds) - 1,
#define SECTION(name) total_##name, total_##name##_BEFORE = total_##name - 1,
enum total {
#include "conf/tables/metrics.def"
    total_COUNT
};

/* enum gauge: one number for each value that comes and goes. */
#define GAUGE(name, writer, unit, labels, join, help)                                                                  \
    gauge_##name, gauge_##name##_LAST = gauge_##name + SERIES_##labels - 1,
#define INFO(name, writer, labels, help)  gauge_##name, gauge_##name##_LAST = gauge_##name + SERIES_##labels - 1,
#define FLEET_COUNTER(name, help)         gauge_##name,
#define PROCESS_COUNTER(name, unit, help) gauge_##name,
#define PROCESS_GAUGE(name, unit, help)   gauge_##name,
enum gauge {
#include "conf/tables/metrics.def"
    gauge_COUNT
};

/* enum metric_id: the row of a metric in `catalogue`; and the width of its last label. */
#define COUNTER(name, writer, unit, labels, help)           metric_##name,
#define HISTOGRAM(name, writer, unit, labels, bounds, help) metric_##name,
#define GAUGE(name, writer, unit, labels, join, help)       metric_##name,
#define INFO(name, writer, labels, help)                    metric_##name,
#define FLEET_COUNTER(name, help)                           metric_##name,
#define PROCESS_COUNTER(name, unit, help)                   metric_##name,
#define PROCESS_GAUGE(name, unit, help)                     metric_##name,
enum metric_id {
#include "conf/tables/metrics.def"
    metric_COUNT
};

#define COUNTER(name, writer, unit, labels, help)           width_##name = WIDTH_##labels,
#define HISTOGRAM(name, writer, unit, labels, bounds, help) width_##name = WIDTH_##labels,
#define GAUGE(name, writer, unit, labels, join, help)       width_##name = WIDTH_##labels,
#define INFO(name, writer, labels, help)                    width_##name = WIDTH_##labels,
enum metric_width {
#include "conf/tables/metrics.def"
};

/* The series of counter `name` for one or two label values. */
#define SERIES_0(name)       ((unsigned)total_##name)
#define SERIES_1(name, a)    ((unsigned)total_##name + (unsigned)(a))
#define SERIES_2(name, a, b) ((unsigned)total_##name + (unsigned)(a) * (unsigned)width_##name + (unsigned)(b))

enum metric_kind { kind_counter, kind_gauge, kind_histogram, kind_info };
enum metric_unit { unit_one, unit_seconds, unit_bytes, unit_decimal };
enum metric_join { join_sum, join_max };
enum metric_writer { writer_filter, writer_pusher, writer_supervisor, writer_exporter, writer_collector, writer_each };

struct label_set {
    const char *label;
    const char *const *values;
    unsigned count;
};

struct bounds {
    const char *const *le;  /* texts as published, without +Inf */
    const uint64_t *values; /* inclusive upper bounds, in the unit that is counted */
    unsigned count;
};

enum { METRIC_LABELS_MAX = 4 };

struct metric {
    const char *name; /* as published, prefix included */
    const char *help;
    enum metric_kind kind;
    enum metric_unit unit;
    enum metric_writer writer;
    enum metric_join join;
    bool is_total;  /* numbered by enum total, else by enum gauge */
    unsigned first; /* number of its first slot */
    unsigned slots; /* how many there are */
    unsigned label_count;
    const struct label_set *labels[METRIC_LABELS_MAX];
    const struct bounds *bounds; /* of a histogram, else NULL */
};

/* Are these totals in the node's tally? */
static inline bool metric_is_node(const struct metric *metric)
{
    return metric->is_total && metric->first >= total_node;
}

/* Indexed by enum metric_id. */
extern const struct metric catalogue[metric_COUNT];

/* A hash of all names, kinds and bounds: equal in two builds with the same series in the same order. */
uint64_t catalogue_hash(void);

enum { SERIES_TEXT_MAX = 256 };

/* Writes the series of slot `slot` (counted from the metric's first) as Prometheus writes it, NUL-terminated, into `text` of at
 * least SERIES_TEXT_MAX bytes: milterscope_messages_total{source="external",verdict="passed"}. Slots of a histogram are
 * …_bucket{…,le="0.5"} and …_sum{…}. Returns the length. */
size_t catalogue_series(const struct metric *metric, unsigned slot, char *text);

/* Has the metric the label `domain`, the first one then, whose values are names known at run time alone? Where such a series is
 * published goes by domains.h; the functions here know its places, "#00" to "#77". */
bool catalogue_has_domain(const struct metric *metric);

/* Is the series of a slot in a place (labels.def) for a name that is known at run time alone? Of a gauge. */
struct catalogue_place {
    const char *label;
    unsigned number;
    unsigned stride; /* from the slot of one place to that of the next with the same other labels */
};
bool catalogue_place(const struct metric *metric, unsigned slot, struct catalogue_place *place);

/* The same as catalogue_series with `name` in the place of the value that is a place. */
size_t catalogue_named_series(const struct metric *metric, unsigned slot, const char *name, char *text);

/* The same for the total with this number (enum total) or the gauge with this number (enum gauge). */
size_t catalogue_total_text(unsigned total, char *text);
size_t catalogue_gauge_text(unsigned gauge, char *text);

/* The metric that total or gauge `number` belongs to. */
const struct metric *catalogue_total_metric(unsigned total);
const struct metric *catalogue_gauge_metric(unsigned gauge);

/* The number of the total, or gauge, with this text; -1 for a text that no series of this build has. O(log n) after the first
 * call, which builds the index; call once before threads start. */
int catalogue_find_total(const char *text, size_t length);
int catalogue_find_gauge(const char *text, size_t length);

/* Writes `value`, counted in `unit`, in base units (seconds and decimals with six decimals) into `text` of at least 32 bytes. Returns the
 * length. */
size_t catalogue_value_text(enum metric_unit unit, int64_t value, char *text);

/* The unit in which a total is counted: of a histogram, buckets are numbers and the sum has the metric's unit. */
enum metric_unit catalogue_total_unit(unsigned total);

/* Reads a value written by catalogue_value_text: digits, at most one point and six decimals, for gauges also a sign; false for
 * anything else or out of range. */
bool catalogue_value_parse(enum metric_unit unit, const char *text, size_t length, int64_t *value);

#endif
