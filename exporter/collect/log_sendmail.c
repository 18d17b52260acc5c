/* The log of sendmail. After the queue ID, if there is one:
 *
 *     to=LIST, ctladdr=…, delay=…, xdelay=…, mailer=…, pri=…, relay=…, dsn=…, reply=…, stat=…    log_sendmail_delivery.c
 *     ID: DSN: …, ID: sender notify: …, ID: return to sender: …                               notices made here; likewise
 *     ruleset=…, arg1=…, relay=…, reject=…; Milter: …, reject=…; <ADDRESS>... …               log_sendmail_reject.c
 *     and events, by how they begin: the table below.
 *
 * All others say nothing to us. */
#include "exporter/collect/log_sendmail_parts.h"

static enum label_line add(const struct sendmail_reading *reading, unsigned total)
{
    tally_add(reading->counting->tally, total, 1);
    return line_used;
}

#define PROBLEM(severity) SERIES_1(log_problems_total, severity_##severity)

/* How events begin. A warning that the MTA gives of itself is one; what it reports as an error is not fatal: it goes on. */
static const struct event {
    struct span begin;
    unsigned total;
} events[] = {
    {SPAN_TEXT("lost input channel from "), SERIES_0(log_connections_lost_total)},
    {SPAN_TEXT("collect: premature EOM"), SERIES_0(log_connections_lost_total)},
    {SPAN_TEXT("AUTH failure ("), SERIES_0(log_auth_failures_total)},
    {SPAN_TEXT("SMTP AUTH command ("), SERIES_0(log_auth_failures_total)}, /* tempfailed */
    {SPAN_TEXT("rejecting connections on daemon "), SERIES_0(log_limits_total)},
    {SPAN_TEXT("deferring connections on daemon "), SERIES_0(log_limits_total)},
    {SPAN_TEXT("delaying connections on daemon "), SERIES_0(log_limits_total)},
    {SPAN_TEXT("delaying="), SERIES_0(log_limits_total)},
    {SPAN_TEXT("rejecting new messages: "), SERIES_0(log_limits_total)},
    {SPAN_TEXT("low on space ("), SERIES_0(log_limits_total)},
    {SPAN_TEXT("Aborting queue run: load average"), SERIES_0(log_limits_total)},
    {SPAN_TEXT("Skipping queue run -- "), SERIES_0(log_limits_total)},
    {SPAN_TEXT("runqueue: Skipping queue run -- "), SERIES_0(log_limits_total)},
    {SPAN_TEXT("runqueue: Aborting queue run: "), SERIES_0(log_limits_total)},
    {SPAN_TEXT("Authentication-Warning: "), PROBLEM(warning)},
    {SPAN_TEXT("WARNING: "), PROBLEM(warning)},
    {SPAN_TEXT("Warning: "), PROBLEM(warning)},
    {SPAN_TEXT("STARTTLS: write error"), PROBLEM(warning)},
    {SPAN_TEXT("STARTTLS: read error"), PROBLEM(warning)},
    {SPAN_TEXT("AUTH warning: "), PROBLEM(warning)},
    {SPAN_TEXT("ERROR: "), PROBLEM(error)},
    {SPAN_TEXT("AUTH error: "), PROBLEM(error)},
    {SPAN_TEXT("daemon process $j lost dot"), PROBLEM(error)},
    {SPAN_TEXT("Losing "), PROBLEM(panic)}, /* "Losing ./qf…: savemail panic": the mail is put aside */
};

/* "SYSERR(USER): …": an error; behind it stands what the system says. A client that fell silent in the middle of a message is told as one,
 * too; the loss of a mail was told before; and a mail that goes round in circles is a delivery. */
static enum label_line count_syserr(const struct sendmail_reading *reading, struct span text)
{
    if (span_find(text, SPAN("cannot save rejected email anywhere")) >= 0)
        return line_ignored;
    if (span_find(text, SPAN("): collect: ")) > 0 &&
        (span_find(text, SPAN("read timeout")) > 0 || span_find(text, SPAN("I/O error on connection from")) > 0))
        return add(reading, SERIES_0(log_connections_lost_total));
    span_before(&text, ')');
    if (span_take(&text, SPAN(": Too many hops ")))
        return sendmail_looped(reading, text);
    return add(reading, PROBLEM(error));
}

/* Those of which the client's name is the beginning. */
static enum label_line count_named(const struct sendmail_reading *reading, struct span text)
{
    if (span_find(text, SPAN(": possible SMTP attack: ")) > 0)
        return add(reading, SERIES_0(log_limits_total)); /* commands are answered late from now on */
    ptrdiff_t at = span_find(text, SPAN(": delaying "));
    if (at > 0 && span_find(span_behind(text, (size_t)at), SPAN(": load average: ")) > 0)
        return add(reading, SERIES_0(log_limits_total));
    return line_ignored;
}

/* As a client: the delivery tells it; in the middle of a message: an error is to follow. */
static enum label_line count_timeout(const struct sendmail_reading *reading, struct span text)
{
    if (span_find(text, SPAN(" during client ")) > 0 || span_find(text, SPAN(" during message collect")) > 0)
        return line_ignored;
    return add(reading, SERIES_0(log_connections_lost_total));
}

static enum label_line count_event(const struct sendmail_reading *reading, struct span text)
{
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (span_begins(text, events[i].begin))
            return add(reading, events[i].total);
    }
    if (span_begins(text, SPAN("SYSERR(")))
        return count_syserr(reading, text);
    if (span_begins(text, SPAN("timeout waiting for input from ")))
        return count_timeout(reading, text);
    if (span_begins(text, SPAN("STARTTLS=")) && span_find(text, SPAN(", error: ")) > 0)
        return add(reading, PROBLEM(warning));
    return count_named(reading, text);
}

bool sendmail_take_queue_id(struct span *text, struct span *queue_id)
{
    size_t length = 0;
    bool digit = false;
    for (; length < text->length && length < 32; length++) {
        char c = text->at[length];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            break;
        digit = digit || c <= '9';
    }
    struct span id = {text->at, length}, rest = span_behind(*text, length);
    if (length < 5 || !(digit || span_is(id, SPAN("NOQUEUE"))) || !span_take(&rest, SPAN(": ")))
        return false;
    *queue_id = id;
    *text = rest;
    return true;
}

static enum label_line count_message(const struct sendmail_reading *reading, struct span text)
{
    struct span queue_id = {text.at, 0}, notice;
    sendmail_take_queue_id(&text, &queue_id);
    if (text.length == 0)
        return line_ignored;
    if (span_take(&text, SPAN("to=")))
        return sendmail_delivery(reading, queue_id, text);
    if (sendmail_take_queue_id(&text, &notice))
        return sendmail_notice(reading, queue_id, text);
    enum label_line result = sendmail_reject(reading, text);
    return result != line_ignored ? result : count_event(reading, text);
}

/* Its names: sendmail, and sm-mta, sm-msp-queue, sm-que and the like where each part has its own. */
static bool is_sendmail(struct span program)
{
    return span_begins(program, SPAN("sendmail")) || span_begins(program, SPAN("sm-"));
}

enum label_line log_sendmail_count(struct log_sendmail *state, const struct counting *counting,
                                   const struct log_line *line)
{
    const struct sendmail_reading reading = {state, counting};
    return is_sendmail(line->program) ? count_message(&reading, line->message) : line_ignored;
}
