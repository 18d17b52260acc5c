/* What the log of Exim says of clients:
 *
 *     H=(HELO) [ADDRESS] F=<SENDER> rejected RCPT <ADDRESS>: …       "temporarily rejected", and other things than RCPT
 *     NAME authenticator failed for H=…: 535 …
 *     unexpected disconnection while reading SMTP command from …     SMTP command timeout on …
 *     Connection from … refused: too many connections                SMTP call from … dropped: too many …
 *     Warning: …                                                     TLS error on connection from …
 *
 * Names, addresses and HELO are the client's own words: no mark is looked for in brackets, quotes and parentheses. */
#include "conf/lib/fnv1a.h"
#include "exporter/collect/log_exim_parts.h"
#include "exporter/collect/log_quoted.h"
#include "exporter/collect/log_reject.h"

/* ---- refusals stand in two places ---- */

enum {
    SAME_US = 2 * 1000000, /* two of the same text that are so near are the same, if one is of the other log */
    NEIGHBOURS = 8
};

/* Where a line is kept, or from now on; the oldest of its neighbours gives way. */
static struct log_exim_refused *place_of(struct log_exim *state, uint32_t hash, int64_t time_us)
{
    struct log_exim_refused *set = &state->refused[hash % LOG_EXIM_REFUSED / NEIGHBOURS * NEIGHBOURS], *oldest = set;
    for (int i = 0; i < NEIGHBOURS; i++) {
        if (set[i].text == hash && set[i].time_us <= time_us + SAME_US && set[i].time_us >= time_us - SAME_US)
            return &set[i];
        if (set[i].time_us < oldest->time_us)
            oldest = &set[i];
    }
    *oldest = (struct log_exim_refused){.text = hash, .time_us = time_us};
    return oldest;
}

/* In syslog all logs are in one. */
bool exim_was_told(const struct exim_reading *reading)
{
    const struct log_line *line = reading->line;
    uint64_t all = fnv1a(FNV1A_BEGINS, line->message.at, line->message.length);
    all = fnv1a(all, (const char *)&line->pid, sizeof line->pid);
    if (line->program.length == 0) /* Exim writes the very same line into both; syslog has a time of its own for each */
        all = fnv1a(all, (const char *)&line->time_us, sizeof line->time_us);
    struct log_exim_refused *place = place_of(reading->state, (uint32_t)(all ^ all >> 32), line->time_us);
    if (line->program.length > 0) {
        place->balance = !place->balance;
        return place->balance == 0;
    }
    const bool by_rejectlog = reading->state->file == log_exim_reject;
    const bool told = by_rejectlog ? place->balance > 0 : place->balance < 0;
    place->balance += by_rejectlog ? -1 : 1;
    return told;
}

/* What the daemon itself refuses is in mainlog alone, and all by one process: such lines may well be the same. */
static bool is_by_daemon(const struct exim_reading *reading)
{
    return span_begins(reading->line->message, SPAN("Connection from "));
}

static enum label_line add(const struct exim_reading *reading, unsigned total)
{
    if (!is_by_daemon(reading) && exim_was_told(reading))
        return line_ignored;
    tally_add(reading->counting->tally, total, 1);
    return line_used;
}

/* ---- refusals ---- */

/* What was refused, as the line has it behind "rejected "; what is not named here is of the message. And the class of one that gives no
 * reason. */
static const struct stage {
    struct span what;
    enum label_where where;
    enum label_class otherwise;
} stages[] = {
    {SPAN_TEXT("RCPT "), where_rcpt, class_other}, {SPAN_TEXT("MAIL "), where_mail, class_other},
    {SPAN_TEXT("EHLO"), where_helo, class_helo},   {SPAN_TEXT("HELO"), where_helo, class_helo},
    {SPAN_TEXT("\"EHLO"), where_helo, class_helo}, {SPAN_TEXT("\"HELO"), where_helo, class_helo},
    {SPAN_TEXT("DATA"), where_data, class_other},  {SPAN_TEXT("connection "), where_connect, class_other},
    {SPAN_TEXT("AUTH "), where_helo, class_other}, {SPAN_TEXT("STARTTLS"), where_helo, class_other},
    {SPAN_TEXT("VRFY "), where_helo, class_other}, {SPAN_TEXT("EXPN "), where_helo, class_other},
    {SPAN_TEXT("ETRN "), where_helo, class_other}, {SPAN_TEXT("XCLIENT"), where_helo, class_other},
    {SPAN_TEXT(""), where_message, class_other},
};

