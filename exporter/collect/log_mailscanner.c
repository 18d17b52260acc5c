/* The log of MailScanner. What is read of a batch of one process, in this order:
 *
 *     New Batch: Scanning 4 messages, 25160 bytes
 *     Spam Checks: Found 1 spam messages
 *     Infected message 6AKKJjas021488 came from 192.0.2.1       once for each message
 *     Uninfected: Delivered 3 messages                          also spam, where spam is delivered
 *
 * Clean is what is delivered uninfected and was not called spam: never more than the batch has left when spam and infected ones are taken off.
 * A message that is both makes it one too few. */
#include "exporter/collect/log_mailscanner.h"

/* ---- words ---- */

/* Takes a number of messages, of at most six digits; -1: there is none. */
static int64_t take_number(struct span *text)
{
    int64_t number = -1;
    for (int digits = 0; digits < 6 && text->length > 0 && *text->at >= '0' && *text->at <= '9'; digits++) {
        number = (number < 0 ? 0 : number * 10) + (*text->at - '0');
        *text = span_behind(*text, 1);
    }
    return number;
}

/* Complaints of MailScanner and of what it calls. */
static const struct complaint {
    struct span begin, then; /* how it begins, and what stands in it behind that */
    enum label_severity severity;
} complaints[] = {
    {SPAN_TEXT("Virus Scanning: No virus scanners worked"), SPAN_TEXT(""), severity_error},
    {SPAN_TEXT("Virus Scanning: Unable to virus scan message"), SPAN_TEXT(""), severity_error},
    {SPAN_TEXT("Virus Scanning: "), SPAN_TEXT("timed out"), severity_warning},
    {SPAN_TEXT("Virus Scanning: Batch scan failed"), SPAN_TEXT(""), severity_warning},
    {SPAN_TEXT("Virus Scanning: Failed to scan "), SPAN_TEXT(""), severity_warning},
    {SPAN_TEXT("Commercial scanner "), SPAN_TEXT("timed out"), severity_warning},
    {SPAN_TEXT("Commercial virus checker "), SPAN_TEXT("failed"), severity_error},
    {SPAN_TEXT("SpamAssassin timed out"), SPAN_TEXT(""), severity_warning},
    {SPAN_TEXT("Warning: "), SPAN_TEXT(""), severity_warning},
    {SPAN_TEXT("WARNING: "), SPAN_TEXT(""), severity_warning},
};

static enum label_line count_complaint(const struct tally *tally, struct span text)
{
    for (size_t i = 0; i < sizeof complaints / sizeof complaints[0]; i++) {
        struct span rest = text;
        if (span_take(&rest, complaints[i].begin) &&
            (complaints[i].then.length == 0 || span_find(rest, complaints[i].then) >= 0)) {
            tally_add(tally, SERIES_1(log_problems_total, complaints[i].severity), 1);
            return line_used;
        }
    }
    return line_ignored;
}

/* ---- a batch ---- */

/* Of a process; a batch of another that it falls together with is given up. */
static struct log_mailscanner_batch *batch_of(struct log_mailscanner *state, int64_t pid)
{
    struct log_mailscanner_batch *batch = &state->batches[(uint64_t)pid % LOG_MAILSCANNER_KEPT];
    if (batch->pid != pid)
        *batch = (struct log_mailscanner_batch){.pid = pid};
    return batch;
}

static enum label_line count(const struct tally *tally, enum label_scanned verdict, uint64_t n)
{
    tally_add(tally, SERIES_1(log_scanned_total, verdict), n);
    return line_used;
}

/* "Uninfected: Delivered 3 messages": the end of a batch, as far as we read it. */
static enum label_line count_clean(const struct tally *tally, struct log_mailscanner_batch *batch, uint32_t delivered)
{
    const uint32_t others = batch->spam + batch->infected;
    const uint32_t left = batch->messages > others ? batch->messages - others : 0;
    const uint32_t clean = batch->messages > 0 && left < delivered ? left : delivered;
    *batch = (struct log_mailscanner_batch){.pid = batch->pid};
    return count(tally, scanned_clean, clean);
}

static enum label_line count_batch(const struct tally *tally, struct log_mailscanner_batch *batch, struct span text)
{
    if (span_take(&text, SPAN("Infected message "))) {
        batch->infected++;
        return count(tally, scanned_infected, 1);
    }
    bool begins = span_take(&text, SPAN("New Batch: Scanning "));
    bool spam = !begins && span_take(&text, SPAN("Spam Checks: Found "));
    if (!begins && !spam && !span_take(&text, SPAN("Uninfected: Delivered ")))
        return count_complaint(tally, text);
    int64_t n = take_number(&text);
    if (n < 0 || !span_begins(text, spam ? SPAN(" spam messages") : SPAN(" messages")))
        return line_unparsed;
    if (begins) {
        *batch = (struct log_mailscanner_batch){.pid = batch->pid, .messages = (uint32_t)n};
        return line_ignored;
    }
    if (!spam)
        return count_clean(tally, batch, (uint32_t)n);
    batch->spam = (uint32_t)n;
    return count(tally, scanned_spam, (uint64_t)n);
}

enum label_line log_mailscanner_count(struct log_mailscanner *state, const struct counting *counting,
                                      const struct log_line *line)
{
    if (!span_begins(line->program, SPAN("MailScanner")))
        return line_ignored;
    return count_batch(counting->tally, batch_of(state, line->pid), line->message);
}
