/* Lines of logs, and what a parser is to make of them: rows of a table, each played to a state of its own. */
#ifndef LOG_ROWS_H
#define LOG_ROWS_H

#include "exporter/collect/counting.h"
#include "exporter/collect/log_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROW_SERIES = 8 };

struct log_row {
    const char *lines; /* messages, each but the last with a line feed behind it */
    enum label_line last;
    struct {
        unsigned series;
        uint64_t n;
    } counts[ROW_SERIES]; /* all that is to be counted, but for times and codes */
};

typedef enum label_line row_count(void *state, const struct counting *counting, const struct log_line *line);

static _Atomic uint64_t row_totals[total_COUNT];
static const struct settings row_settings;
static const struct tally row_tally = {.totals = row_totals};
static const struct counting row_counting = {.settings = &row_settings, .tally = &row_tally};

static bool row_is_judged(unsigned total)
{
    const enum metric_id metric = (enum metric_id)(catalogue_total_metric(total) - catalogue);
    return metric != metric_delivery_seconds && metric != metric_delivery_codes_total;
}

/* What was counted is what the row says, and nothing else. */
static inline void row_judge(const struct log_row *row)
{
    for (unsigned total = 0; total < total_COUNT; total++) {
        uint64_t expected = 0;
        for (int i = 0; i < ROW_SERIES; i++)
            expected += row->counts[i].n > 0 && row->counts[i].series == total ? row->counts[i].n : 0;
        if (row_is_judged(total) && row_totals[total] != expected)
            fail_msg("%s: %u of %u times, series %u", row->lines, (unsigned)row_totals[total], (unsigned)expected,
                     total);
    }
}

/* Plays one: the program, its messages, to this state. */
static inline void row_play(const struct log_row *row, row_count *count, void *state, const char *program)
{
    struct log_line line = {.time_us = INT64_C(1763668800) * 1000000, .pid = 7, .program = {program, strlen(program)}};
    enum label_line result = line_COUNT;
    struct span rest = {row->lines, strlen(row->lines)};
    memset(row_totals, 0, sizeof row_totals);
    do {
        line.message = span_before(&rest, '\n');
        result = count(state, &row_counting, &line);
    } while (rest.length > 0);
    if (result != row->last)
        fail_msg("%s: the last line is %d, not %d", row->lines, (int)result, (int)row->last);
    row_judge(row);
}

#endif