static enum label_line add_reject(const struct exim_reading *reading, enum label_where where, struct span reply,
                                  enum label_class otherwise)
{
    if (exim_was_told(reading))
        return line_ignored;
    log_reject_count(reading->counting->settings, reading->counting->tally, where, reply, otherwise);
    return line_used;
}

/* Takes what stands before "rejected ", and that; false: it does not occur. */
static bool take_rejected(struct span *text)
{
    if (span_take(text, SPAN("rejected ")) || span_take(text, SPAN("temporarily rejected ")))
        return true;
    quoted_before(text, SPAN(" rejected "));
    return text->length > 0;
}

static enum label_line count_rejected(const struct exim_reading *reading, struct span text)
{
    if (!take_rejected(&text))
        return line_ignored;
    const struct stage *stage = stages;
    while (!span_begins(text, stage->what))
        stage++;
    quoted_before(&text, SPAN(": "));
    return add_reject(reading, stage->where, text, stage->otherwise);
}

/* "unqualified sender rejected: <…>", "SMTP protocol synchronization error (…): rejected …", "refused connection from …" */
static enum label_line count_malformed(const struct exim_reading *reading, struct span text)
{
    if (span_begins(text, SPAN("unqualified sender rejected: ")))
        return add_reject(reading, where_mail, SPAN(""), class_sender);
    if (span_begins(text, SPAN("unqualified recipient rejected: ")))
        return add_reject(reading, where_rcpt, SPAN(""), class_unroutable);
    if (span_begins(text, SPAN("SMTP protocol synchronization error "))) {
        const bool greeting = span_find(text, SPAN("(input sent without waiting for greeting)")) > 0;
        return add_reject(reading, greeting ? where_connect : where_helo, SPAN(""), class_client);
    }
    if (span_begins(text, SPAN("refused connection from ")))
        return add_reject(reading, where_connect, SPAN(""), class_client);
    return line_ignored;
}

/* ---- events ---- */

static const struct event {
    struct span begin, then; /* how it begins, and what stands in it behind that */
    unsigned total;
} events[] = {
    {SPAN_TEXT("unexpected disconnection while reading SMTP command"), SPAN_TEXT(""),
     SERIES_0(log_connections_lost_total)},
    {SPAN_TEXT("SMTP command timeout on "), SPAN_TEXT(""), SERIES_0(log_connections_lost_total)},
    {SPAN_TEXT("SMTP data timeout "), SPAN_TEXT(""), SERIES_0(log_connections_lost_total)},
    {SPAN_TEXT("SMTP connection lost after final dot"), SPAN_TEXT(""), SERIES_0(log_connections_lost_total)},
    {SPAN_TEXT("SMTP connection "), SPAN_TEXT(" lost while reading message data"),
     SERIES_0(log_connections_lost_total)},
    {SPAN_TEXT("Connection from "), SPAN_TEXT(" refused: too many connections"), SERIES_0(log_limits_total)},
    {SPAN_TEXT("Connection from "), SPAN_TEXT(" refused: load average"), SERIES_0(log_limits_total)},
    {SPAN_TEXT("temporarily refused connection from "), SPAN_TEXT(""), SERIES_0(log_limits_total)},
    {SPAN_TEXT("SMTP call from "), SPAN_TEXT(" dropped: too many "), SERIES_0(log_limits_total)},
    {SPAN_TEXT("too many recipients: "), SPAN_TEXT(""), SERIES_0(log_limits_total)},
    {SPAN_TEXT("no immediate delivery: "), SPAN_TEXT("too many connections"), SERIES_0(log_limits_total)},
    {SPAN_TEXT("no immediate delivery: "), SPAN_TEXT("load average"), SERIES_0(log_limits_total)},
    {SPAN_TEXT("TLS error on "), SPAN_TEXT(""), SERIES_1(log_problems_total, severity_warning)},
    {SPAN_TEXT("Warning: "), SPAN_TEXT(""), SERIES_1(log_problems_total, severity_warning)},
};

enum label_line exim_reject(const struct exim_reading *reading, struct span text)
{
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        struct span rest = text;
        if (span_take(&rest, events[i].begin) && (events[i].then.length == 0 || span_find(rest, events[i].then) >= 0))
            return add(reading, events[i].total);
    }
    if (quoted_find(text, SPAN(" authenticator failed for ")) < text.length)
        return add(reading, SERIES_0(log_auth_failures_total));
    enum label_line result = count_malformed(reading, text);
    return result != line_ignored ? result : count_rejected(reading, text);
}
