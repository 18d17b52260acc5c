/* Gauges with one label, side by side: a row for each value of it of which something is known, under the operator's name
 * where it is his. */
#include "exporter/serve/page_node.h"

#include <inttypes.h>

enum form { form_end, form_number, form_bytes, form_age, form_yes };
enum { COLUMNS_MAX = 5 };

static const struct {
    const char *title;
    struct {
        enum metric_id metric;
        const char *title;
        enum form form;
    } columns[COLUMNS_MAX];
} tables[] = {
    {"Queues",
     {{metric_queue_messages, "messages", form_number},
      {metric_queue_oldest_seconds, "oldest", form_age},
      {metric_queue_tried_messages, "tried in vain", form_number},
      {metric_queue_null_sender_messages, "bounces", form_number}}},
    {"Listeners of the mail server",
     {{metric_mta_up, "greets", form_yes}, {metric_milter_attached, "asks the filter", form_yes}}},
    {"Disk",
     {{metric_filesystem_free_bytes, "free", form_bytes},
      {metric_filesystem_size_bytes, "size", form_bytes},
      {metric_filesystem_free_inodes, "files that can be made", form_number}}},
};

/* In the largest unit of which there is one whole, with what is left in the next. */
static void write_age(FILE *out, int64_t micros)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    int64_t seconds = micros / 1000000;
    size_t unit = 0;
    while (unit < 3 && seconds < units[unit].seconds)
        unit++;
    fprintf(out, "%" PRId64 " %s", seconds / units[unit].seconds, units[unit].name);
    if (unit < 2)
        fprintf(out, " %" PRId64 " %s", seconds % units[unit].seconds / units[unit + 1].seconds, units[unit + 1].name);
}

static void write_bytes(FILE *out, int64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        value /= 1024;
    fprintf(out, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void write_value(FILE *out, int64_t value, enum form form)
{
    if (value == GAUGE_ABSENT) {
        fputs("<td></td>", out);
        return;
    }
    fputs(value == 0 && form != form_yes ? "<td class=zero>" : "<td>", out);
    if (form == form_age)
        write_age(out, value);
    else if (form == form_bytes)
        write_bytes(out, value);
    else if (form == form_yes)
        fputs(value != 0 ? "yes" : "<strong>no</strong>", out);
    else
        fprintf(out, "%" PRId64, value);
    fputs("</td>", out);
}

static int64_t value_of(const struct snapshot *values, enum metric_id metric, unsigned row)
{
    return values->gauges[catalogue[metric].first + row];
}

static const char *name_of(const struct snapshot *values, const struct metric *metric, unsigned row)
{
    int place = places_of(metric, row);
    return place < 0 ? metric->labels[0]->values[row] : values->places.names[place];
}

static unsigned width_of(size_t table)
{
    unsigned width = 0;
    while (width < COLUMNS_MAX && tables[table].columns[width].form != form_end)
        width++;
    return width;
}

static bool is_known(size_t table, unsigned width, const struct snapshot *values, unsigned row)
{
    for (unsigned i = 0; i < width; i++) {
        if (value_of(values, tables[table].columns[i].metric, row) != GAUGE_ABSENT)
            return true;
    }
    return false;
}

/* The head comes with the first row: a table without one is not there. */
static void write_table(FILE *out, size_t table, const struct snapshot *values)
{
    const struct metric *first = &catalogue[tables[table].columns[0].metric];
    unsigned width = width_of(table);
    bool begun = false;
    for (unsigned row = 0; row < first->slots; row++) {
        if (!is_known(table, width, values, row))
            continue;
        if (!begun) {
            fprintf(out, "<h2>%s</h2>\n<table>\n<tr><th>%s</th>", tables[table].title, first->labels[0]->label);
            for (unsigned i = 0; i < width; i++)
                fprintf(out, "<th>%s</th>", tables[table].columns[i].title);
            fputs("</tr>\n", out);
        }
        begun = true;
        fputs("<tr><td>", out);
        page_write_text(out, name_of(values, first, row));
        fputs("</td>", out);
        for (unsigned i = 0; i < width; i++)
            write_value(out, value_of(values, tables[table].columns[i].metric, row), tables[table].columns[i].form);
        fputs("</tr>\n", out);
    }
    if (begun)
        fputs("</table>\n", out);
}

void page_node_write(FILE *out, const struct snapshot *values)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        write_table(out, i, values);
}

int64_t page_node_queued(const struct snapshot *values)
{
    int64_t sum = GAUGE_ABSENT;
    for (unsigned queue = 0; queue < queue_COUNT; queue++) {
        int64_t messages = values->gauges[(unsigned)gauge_queue_messages + queue];
        if (messages != GAUGE_ABSENT)
            sum = (sum == GAUGE_ABSENT ? 0 : sum) + messages;
    }
    return sum;
}
