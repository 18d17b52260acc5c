/* A line of a mail log, taken apart: when, which program, what it says. Knows no MTA.
 *
 * Spans point into the line that was read: nothing is copied, nothing ends in a NUL. */
#ifndef EXPORTER_COLLECT_LOG_LINE_H
#define EXPORTER_COLLECT_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *at;
    size_t length;
};

struct log_line {
    int64_t time_us;     /* since the Unix epoch; 0: it bears no time */
    struct span program; /* "postfix/smtp", "sm-mta"; empty: Exim's own log, which names none */
    int64_t pid;         /* 0: not told */
    struct span message; /* without blanks before it */
};

/* What is kept from line to line: times without a zone are local, and most lines are of the same hour as the one before. */
struct log_clock {
    int64_t now_us; /* what the year of a time without one is guessed against: not after this, but for a day */
    char hour[16];  /* of the last line, as it stood there */
    int64_t hour_us;
};

/* Takes one line apart, without its line feed. The forms:
 *     Nov  3 04:05:06 host program[pid]: message                syslog's old one, also with <priority>, also without a host
 *     2026-11-20T04:05:06.123456+01:00 host program[pid]: message   RFC 3339, as rsyslog and journalctl -o short-iso have it
 *     <22>1 2026-11-20T04:05:06Z host program pid msgid - message   RFC 5424
 *     2026-11-20 04:05:06.123 +0100 [pid] message               Exim's own; fraction, zone and pid may be missing
 * false: none of these. A line of syslog itself ("last message repeated 2 times") has an empty program. */
bool log_line_read(struct log_clock *clock, const char *text, size_t length, struct log_line *line);

/* ---- spans ---- */

/* SPAN_TEXT: in tables. */
#define SPAN_TEXT(literal)                                                                                             \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }
#define SPAN(literal) ((struct span)SPAN_TEXT(literal))

static inline bool span_is(struct span span, struct span other)
{
    return span.length == other.length && memcmp(span.at, other.at, other.length) == 0;
}

static inline bool span_begins(struct span span, struct span with)
{
    return span.length >= with.length && memcmp(span.at, with.at, with.length) == 0;
}

static inline bool span_ends(struct span span, struct span with)
{
    return span.length >= with.length && memcmp(span.at + span.length - with.length, with.at, with.length) == 0;
}

/* What is behind the first `bytes`; not more than there are. */
static inline struct span span_behind(struct span span, size_t bytes)
{
    return (struct span){span.at + bytes, span.length - bytes};
}

/* Does it begin with this? Then that is taken off. */
static inline bool span_take(struct span *span, struct span begin)
{
    if (!span_begins(*span, begin))
        return false;
    *span = span_behind(*span, begin.length);
    return true;
}

/* Where a text occurs first in a span, or -1. */
ptrdiff_t span_find(struct span span, struct span text);

/* What stands before the first `mark`, which is taken off with it; without one: all, and nothing is left. */
struct span span_before(struct span *span, char mark);

#endif
