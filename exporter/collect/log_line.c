/* A line of a mail log, taken apart: the forms in which syslogs and Exim write time, host and program. */
#include "exporter/collect/log_line.h"

#include <time.h>

enum { HOUR = 3600, DAY = 24 * HOUR, ZONE_MOST = 15 * HOUR };
static const int64_t SECOND_US = 1000000;

ptrdiff_t span_find(struct span span, struct span text)
{
    if (span.at == NULL || text.at == NULL)
        return -1;
    const char *at = memmem(span.at, span.length, text.at, text.length);
    return at != NULL ? at - span.at : -1;
}

struct span span_before(struct span *span, char mark)
{
    const char *at = span->length > 0 ? memchr(span->at, mark, span->length) : NULL;
    struct span before = {span->at, at != NULL ? (size_t)(at - span->at) : span->length};
    *span = span_behind(*span, before.length + (at != NULL));
    return before;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct span *span)
{
    while (span->length > 0 && *span->at == ' ')
        *span = span_behind(*span, 1);
}

/* Two digits, the first of which may be a blank; -1: they are none. */
static int two_digits(const char *at)
{
    if (!is_digit(at[1]) || (!is_digit(at[0]) && at[0] != ' '))
        return -1;
    return (at[0] == ' ' ? 0 : at[0] - '0') * 10 + at[1] - '0';
}

static int64_t take_number(struct span *span)
{
    int64_t number = 0;
    while (span->length > 0 && is_digit(*span->at)) {
        if (number < INT32_MAX)
            number = number * 10 + *span->at - '0';
        *span = span_behind(*span, 1);
    }
    return number;
}

/* ".123456", of which six digits count. */
static int64_t take_fraction_us(struct span *span)
{
    int64_t us = 0, unit = SECOND_US / 10;
    if (span->length < 2 || (*span->at != '.' && *span->at != ',') || !is_digit(span->at[1]))
        return 0;
    for (*span = span_behind(*span, 1); span->length > 0 && is_digit(*span->at); *span = span_behind(*span, 1)) {
        us += (*span->at - '0') * unit;
        unit /= 10;
    }
    return us;
}

/* ":MM:SS" behind an hour, with a fraction; -1: it is not there. */
static int64_t take_minutes_us(struct span *span)
{
    if (span->length < 6 || span->at[0] != ':' || span->at[3] != ':')
        return -1;
    int minutes = two_digits(span->at + 1), seconds = two_digits(span->at + 4);
    if (minutes < 0 || seconds < 0)
        return -1;
    *span = span_behind(*span, 6);
    return (minutes * 60 + seconds) * SECOND_US + take_fraction_us(span);
}

/* "Z", "+01:00", "-0800": seconds east of Greenwich. Without one: *found is false. */
static int64_t take_zone(struct span *span, bool *found)
{
    *found = span_take(span, SPAN("Z"));
    if (*found || span->length < 5 || (*span->at != '+' && *span->at != '-'))
        return 0;
    unsigned colon = span->at[3] == ':';
    int hours = two_digits(span->at + 1);
    int minutes = span->length >= 5 + colon ? two_digits(span->at + 3 + colon) : -1;
    if (hours < 0 || minutes < 0)
        return 0;
    int64_t east = (hours * 60 + minutes) * (*span->at == '-' ? -60 : 60);
    *found = true;
    *span = span_behind(*span, 5 + colon);
    return east < -ZONE_MOST || east > ZONE_MOST ? 0 : east;
}

/* Is this text the hour of the line before? Else it is from now on, and its time is to be found. */
static bool is_same_hour(struct log_clock *clock, const char *text, size_t length)
{
    if (memcmp(clock->hour, text, length) == 0 && clock->hour[length] == '\0')
        return true;
    memset(clock->hour, 0, sizeof clock->hour);
    memcpy(clock->hour, text, length);
    return false;
}

static int month_of(const char *text)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (memcmp(names + 3 * i, text, 3) == 0)
            return i;
    }
    return -1;
}

/* "Nov  3 04": of the last year that makes it no later than now, but for a day that clocks may differ. */
static bool read_hour_without_year(struct log_clock *clock, const char *text)
{
    time_t now = (time_t)(clock->now_us / SECOND_US), seconds;
    struct tm today;
    int month = month_of(text), day = two_digits(text + 4), hour = two_digits(text + 7);
    if (month < 0 || day < 1 || hour < 0 || localtime_r(&now, &today) == NULL)
        return false;
    int year = today.tm_year + 1;
    do {
        struct tm guess = {.tm_year = year--, .tm_mon = month, .tm_mday = day, .tm_hour = hour, .tm_isdst = -1};
        seconds = mktime(&guess);
    } while (seconds > now + DAY);
    clock->hour_us = seconds * SECOND_US;
    return true;
}

/* "2026-11-20T04", of Greenwich, or of this host. */
static bool read_hour(struct log_clock *clock, const char *text, bool local)
{
    struct tm date = {.tm_isdst = -1};
    int century = two_digits(text), year = two_digits(text + 2), month = two_digits(text + 5),
        day = two_digits(text + 8);
    int hour = two_digits(text + 11);
    if (century < 19 || year < 0 || text[4] != '-' || month < 1 || text[7] != '-' || day < 1 || hour < 0)
        return false;
    date.tm_year = century * 100 + year - 1900;
    date.tm_mon = month - 1;
    date.tm_mday = day;
    date.tm_hour = hour;
    clock->hour_us = (local ? mktime(&date) : timegm(&date)) * SECOND_US;
    return true;
}

