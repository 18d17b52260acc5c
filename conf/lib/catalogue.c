/* The catalogue's tables, made from conf/tables, and the text forms of series and values. */
#include "conf/lib/catalogue.h"

#include "conf/lib/fnv1a.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A wrong row does not build. Repeated names fail in the enums of catalogue.h already. */
#define PADDED(name) "                " #name /* so that the shortest name is longer than any ending */
#define ENDS_IN(name, end)                                                                                             \
    (__builtin_memcmp(&PADDED(name)[sizeof(PADDED(name)) - sizeof(end)], end, sizeof(end) - 1) == 0)
#define NEEDS_TOTAL(name)   _Static_assert(ENDS_IN(name, "_total"), #name ": a counter's name ends in _total");
#define REFUSES_TOTAL(name) _Static_assert(!ENDS_IN(name, "_total"), #name ": only a counter's name ends in _total");
#define NEEDS_INFO(name)    _Static_assert(ENDS_IN(name, "_info"), #name ": an info's name ends in _info");
#define NEEDS_HELP(name, help)                                                                                         \
    _Static_assert(sizeof(help) > 10 && __builtin_memcmp(&help[sizeof(help) - 2], ".", 1) == 0,                        \
                   #name ": the help is a sentence");
#define COUNTER(name, writer, unit, labels, help)           NEEDS_TOTAL(name) NEEDS_HELP(name, help)
#define HISTOGRAM(name, writer, unit, labels, bounds, help) REFUSES_TOTAL(name) NEEDS_HELP(name, help)
#define GAUGE(name, writer, unit, labels, join, help)       REFUSES_TOTAL(name) NEEDS_HELP(name, help)
#define INFO(name, writer, labels, help)                    NEEDS_INFO(name) NEEDS_HELP(name, help)
#define FLEET_COUNTER(name, help)                           NEEDS_TOTAL(name) NEEDS_HELP(name, help)
#define PROCESS_COUNTER(name, unit, help)                   NEEDS_TOTAL(name) NEEDS_HELP(name, help)
#define PROCESS_GAUGE(name, unit, help)                     REFUSES_TOTAL(name) NEEDS_HELP(name, help)
#include "conf/tables/metrics.def"

#define SET(set, label)  static const char *const set##_values[] = {
#define V(set, id, text) text,
#define END(set)                                                                                                       \
    }                                                                                                                  \
    ;
#include "conf/tables/labels.def"

#define SET(set, label) static const struct label_set set##_set = {label, set##_values, set##_COUNT};
#include "conf/tables/labels.def"

#define BOUNDS(set)       static const char *const set##_le[] = {
#define B(set, le, value) le,
#define END_BOUNDS(set)                                                                                                \
    }                                                                                                                  \
    ;
#include "conf/tables/bounds.def"

#define BOUNDS(set)       static const uint64_t set##_bound_values[] = {
#define B(set, le, value) value,
#define END_BOUNDS(set)                                                                                                \
    }                                                                                                                  \
    ;                                                                                                                  \
    static const struct bounds set##_bounds = {set##_le, set##_bound_values, bounds_##set##_COUNT};
#include "conf/tables/bounds.def"

#define SETS_L0             .label_count = 0
#define SETS_L1(a)          .label_count = 1, .labels = {&a##_set}
#define SETS_L2(a, b)       .label_count = 2, .labels = {&a##_set, &b##_set}
#define SETS_L4(a, b, c, d) .label_count = 4, .labels = {&a##_set, &b##_set, &c##_set, &d##_set}

