/* Writing a snapshot in the exposition formats. What differs between the two is the head of a family; samples are alike. */
#include "conf/lib/exposition.h"

#include <inttypes.h>
#include <string.h>

const char *exposition_content_type(enum exposition_format format)
{
    return format == exposition_openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                            : "text/plain; version=0.0.4; charset=utf-8";
}

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
    static const char *const units[] = {"", "_seconds", "_bytes"};
    const char *unit = units[metric->unit];
    int length = family_length(format, metric);
    if (*unit != '\0' && ends_in(metric->name, (size_t)length, unit))
        fprintf(out, "# UNIT %.*s %s\n", length, metric->name, unit + 1);
}

static void write_head(FILE *out, enum exposition_format format, const struct metric *metric)
{
    if (format == exposition_text)
        write_help(out, format, metric);
    write_type(out, format, metric);
    if (format == exposition_openmetrics) {
        write_unit(out, format, metric);
        write_help(out, format, metric);
    }
}

/* ---- samples ---- */

static void write_sample(FILE *out, const char *series, enum metric_unit unit, int64_t value)
{
    char text[32];
    catalogue_value_text(unit, value, text);
    fprintf(out, "%s %s\n", series, text);
}

/* One series of a histogram, whose slots begin at `slot`: cumulative buckets, sum and count. */
static void write_histogram(FILE *out, const struct metric *metric, unsigned slot, const uint64_t *totals)
{
    char series[SERIES_TEXT_MAX];
    unsigned buckets = metric->bounds->count + 1;
    uint64_t count = 0;
    for (unsigned i = 0; i < buckets; i++) {
        count += totals[metric->first + slot + i];
        catalogue_series(metric, slot + i, series);
        write_sample(out, series, unit_one, (int64_t)count);
    }
    catalogue_series(metric, slot + buckets, series);
    write_sample(out, series, metric->unit, (int64_t)totals[metric->first + slot + buckets]);
    /* The series of the count is that of the sum under another name. */
    const char *labels = series + strlen(metric->name) + strlen("_sum");
    fprintf(out, "%s_count%s %" PRIu64 "\n", metric->name, labels, count);
}

static void write_totals(FILE *out, const struct metric *metric, const uint64_t *totals)
{
    char series[SERIES_TEXT_MAX];
    unsigned step = metric->kind == kind_histogram ? metric->bounds->count + 2 : 1;
    for (unsigned slot = 0; slot < metric->slots; slot += step) {
        if (metric->kind == kind_histogram) {
            write_histogram(out, metric, slot, totals);
            continue;
        }
        catalogue_series(metric, slot, series);
        write_sample(out, series, metric->unit, (int64_t)totals[metric->first + slot]);
    }
}

/* An info that is not so is absent. */
static bool is_present(const struct metric *metric, int64_t value)
{
    return value != GAUGE_ABSENT && !(metric->kind == kind_info && value == 0);
}

static void write_gauges(FILE *out, enum exposition_format format, const struct metric *metric, const int64_t *gauges)
{
    char series[SERIES_TEXT_MAX];
    bool has_head = false;
    for (unsigned slot = 0; slot < metric->slots; slot++) {
        int64_t value = gauges[metric->first + slot];
        if (!is_present(metric, value))
            continue;
        if (!has_head)
            write_head(out, format, metric);
        has_head = true;
        catalogue_series(metric, slot, series);
        write_sample(out, series, metric->unit, metric->kind == kind_info ? 1 : value);
    }
}

void exposition_write(FILE *out, enum exposition_format format, const struct snapshot *snapshot)
{
    for (size_t i = 0; i < metric_COUNT; i++) {
        const struct metric *metric = &catalogue[i];
        if (!metric->is_total) {
            write_gauges(out, format, metric, snapshot->gauges);
        } else if (snapshot->has_totals) {
            write_head(out, format, metric);
            write_totals(out, metric, snapshot->totals);
        }
    }
    if (format == exposition_openmetrics)
        fputs("# EOF\n", out);
}
