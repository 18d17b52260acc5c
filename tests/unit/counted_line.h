/* For the unit tests of parsers of logs: what one line adds, as a text: "used: deliveries local sent, delivery_codes 2.0.0 sent". Series
 * stand in the order of the catalogue, by name without prefix and "_total" and by the values of their labels; sums are left out. */
#ifndef TESTS_UNIT_COUNTED_LINE_H
#define TESTS_UNIT_COUNTED_LINE_H

#include "conf/lib/tally.h"

#include <string.h>

static _Atomic uint64_t counted_totals[total_COUNT];
static struct tally counted_tally = {.totals = counted_totals};

/* "milterscope_x_total{a="b",c="d"}" as "x b d". */
static inline void counted_name(unsigned total, char *name)
{
    char series[SERIES_TEXT_MAX];
    catalogue_total_text(total, series);
    char *brace = strchr(series, '{');
    size_t length = brace != NULL ? (size_t)(brace - series) : strlen(series);
    if (length > 6 && memcmp(series + length - 6, "_total", 6) == 0)
        length -= 6;
    name += sprintf(name, "%.*s", (int)(length - strlen("milterscope_")), series + strlen("milterscope_"));
    for (char *quote = brace; quote != NULL && (quote = strchr(quote, '"')) != NULL;) {
        char *end = strchr(quote + 1, '"');
        name += sprintf(name, " %.*s", (int)(end - quote - 1), quote + 1);
        quote = end + 1;
    }
}

/* What was counted since the last time. */
static inline void counted_text(enum label_line line, char *text)
{
    const char *mark = ": ";
    text += sprintf(text, "%s", catalogue[metric_log_lines_total].labels[0]->values[line]);
    for (unsigned i = 0; i < total_COUNT; i++) {
        char name[SERIES_TEXT_MAX];
        uint64_t count = atomic_exchange(&counted_totals[i], 0);
        if (count == 0)
            continue;
        counted_name(i, name);
        if (strstr(name, "_sum") != NULL)
            continue;
        text += sprintf(text, count == 1 ? "%s%s" : "%s%s x%lu", mark, name, count);
        mark = ", ";
    }
}

#endif
