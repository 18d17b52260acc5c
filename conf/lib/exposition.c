/* Writing snapshots in the exposition formats. What differs between the two is the head of a family; samples are alike. */
#include "conf/lib/exposition.h"

#include "conf/lib/observable.h"

#include <inttypes.h>
#include <string.h>

enum { HISTOGRAM_PARTS_MAX = 32 }; /* buckets, sum and count */
#define BOUNDS(set) _Static_assert(bounds_##set##_COUNT + 3 <= HISTOGRAM_PARTS_MAX, #set ": too many bounds");
#include "conf/tables/bounds.def"

const char *exposition_content_type(enum exposition_format format)
{
    return format == exposition_openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                            : "text/plain; version=0.0.4; charset=utf-8";
}

/* All that is written of a family, one after another. */
struct family {
    FILE *out;
    enum exposition_format format;
    const struct metric *metric;
    const struct exposition_part *parts;
    size_t count;
    bool has_head;
};

/* ---- the head of a family ---- */

static bool ends_in(const char *text, size_t length, const char *end)
{
    size_t end_length = strlen(end);
    return length > end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

/* In OpenMetrics the family of x_total is x, and that of x_info too. */
static int family_length(enum exposition_format format, const struct metric *metric)
{
    const char *suffix = metric->kind == kind_counter ? "_total" : metric->kind == kind_info ? "_info" : "";
    size_t length = strlen(metric->name);
    if (format == exposition_openmetrics && *suffix != '\0' && ends_in(metric->name, length, suffix))
        length -= strlen(suffix);
    return (int)length;
}

static void write_escaped(FILE *out, enum exposition_format format, const char *help)
{
    for (; *help != '\0'; help++) {
        if (*help == '\n') {
            fputs("\\n", out);
            continue;
        }
        if (*help == '\\' || (*help == '"' && format == exposition_openmetrics))
            fputc('\\', out);
        fputc(*help, out);
    }
}

static void write_help(FILE *out, enum exposition_format format, const struct metric *metric)
{
    fprintf(out, "# HELP %.*s ", family_length(format, metric), metric->name);
    write_escaped(out, format, metric->help);
    fputc('\n', out);
}

static void write_type(FILE *out, enum exposition_format format, const struct metric *metric)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "info"};
    bool is_plain_info = metric->kind == kind_info && format == exposition_text;
    fprintf(out, "# TYPE %.*s %s\n", family_length(format, metric), metric->name,
            is_plain_info ? "gauge" : types[metric->kind]);
}

/* A unit may be declared only where the family's name ends with it. */
static void write_unit(FILE *out, enum exposition_format format, const struct metric *metric)
{
    static const char *const units[] = {"", "_seconds", "_bytes", ""};
    const char *unit = units[metric->unit];
    int length = family_length(format, metric);
    if (*unit != '\0' && ends_in(metric->name, (size_t)length, unit))
        fprintf(out, "# UNIT %.*s %s\n", length, metric->name, unit + 1);
}

/* Before the first sample. */
static void write_head(struct family *family)
{
    FILE *out = family->out;
    enum exposition_format format = family->format;
    const struct metric *metric = family->metric;
    if (family->has_head)
        return;
    family->has_head = true;
    if (format == exposition_text)
        write_help(out, format, metric);
    write_type(out, format, metric);
    if (format == exposition_openmetrics) {
        write_unit(out, format, metric);
        write_help(out, format, metric);
    }
}

/* ---- samples ---- */

/* A series of the catalogue, taken apart where the label `instance` comes in. */
struct series_text {
    char name[SERIES_TEXT_MAX];
    const char *labels; /* behind the opening brace; NULL: none */
};

/* Where the series of a slot has a name that is known at run time alone, that of these values; false: there is none. */
static bool take_apart(const struct snapshot *values, const struct metric *metric, unsigned slot,
                       struct series_text *series)
{
    series->name[0] = '\0';
    size_t length = metric->is_total ? domains_series(&values->domains, metric, slot, series->name)
                                     : places_series(&values->places, metric, slot, series->name);
    char *brace = strchr(series->name, '{');
    series->labels = brace == NULL ? NULL : brace + 1;
    if (brace != NULL)
        *brace = '\0';
    return length > 0;
}

static void write_sample(FILE *out, const struct series_text *series, const char *instance, enum metric_unit unit,
                         int64_t value)
{
    char text[32];
    fputs(series->name, out);
    if (instance != NULL) {
        fputs("{instance=\"", out);
        fputs(instance, out);
        fputs(series->labels == NULL ? "\"}" : "\",", out);
    } else if (series->labels != NULL) {
        fputc('{', out);
    }
    if (series->labels != NULL)
        fputs(series->labels, out);
    text[0] = ' ';
    size_t length = catalogue_value_text(unit, value, text + 1);
    text[length + 1] = '\n';
    fwrite(text, 1, length + 2, out);
}