#define PREFIX "milterscope_"
#define COUNTER(NAME, WRITER, UNIT, LABELS, HELP)                                                                      \
    {.name = PREFIX #NAME,                                                                                             \
     .help = HELP,                                                                                                     \
     .kind = kind_counter,                                                                                             \
     .unit = unit_##UNIT,                                                                                              \
     .writer = writer_##WRITER,                                                                                        \
     .is_total = true,                                                                                                 \
     .first = total_##NAME,                                                                                            \
     .slots = SERIES_##LABELS,                                                                                         \
     SETS_##LABELS},
#define HISTOGRAM(NAME, WRITER, UNIT, LABELS, BOUNDS, HELP)                                                            \
    {.name = PREFIX #NAME,                                                                                             \
     .help = HELP,                                                                                                     \
     .kind = kind_histogram,                                                                                           \
     .unit = unit_##UNIT,                                                                                              \
     .writer = writer_##WRITER,                                                                                        \
     .is_total = true,                                                                                                 \
     .first = total_##NAME,                                                                                            \
     .slots = SERIES_##LABELS * HISTOGRAM_SLOTS(BOUNDS),                                                               \
     .bounds = &BOUNDS##_bounds,                                                                                       \
     SETS_##LABELS},
#define GAUGE(NAME, WRITER, UNIT, LABELS, JOIN, HELP)                                                                  \
    {.name = PREFIX #NAME,                                                                                             \
     .help = HELP,                                                                                                     \
     .kind = kind_gauge,                                                                                               \
     .unit = unit_##UNIT,                                                                                              \
     .writer = writer_##WRITER,                                                                                        \
     .join = join_##JOIN,                                                                                              \
     .first = gauge_##NAME,                                                                                            \
     .slots = SERIES_##LABELS,                                                                                         \
     SETS_##LABELS},
#define INFO(NAME, WRITER, LABELS, HELP)                                                                               \
    {.name = PREFIX #NAME,                                                                                             \
     .help = HELP,                                                                                                     \
     .kind = kind_info,                                                                                                \
     .unit = unit_one,                                                                                                 \
     .writer = writer_##WRITER,                                                                                        \
     .join = join_max,                                                                                                 \
     .first = gauge_##NAME,                                                                                            \
     .slots = SERIES_##LABELS,                                                                                         \
     SETS_##LABELS},
#define FLEET_COUNTER(NAME, HELP)                                                                                      \
    {.name = PREFIX #NAME,                                                                                             \
     .help = HELP,                                                                                                     \
     .kind = kind_counter,                                                                                             \
     .unit = unit_one,                                                                                                 \
     .writer = writer_exporter,                                                                                        \
     .join = join_max,                                                                                                 \
     .first = gauge_##NAME,                                                                                            \
     .slots = 1},
#define PROCESS_COUNTER(NAME, UNIT, HELP)                                                                              \
    {.name = #NAME,                                                                                                    \
     .help = HELP,                                                                                                     \
     .kind = kind_counter,                                                                                             \
     .unit = unit_##UNIT,                                                                                              \
     .writer = writer_exporter,                                                                                        \
     .join = join_max,                                                                                                 \
     .first = gauge_##NAME,                                                                                            \
     .slots = 1},
#define PROCESS_GAUGE(NAME, UNIT, HELP)                                                                                \
    {.name = #NAME,                                                                                                    \
     .help = HELP,                                                                                                     \
     .kind = kind_gauge,                                                                                               \
     .unit = unit_##UNIT,                                                                                              \
     .writer = writer_exporter,                                                                                        \
     .join = join_max,                                                                                                 \
     .first = gauge_##NAME,                                                                                            \
     .slots = 1},
const struct metric catalogue[metric_COUNT] = {
#include "conf/tables/metrics.def"
};

/* The terminating NUL is hashed too, so that texts do not run into each other. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    return fnv1a(hash, text, strlen(text) + 1);
}

uint64_t catalogue_hash(void)
{
    uint64_t hash = FNV1A_BEGINS;
    char text[SERIES_TEXT_MAX];
    for (unsigned i = 0; i < total_COUNT; i++) {
        catalogue_total_text(i, text);
        hash = hash_text(hash, text);
    }
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        catalogue_gauge_text(i, text);
        hash = hash_text(hash, text);
    }
    return hash;
}

/* Appends to a text of SERIES_TEXT_MAX bytes; tables and names of domains are far too short to reach its end, so truncation is a wrong
 * row. */
static size_t append(char *text, size_t at, const char *more)
{
    size_t length = strlen(more);
    if (at + length >= SERIES_TEXT_MAX)
        abort();
    memcpy(text + at, more, length + 1);
    return at + length;
}

static size_t append_label(char *text, size_t at, char before, const char *label, const char *value)
{
    const char opening[2] = {before, '\0'};
    at = append(text, at, opening);
    at = append(text, at, label);
    at = append(text, at, "=\"");
    at = append(text, at, value);
    return append(text, at, "\"");
}

bool catalogue_has_domain(const struct metric *metric)
{
    return metric->label_count > 0 && metric->labels[0] == &domain_set;
}

/* As it stands in labels.def: no value that is published begins so. */
static bool is_place(const char *value)
{
    return value[0] == '#';
}

bool catalogue_place(const struct metric *metric, unsigned slot, struct catalogue_place *place)
{
    unsigned stride = metric->slots;
    for (unsigned i = 0; i < metric->label_count; i++) {
        stride /= metric->labels[i]->count;
        const char *value = metric->labels[i]->values[slot / stride];
        if (is_place(value)) {
            *place = (struct catalogue_place){metric->labels[i]->label, (unsigned)atoi(value + 1), stride};
            return true;
        }
        slot %= stride;
    }
    return false;
}

size_t catalogue_series(const struct metric *metric, unsigned slot, char *text)
{
    return catalogue_named_series(metric, slot, NULL, text);
}

size_t catalogue_named_series(const struct metric *metric, unsigned slot, const char *name, char *text)
{
    const char *suffix = "";
    const char *le = NULL;
    unsigned series = slot;
    if (metric->kind == kind_histogram) {
        unsigned per_series = metric->bounds->count + 2;
        unsigned part = slot % per_series;
        series = slot / per_series;
        suffix = part == per_series - 1 ? "_sum" : "_bucket";
        if (part < metric->bounds->count)
            le = metric->bounds->le[part];
        else if (part == metric->bounds->count)
            le = "+Inf";
    }
    size_t at = append(text, append(text, 0, metric->name), suffix);
    unsigned span = metric->kind == kind_histogram ? metric->slots / (metric->bounds->count + 2) : metric->slots;
    char before = '{';
    for (unsigned i = 0; i < metric->label_count; i++, before = ',') {
        span /= metric->labels[i]->count;
        const char *value = metric->labels[i]->values[series / span];
        at = append_label(text, at, before, metric->labels[i]->label, name != NULL && is_place(value) ? name : value);
        series %= span;
    }
    if (le != NULL) {
        at = append_label(text, at, before, "le", le);
        before = ',';
    }
    return before == ',' ? append(text, at, "}") : at;
}

static const struct metric *metric_of(bool is_total, unsigned number)
{
    for (size_t i = 0; i < metric_COUNT; i++) {
        const struct metric *metric = &catalogue[i];
        if (metric->is_total == is_total && number >= metric->first && number < metric->first + metric->slots)
            return metric;
    }
    abort(); /* a number that no enum holds */
}

const struct metric *catalogue_total_metric(unsigned total)
{
    return metric_of(true, total);
}

const struct metric *catalogue_gauge_metric(unsigned gauge)
{
    return metric_of(false, gauge);
}

size_t catalogue_total_text(unsigned total, char *text)
{
    const struct metric *metric = metric_of(true, total);
    return catalogue_series(metric, total - metric->first, text);
}

size_t catalogue_gauge_text(unsigned gauge, char *text)
{
    const struct metric *metric = metric_of(false, gauge);
    return catalogue_series(metric, gauge - metric->first, text);
}

enum metric_unit catalogue_total_unit(unsigned total)
{
    const struct metric *metric = metric_of(true, total);
    if (metric->kind != kind_histogram)
        return metric->unit;
    unsigned per_series = metric->bounds->count + 2;
    return (total - metric->first) % per_series == per_series - 1 ? metric->unit : unit_one;
}

/* Names in sorted order, for look-up by text. In memory of their own, since nothing that looks up could go on without them. */
struct name {
    char text[SERIES_TEXT_MAX];
    int number;
};
static struct name total_names[total_COUNT];
static struct name gauge_names[gauge_COUNT];

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void index_names(struct name *names, unsigned count, size_t (*write)(unsigned, char *))
{
    for (unsigned i = 0; i < count; i++) {
        write(i, names[i].text);
        names[i].number = (int)i;
    }
    qsort(names, count, sizeof *names, compare_names);
}

static int find(struct name *names, unsigned count, size_t (*write)(unsigned, char *), const char *text, size_t length)
{
    struct name key;
    if (names[0].text[0] == '\0')
        index_names(names, count, write);
    if (length >= sizeof key.text)
        return -1;
    memcpy(key.text, text, length);
    key.text[length] = '\0';
    if (strlen(key.text) != length)
        return -1;
    const struct name *found = bsearch(&key, names, count, sizeof *names, compare_names);
    return found == NULL ? -1 : found->number;
}

int catalogue_find_total(const char *text, size_t length)
{
    return find(total_names, total_COUNT, catalogue_total_text, text, length);
}

int catalogue_find_gauge(const char *text, size_t length)
{
    return find(gauge_names, gauge_COUNT, catalogue_gauge_text, text, length);
}

/* Counted in millionths. */
static bool has_decimals(enum metric_unit unit)
{
    return unit == unit_seconds || unit == unit_decimal;
}

size_t catalogue_value_text(enum metric_unit unit, int64_t value, char *text)
{
    int length;
    if (has_decimals(unit)) {
        uint64_t micros = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        length =
            snprintf(text, 32, "%s%" PRIu64 ".%06" PRIu64, value < 0 ? "-" : "", micros / 1000000, micros % 1000000);
    } else {
        length = snprintf(text, 32, "%" PRId64, value);
    }
    return (size_t)length;
}

/* Reads digits at *at as a number; false if there are none or the number is out of range. */
static bool parse_digits(const char *text, size_t length, size_t *at, uint64_t *number)
{
    size_t first = *at;
    *number = 0;
    for (; *at < length && text[*at] >= '0' && text[*at] <= '9'; (*at)++) {
        unsigned digit = (unsigned)(text[*at] - '0');
        if (*number > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return *at > first;
}

bool catalogue_value_parse(enum metric_unit unit, const char *text, size_t length, int64_t *value)
{
    size_t at = length > 0 && text[0] == '-' ? 1 : 0;
    bool negative = at == 1;
    uint64_t number;
    if (!parse_digits(text, length, &at, &number))
        return false;
    if (has_decimals(unit)) {
        uint64_t fraction = 0;
        if (number > (uint64_t)INT64_MAX / 1000000 - 1)
            return false;
        if (at < length && text[at] == '.') {
            size_t point = at++;
            if (!parse_digits(text, length, &at, &fraction) || at - point > 7)
                return false;
            for (size_t decimals = at - point - 1; decimals < 6; decimals++)
                fraction *= 10;
        }
        number = number * 1000000 + fraction;
    }
    if (at != length)
        return false;
    *value = negative ? -(int64_t)number : (int64_t)number;
    return true;
}