/* Takes an hour of `length` bytes and what follows; false: it is none, and will not be taken for the hour of the line before. */
static bool take_time(struct log_clock *clock, struct span *text, size_t length,
                      bool (*read)(struct log_clock *, const char *), int64_t *time_us)
{
    if (!is_same_hour(clock, text->at, length) && !read(clock, text->at)) {
        clock->hour[0] = '\0';
        return false;
    }
    *text = span_behind(*text, length);
    int64_t minutes_us = take_minutes_us(text);
    *time_us = clock->hour_us + minutes_us;
    return minutes_us >= 0;
}

static bool read_hour_utc(struct log_clock *clock, const char *text)
{
    return read_hour(clock, text, false);
}

static bool read_hour_local(struct log_clock *clock, const char *text)
{
    return read_hour(clock, text, true);
}

/* "program[pid]: message", or "program: message"; else it is all message. */
static void read_tag(struct span text, struct log_line *line)
{
    struct span rest = text;
    while (rest.length > 0 && *rest.at != '[' && *rest.at != ':' && *rest.at != ' ')
        rest = span_behind(rest, 1);
    struct span program = {text.at, text.length - rest.length};
    struct span behind = rest;
    if (span_take(&behind, SPAN("["))) {
        line->pid = take_number(&behind);
        span_before(&behind, ']');
    }
    if (behind.length == 0 || *behind.at != ':') {
        line->message = text;
        line->pid = 0;
        return;
    }
    line->program = program;
    line->message = span_behind(behind, 1);
    skip_blanks(&line->message);
    if (span_begins(line->message, SPAN("[ID ")) && span_find(line->message, SPAN("] ")) > 0) { /* syslogd of Solaris */
        line->message = span_behind(line->message, (size_t)span_find(line->message, SPAN("] ")) + 2);
    }
}

/* What follows the time: a host, which may be missing, and the tag. */
static void read_host_and_tag(struct span text, struct log_line *line)
{
    skip_blanks(&text);
    if (span_begins(text, SPAN("<"))) /* facility and level, of the BSDs */
        span_before(&text, ' ');
    struct span rest = text;
    struct span host = span_before(&rest, ' ');
    read_tag(span_ends(host, SPAN(":")) ? text : rest, line);
}

/* RFC 5424: host program pid message-id [structured data] message. */
static void read_fields(struct span text, struct log_line *line)
{
    skip_blanks(&text);
    span_before(&text, ' ');
    line->program = span_before(&text, ' ');
    struct span pid = span_before(&text, ' ');
    line->pid = take_number(&pid);
    span_before(&text, ' ');
    if (span_begins(text, SPAN("[")) && span_find(text, SPAN("] ")) > 0)
        text = span_behind(text, (size_t)span_find(text, SPAN("] ")) + 1);
    else
        span_before(&text, ' ');
    skip_blanks(&text);
    span_take(&text, SPAN("\xef\xbb\xbf"));
    line->message = text;
}

/* What follows the time in Exim's own log: a zone, the process, and the message. */
static bool read_exim(struct span text, struct log_line *line)
{
    bool has_zone;
    if (!span_take(&text, SPAN(" ")))
        return false;
    int64_t east = take_zone(&text, &has_zone);
    if (has_zone) { /* the time was taken for one of this host */
        time_t seconds = (time_t)(line->time_us / SECOND_US);
        struct tm here;
        if (localtime_r(&seconds, &here) != NULL)
            line->time_us += (here.tm_gmtoff - east) * SECOND_US;
        skip_blanks(&text);
    }
    if (text.length > 2 && *text.at == '[' && is_digit(text.at[1])) {
        struct span rest = span_behind(text, 1);
        int64_t pid = take_number(&rest);
        if (span_take(&rest, SPAN("] "))) {
            line->pid = pid;
            text = rest;
        }
    }
    line->message = text;
    return true;
}

bool log_line_read(struct log_clock *clock, const char *text, size_t length, struct log_line *line)
{
    enum { OLD_HOUR = sizeof "Nov  3 04" - 1, ISO_HOUR = sizeof "2026-11-20T04" - 1 };
    struct span rest = {text, length};
    bool is_5424 = false, has_zone;
    memset(line, 0, sizeof *line);
    line->program = line->message = (struct span){text, 0};
    if (span_begins(rest, SPAN("<"))) {
        span_before(&rest, '>');
        is_5424 = span_take(&rest, SPAN("1 "));
    }
    if (rest.length < ISO_HOUR + 1) /* no form is as short */
        return false;
    if (!is_digit(*rest.at)) {
        if (!take_time(clock, &rest, OLD_HOUR, read_hour_without_year, &line->time_us) || !span_begins(rest, SPAN(" ")))
            return false;
        read_host_and_tag(rest, line);
        return true;
    }
    if (rest.at[10] == ' ')
        return take_time(clock, &rest, ISO_HOUR, read_hour_local, &line->time_us) && read_exim(rest, line);
    if (rest.at[10] != 'T' || !take_time(clock, &rest, ISO_HOUR, read_hour_utc, &line->time_us))
        return false;
    line->time_us -= take_zone(&rest, &has_zone) * SECOND_US;
    if (!span_begins(rest, SPAN(" ")))
        return false;
    (is_5424 ? read_fields : read_host_and_tag)(rest, line);
    return true;
}
