/* Which parser a line belongs to. */
#include "exporter/collect/log_count.h"

static void count(const struct log_counter *counter, enum label_line line)
{
    tally_add(counter->tally, SERIES_1(log_lines_total, line), 1);
}

void log_count_line(struct log_counter *counter, const struct log_line *line)
{
    enum label_line result = line_ignored;
    if (line->time_us != 0)
        counter->last_us = line->time_us;
    switch (counter->kind) {
    case mta_kind_postfix:
    case mta_kind_auto:
        result = log_postfix_count(&counter->postfix, counter->settings, counter->tally, line);
        break;
    case mta_kind_sendmail:
    case mta_kind_exim:
        break;
    }
    count(counter, result);
}

void log_count_text(struct log_counter *counter, const char *text, size_t length)
{
    struct log_line line;
    if (length > 0 && text[length - 1] == '\r')
        length--;
    if (log_line_read(&counter->clock, text, length, &line))
        log_count_line(counter, &line);
    else
        count(counter, length == 0 ? line_ignored : line_unparsed);
}

void log_count_cut(struct log_counter *counter)
{
    count(counter, line_unparsed);
}
