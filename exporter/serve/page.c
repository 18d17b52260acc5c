/* The page knows which metrics are the main ones, not what their labels are: a metric with one label is a list, one with two is a
 * table, as the catalogue has it. */
#include "exporter/serve/page.h"

#include "conf/lib/observable.h"
#include "exporter/serve/fleet.h"
#include "exporter/serve/page_node.h"
#include "exporter/serve/page_unparsed.h"
#include "exporter/serve/tops.h"

#include <inttypes.h>

static const char style[] = ":root{color-scheme:light dark}"
                            "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
                            "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}"
                            "table{border-collapse:collapse}"
                            "th,td{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #8884}"
                            "th:first-child,td:first-child{text-align:left}"
                            "td{font-variant-numeric:tabular-nums}"
                            ".zero{opacity:.4}.trouble{border-left:4px solid #d70;padding-left:.8rem}"
                            "pre{overflow-x:auto;font-size:.85rem}a{color:LinkText}footer{margin-top:2rem;opacity:.7}";

enum { TOP_SHOWN = 10 };

static const struct {
    enum metric_id metric;
    const char *title;
} figures[] = {
    {metric_connections_total, "Connections by client"},
    {metric_messages_total, "Messages by source and how they ended"},
    {metric_rejects_total, "Refused recipients by reason"},
    {metric_spam_verdicts_total, "Passed messages by source and spam verdict"},
    {metric_deliveries_total, "Attempts at delivery by destination and result"},
};

void page_write_text(FILE *out, const char *text)
{
    static const char *const entities[256] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;"};
    for (; *text != '\0'; text++) {
        const char *entity = entities[(unsigned char)*text];
        if (entity != NULL)
            fputs(entity, out);
        else
            fputc(*text, out);
    }
}

static void write_cell(FILE *out, uint64_t value)
{
    fprintf(out, "<td%s>%" PRIu64 "</td>", value == 0 ? " class=zero" : "", value);
}

/* The cells of a row; nothing where the filter can see none of them. */
static void write_row(FILE *out, const struct snapshot *values, const struct metric *metric, unsigned row,
                      unsigned width)
{
    unsigned hidden = 0;
    for (unsigned slot = row * width; slot < (row + 1) * width; slot++)
        hidden += observable_hides_series(values, metric, slot);
    if (hidden == width)
        return;
    fprintf(out, "<tr><td>%s</td>", metric->labels[0]->values[row]);
    for (unsigned slot = row * width; slot < (row + 1) * width; slot++) {
        if (observable_hides_series(values, metric, slot))
            fputs("<td></td>", out);
        else
            write_cell(out, values->totals[metric->first + slot]);
    }
    fputs("</tr>\n", out);
}

/* Rows are the values of the first label, columns those of the second, or one column where there is none. */
static void write_table(FILE *out, const char *title, const struct metric *metric, const struct snapshot *values)
{
    const struct label_set *rows = metric->labels[0];
    const struct label_set *columns = metric->label_count > 1 ? metric->labels[1] : NULL;
    unsigned width = columns != NULL ? columns->count : 1;
    if (observable_hides(values, metric))
        return;
    fprintf(out, "<h2>%s</h2>\n<table>\n<tr><th>%s</th>", title, rows->label);
    for (unsigned column = 0; column < width; column++)
        fprintf(out, "<th>%s</th>", columns != NULL ? columns->values[column] : "total");
    fputs("</tr>\n", out);
    for (unsigned row = 0; row < rows->count; row++)
        write_row(out, values, metric, row, width);
    fputs("</table>\n", out);
}

enum { ANY = -1 };

/* Of a metric, all series together that have this value of the last label. */
static uint64_t total_of(const struct snapshot *values, const struct metric *metric, int value)
{
    uint64_t total = 0;
    int width = (int)metric->labels[metric->label_count - 1]->count;
    for (int slot = 0; slot < (int)metric->slots; slot++) {
        if (value == ANY || slot % width == value)
            total += values->totals[metric->first + (unsigned)slot];
    }
    return total;
}

