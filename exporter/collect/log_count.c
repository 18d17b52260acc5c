/* Which parser a line belongs to. */
#include "exporter/collect/log_count.h"

#include <stdio.h>

static void count(const struct log_counter *counter, enum label_line line)
{
    tally_add(counter->counting.tally, SERIES_1(log_lines_total, line), 1);
}

/* How much of a text is kept. No address is cut: what is left of it, its @ gone, nobody would know for the name of a person. */
static size_t kept_of(struct span text, size_t room)
{
    if (text.length <= room)
        return text.length;
    size_t begin = room, end = room;
    while (begin > 0 && text.at[begin - 1] != ' ')
        begin--;
    while (end < text.length && text.at[end] != ' ')
        end++;
    return memchr(text.at + room, '@', end - room) != NULL ? begin : room;
}

/* What is printed is one line, whatever it holds. */
static void keep_unparsed(struct log_counter *counter, struct span program, struct span message)
{
    struct log_unparsed *unparsed = &counter->memory->unparsed;
    char *line = unparsed->lines[unparsed->count++ % LOG_UNPARSED_KEPT];
    int length = snprintf(line, LOG_UNPARSED_BYTES, "%.*s%s", (int)(program.length < 64 ? program.length : 64),
                          program.at, program.length > 0 ? ": " : "");
    const size_t kept = kept_of(message, (size_t)(LOG_UNPARSED_BYTES - 1 - length));
    length += snprintf(line + length, LOG_UNPARSED_BYTES - (size_t)length, "%.*s", (int)kept, message.at);
    for (int i = 0; i < length; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == '\x7f')
            line[i] = '?';
    }
}

/* Each parser looks at its own MTA's lines alone, so where the MTA is not known all may be asked. */
static enum label_line count_mta(struct log_counter *counter, const struct log_line *line)
{
    const enum mta_kind kind = counter->kind;
    enum label_line result = line_ignored;
    if (kind == mta_kind_postfix || kind == mta_kind_auto)
        result = log_postfix_count(&counter->memory->postfix, &counter->counting, line);
    if (result == line_ignored && (kind == mta_kind_sendmail || kind == mta_kind_auto))
        result = log_sendmail_count(&counter->memory->sendmail, &counter->counting, line);
    if (result == line_ignored && (kind == mta_kind_exim || kind == mta_kind_auto))
        result = log_exim_count(&counter->memory->exim, &counter->counting, line);
    return result;
}

void log_count_line(struct log_counter *counter, const struct log_line *line)
{
    counter->counting.time_us = line->time_us;
    if (line->time_us != 0)
        counter->last_us = line->time_us;
    enum label_line result = count_mta(counter, line);
    if (result == line_ignored) /* stands beside any MTA */
        result = log_mailscanner_count(&counter->memory->mailscanner, &counter->counting, line);
    if (result == line_unparsed)
        keep_unparsed(counter, line->program, line->message);
    count(counter, result);
}

/* Exim quotes headers, and goes on in a second line, without a time; in rejectlog and paniclog wherever that is known to be one. */
static bool may_quote_mail(const struct log_counter *counter)
{
    return counter->kind == mta_kind_exim ||
           (counter->kind == mta_kind_auto && counter->memory->exim.file != log_exim_main);
}

void log_count_text(struct log_counter *counter, const char *text, size_t length)
{
    struct log_line line;
    if (length > 0 && text[length - 1] == '\r')
        length--;
    if (log_line_read(&counter->clock, text, length, &line))
        log_count_line(counter, &line);
    else if (length == 0 || may_quote_mail(counter))
        count(counter, line_ignored);
    else {
        keep_unparsed(counter, SPAN(""), (struct span){text, length});
        count(counter, line_unparsed);
    }
}

void log_count_cut(struct log_counter *counter)
{
    count(counter, line_unparsed);
}
