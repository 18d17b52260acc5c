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

static enum label_line count_panic(const struct tally *tally)
{
    tally_add(tally, SERIES_1(log_problems_total, severity_panic), 1);
    return line_used;
}

enum label_line log_exim_count(struct log_exim *state, const struct counting *counting, const struct log_line *line)
{
    struct exim_reading reading = {state, counting, line, {line->message.at, 0}};
    struct span text = line->message;
    if (!is_exim(line->program))
        return line_ignored;
    if (state->file == log_exim_panic)
        return count_panic(counting->tally);
    exim_take_id(&text, SPAN(" "), &reading.id);
    enum label_line result = line_ignored;
    if (reading.id.length > 0 && state->file == log_exim_main)
        result = exim_delivery(&reading, text);
    return result != line_ignored ? result : exim_reject(&reading, text);
}