/* A row for each instance; of one that is silent only since when. */
static void write_instances(FILE *out, const struct fleet_view *fleet)
{
    static const struct {
        enum metric_id metric;
        int value;
        const char *title;
    } columns[] = {
        {metric_connections_total, ANY, "connections"},
        {metric_messages_total, verdict_passed, "messages passed"},
        {metric_recipients_total, outcome_refused, "recipients refused"},
    };
    fputs("<h2>Instances</h2>\n<table>\n<tr><th>instance</th><th>state</th><th>last push</th>", out);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        fprintf(out, "<th>%s</th>", columns[i].title);
    fputs("<th>queued</th></tr>\n", out);
    for (unsigned i = 0; i < fleet->count; i++) {
        const struct fleet_row *row = &fleet->rows[i];
        fprintf(out, "<tr><td>%s</td><td>%s</td>", row->name, row->up ? "up" : "<strong>silent</strong>");
        if (row->age < 0)
            fputs("<td>not known</td>", out);
        else
            fprintf(out, "<td>%" PRId64 " s ago</td>", row->age / 1000000);
        for (size_t j = 0; row->values.has_totals && j < sizeof columns / sizeof columns[0]; j++)
            write_cell(out, total_of(&row->values, &catalogue[columns[j].metric], columns[j].value));
        if (row->values.has_totals && page_node_queued(&row->values) != GAUGE_ABSENT)
            write_cell(out, (uint64_t)page_node_queued(&row->values));
        fputs("</tr>\n", out);
    }
    fputs("</table>\n", out);
}

static void write_state(FILE *out, const struct view *view)
{
    int64_t sessions = view->values.gauges[gauge_sessions_active];
    fprintf(out, "<p>%s, from %s.", view->values.gauges[gauge_up] == 1 ? "Live" : "<strong>Not live</strong>",
            view->from);
    if (sessions != GAUGE_ABSENT)
        fprintf(out, " %" PRId64 " SMTP session%s open.", sessions, sessions == 1 ? "" : "s");
    fputs("</p>\n", out);
    if (view->trouble[0] == '\0')
        return;
    fputs("<p class=trouble>", out);
    page_write_text(out, view->trouble);
    fputs("</p>\n", out);
}

/* The first ones of a set in the last day; nothing where there is none. Members may be of any script, also of one written the other way. */
static void write_top(FILE *out, struct tops *tops, enum top_set set)
{
    const struct top_query query = {set, top_usual(set), TOP_HOURS_MAX, TOP_SHOWN};
    struct top_list list;
    int64_t hour;
    char trouble[TOPS_TROUBLE_MAX];
    if (tops_list(tops, &query, &list, &hour, trouble) != tops_well)
        return;
    if (list.count > 0) {
        fprintf(out, "<h2>%s, by %s of the last %d hours</h2>\n<table>\n<tr><th>%s</th>", top_set_titles[set],
                top_by_names[query.by], TOP_HOURS_MAX, top_set_names[set]);
        for (int by = 0; by < top_by_COUNT; by++) {
            if (top_counts(set, (enum top_by)by))
                fprintf(out, "<th>%s</th>", top_by_names[by]);
        }
        fputs("</tr>\n", out);
    }
    for (size_t i = 0; i < list.count; i++) {
        fputs("<tr><td><bdi>", out);
        page_write_text(out, list.entries[i].member);
        fputs("</bdi></td>", out);
        for (int by = 0; by < top_by_COUNT; by++) {
            if (top_counts(set, (enum top_by)by))
                write_cell(out, list.entries[i].counts[by]);
        }
        fputs("</tr>\n", out);
    }
    if (list.count > 0)
        fprintf(out, "</table>\n<p>%" PRIu64 " distinct.</p>\n", list.distinct);
    top_list_free(&list);
}

void page_write(FILE *out, const char *instance, const struct view *view, struct tops *tops)
{
    fputs("<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
          "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n<title>milterscope: ",
          out);
    const char *title = view->is_fleet ? "all instances" : instance;
    page_write_text(out, title);
    fprintf(out, "</title>\n<style>%s</style>\n<h1>milterscope: ", style);
    page_write_text(out, title);
    fprintf(out, "</h1>\n<p>What %s, seen from inside the SMTP conversation, and beside it.</p>\n",
            view->is_fleet ? "these mail servers do" : "this mail server does");
    write_state(out, view);
    if (view->fleet != NULL)
        write_instances(out, view->fleet);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (snapshot_has(&view->values, &catalogue[figures[i].metric]))
            write_table(out, figures[i].title, &catalogue[figures[i].metric], &view->values);
    }
    page_node_write(out, &view->values);
    for (int set = 0; tops != NULL && set < top_COUNT; set++)
        write_top(out, tops, (enum top_set)set);
    page_unparsed_write(out, view->unparsed);
    fputs(
        "<h2>For machines</h2>\n"
        "<ul>\n<li><a href=\"/metrics\">/metrics</a>: for Prometheus, all of it</li>\n"
        "<li><a href=\"/api/v1/top?set=client\">/api/v1/top?set=client</a>: top lists, as JSON</li>\n"
        "<li><a href=\"/livez\">/livez</a>, <a href=\"/readyz\">/readyz</a>: whether this exporter works</li>\n</ul>\n"
        "<footer>milterscope-exporter " MILTERSCOPE_VERSION
        ". Totals since the counting began; reload the page for new ones.</footer>\n",
        out);
}