/* Totals that are not known yet, or cannot be observed, are absent. */
static bool has_totals(const struct family *family, const struct exposition_part *part)
{
    return snapshot_has(part->values, family->metric) && !observable_hides(part->values, family->metric);
}

/* One series of a histogram, whose slots begin at `slot`: of each part cumulative buckets, sum and count. */
static void write_histogram(const struct family *family, unsigned slot)
{
    const struct metric *metric = family->metric;
    struct series_text series[HISTOGRAM_PARTS_MAX];
    unsigned buckets = metric->bounds->count + 1, sum = buckets, count = sum + 1;
    for (unsigned i = 0; i <= sum; i++)
        take_apart(family->parts[0].values, metric, slot + i, &series[i]);
    take_apart(family->parts[0].values, metric, slot + sum,
               &series[count]); /* the count is the sum under another name */
    strcpy(series[count].name + strlen(metric->name), "_count");
    if (series[sum].labels != NULL)
        series[count].labels = series[sum].labels;
    for (size_t p = 0; p < family->count; p++) {
        const struct exposition_part *part = &family->parts[p];
        const uint64_t *totals = part->values->totals + metric->first + slot;
        uint64_t cumulated = 0;
        if (!has_totals(family, part))
            continue;
        for (unsigned i = 0; i < buckets; i++) {
            cumulated = totals[i] < INT64_MAX - cumulated ? cumulated + totals[i] : INT64_MAX;
            write_sample(family->out, &series[i], part->instance, unit_one, (int64_t)cumulated);
        }
        write_sample(family->out, &series[sum], part->instance, metric->unit, (int64_t)totals[sum]);
        write_sample(family->out, &series[count], part->instance, unit_one, (int64_t)cumulated);
    }
}

static bool any_totals(const struct family *family)
{
    for (size_t i = 0; i < family->count; i++) {
        if (has_totals(family, &family->parts[i]))
            return true;
    }
    return false;
}

/* The same label stands for a name of its own in each part. */
static void write_domains(struct family *family)
{
    const struct metric *metric = family->metric;
    for (unsigned slot = 0; slot < metric->slots; slot++) {
        for (size_t p = 0; p < family->count; p++) {
            const struct exposition_part *part = &family->parts[p];
            const struct domains *domains = &part->values->domains;
            struct series_text series;
            if (!part->values->has_totals || !domains_show(domains, metric, slot))
                continue;
            take_apart(part->values, metric, slot, &series);
            write_head(family);
            write_sample(family->out, &series, part->instance, metric->unit,
                         (int64_t)part->values->totals[metric->first + slot]);
        }
    }
}

static void write_totals(struct family *family)
{
    const struct metric *metric = family->metric;
    bool is_histogram = metric->kind == kind_histogram;
    unsigned step = is_histogram ? metric->bounds->count + 2 : 1;
    if (!any_totals(family))
        return;
    write_head(family);
    for (unsigned slot = 0; slot < metric->slots; slot += step) {
        struct series_text series;
        if (is_histogram) {
            write_histogram(family, slot);
            continue;
        }
        take_apart(family->parts[0].values, metric, slot, &series);
        for (size_t p = 0; p < family->count; p++) {
            const struct exposition_part *part = &family->parts[p];
            if (has_totals(family, part) && !observable_hides_series(part->values, metric, slot))
                write_sample(family->out, &series, part->instance, metric->unit,
                             (int64_t)part->values->totals[metric->first + slot]);
        }
    }
}

/* An info that is not so is absent. */
static bool is_present(const struct metric *metric, int64_t value)
{
    return value != GAUGE_ABSENT && !(metric->kind == kind_info && value == 0);
}

static void write_gauges(struct family *family)
{
    const struct metric *metric = family->metric;
    for (unsigned slot = 0; slot < metric->slots; slot++) {
        bool is_place = places_of(metric, slot) >= 0, has_text = false;
        struct series_text series;
        for (size_t p = 0; p < family->count; p++) {
            const struct snapshot *values = family->parts[p].values;
            int64_t value = values->gauges[metric->first + slot];
            if (!is_present(metric, value))
                continue;
            if (!has_text || is_place)
                has_text = take_apart(values, metric, slot, &series);
            if (!has_text)
                continue;
            write_head(family);
            write_sample(family->out, &series, family->parts[p].instance, metric->unit,
                         metric->kind == kind_info ? 1 : value);
        }
    }
}

void exposition_write(FILE *out, enum exposition_format format, const struct exposition_part *parts, size_t count)
{
    for (size_t i = 0; i < metric_COUNT; i++) {
        struct family family = {out, format, &catalogue[i], parts, count, false};
        if (catalogue_has_domain(&catalogue[i]))
            write_domains(&family);
        else if (catalogue[i].is_total)
            write_totals(&family);
        else
            write_gauges(&family);
    }
    if (format == exposition_openmetrics)
        fputs("# EOF\n", out);
}
