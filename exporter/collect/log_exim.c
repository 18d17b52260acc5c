/* The logs of Exim. After the ID of the message, if the line is of one:
 *
 *     <= => -> >> ** == *> and an address      log_exim_delivery.c
 *     … rejected RCPT <ADDRESS>: …             and other events of clients: log_exim_reject.c
 *
 * All others say nothing to us. */
#include "exporter/collect/log_exim_parts.h"

/* Lengths of the parts of an ID before and after release 4.97. */
static const struct {
    size_t process, fraction;
} forms[] = {{6, 2}, {11, 4}};
enum { TIME_LENGTH = 6 };

static bool is_digit_62(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool are_digits_62(struct span text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (!is_digit_62(text.at[i]))
            return false;
    }
    return true;
}

bool exim_take_id(struct span *text, struct span behind, struct span *id)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct span rest = *text;
        if (rest.length < TIME_LENGTH + forms[i].process + forms[i].fraction + 2)
            continue;
        bool good = are_digits_62((struct span){rest.at, TIME_LENGTH});
        rest = span_behind(rest, TIME_LENGTH);
        good = span_take(&rest, SPAN("-")) && good && are_digits_62((struct span){rest.at, forms[i].process});
        rest = span_behind(rest, forms[i].process);
        good = good && span_take(&rest, SPAN("-")) && are_digits_62((struct span){rest.at, forms[i].fraction});
        if (!good)
            continue;
        rest = span_behind(rest, forms[i].fraction);
        *id = (struct span){text->at, (size_t)(rest.at - text->at)};
        if (span_take(&rest, behind)) {
            *text = rest;
            return true;
        }
    }
    return false;
}

enum log_exim_file log_exim_file_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (strstr(name, "reject") != NULL)
        return log_exim_reject;
    return strstr(name, "panic") != NULL ? log_exim_panic : log_exim_main;
}

/* Its own logs bear no name; in syslog it is called exim or exim4, or as its program is. */
static bool is_exim(struct span program)
{
    return program.length == 0 || span_begins(program, SPAN("exim"));
}

/* ---- syslog ---- */

static bool take_digits(struct span *text)
{
    const size_t length = text->length;
    while (text->length > 0 && *text->at >= '0' && *text->at <= '9')
        *text = span_behind(*text, 1);
    return text->length < length;
}

/* "[1/2] ", "[1\\13] ": of what is long or has several lines each part is a line of its own. What follows the first are headers, in which
 * the client says what it likes, and ends of lines that we have read enough of. Returns whether it is the first, or all. */
static bool is_first_part(struct span *text)
{
    struct span rest = *text, first = rest;
    if (!span_take(&rest, SPAN("[")) || !take_digits(&rest) ||
        (!span_take(&rest, SPAN("/")) && !span_take(&rest, SPAN("\\"))) || !take_digits(&rest) ||
        !span_take(&rest, SPAN("]")))
        return true;
    if (!span_take(&first, SPAN("[1/")) && !span_take(&first, SPAN("[1\\")))
        return false;
    span_take(&rest, SPAN(" "));
    *text = rest;
    return true;
}

/* Syslog gets the line as it stands in a file, with its time, unless syslog_timestamp is off. */
static void take_time(struct span *text)
{
    struct log_clock clock = {.now_us = 0};
    struct log_line own;
    struct span rest = *text;
    if (text->length > 10 && text->at[4] == '-' && text->at[10] == ' ' &&
        log_line_read(&clock, text->at, text->length, &own))
        *text = own.message;
    else if (span_take(&rest, SPAN("[")) && take_digits(&rest) && span_take(&rest, SPAN("] ")))
        *text = rest;
}

/* A line is in syslog again for each other log that it is in. */
static bool is_failure_told(const struct exim_reading *reading, struct span text)
{
    return reading->line->program.length > 0 && (span_begins(text, SPAN("== ")) || span_begins(text, SPAN("** "))) &&
           exim_was_told(reading);
}

/* ---- a line ---- */

static enum label_line count_panic(const struct tally *tally)
{
    tally_add(tally, SERIES_1(log_problems_total, severity_panic), 1);
    return line_used;
}

enum label_line log_exim_count(struct log_exim *state, const struct counting *counting, const struct log_line *line)
{
    struct log_line own = *line;
    if (!is_exim(line->program))
        return line_ignored;
    if (line->program.length > 0) {
        if (!is_first_part(&own.message))
            return line_ignored;
        take_time(&own.message);
    }
    struct exim_reading reading = {state, counting, &own, {own.message.at, 0}};
    struct span text = own.message;
    if (state->file == log_exim_panic)
        return count_panic(counting->tally);
    exim_take_id(&text, SPAN(" "), &reading.id);
    enum label_line result = line_ignored;
    if (reading.id.length > 0 && state->file == log_exim_main) {
        if (is_failure_told(&reading, text))
            return line_ignored;
        result = exim_delivery(&reading, text);
    }
    return result != line_ignored ? result : exim_reject(&reading, text);
}
