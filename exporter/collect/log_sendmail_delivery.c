/* Deliveries in the log of sendmail, and what follows from them: messages that expire, and notices to the sender.
 *
 * A line is of all recipients that went one way. What the other server said (reply=, stat=) is at its end, behind all that is sendmail's
 * own: so its code, dsn=, decides, and nothing that a server writes. */
#include "conf/lib/fnv1a.h"
#include "exporter/collect/delivery.h"
#include "exporter/collect/log_quoted.h"
#include "exporter/collect/log_sendmail_parts.h"

/* What stands in a line behind the recipients; what is missing is empty. */
struct fields {
    struct span delay, mailer, priority, relay, code, reply, status;
};

/* Splits what another server may have written: "reply=…, stat=…" or "stat=…". */
static void read_end(struct span text, struct fields *fields)
{
    if (span_take(&text, SPAN("stat="))) {
        fields->status = text;
        return;
    }
    span_take(&text, SPAN("reply="));
    fields->reply = text;
    for (size_t i = text.length; i-- > 0;) {
        struct span rest = span_behind(text, i);
        if (span_take(&rest, SPAN(", stat="))) {
            fields->reply.length = i;
            fields->status = rest;
            return;
        }
    }
}

/* false: there is no stat=, with which each of these lines ends. */
static bool read_fields(struct span text, struct fields *fields)
{
    const struct {
        struct span name, *value;
    } known[] = {{SPAN("delay="), &fields->delay},
                 {SPAN("mailer="), &fields->mailer},
                 {SPAN("pri="), &fields->priority},
                 {SPAN("relay="), &fields->relay},
                 {SPAN("dsn="), &fields->code}};
    while (text.length > 0) {
        if (span_begins(text, SPAN("reply=")) || span_begins(text, SPAN("stat="))) {
            read_end(text, fields);
            break;
        }
        bool is_address = span_begins(text, SPAN("ctladdr="));
        struct span field = is_address ? quoted_before(&text, SPAN(", ")) : span_before(&text, ',');
        span_take(&text, SPAN(" "));
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (span_take(&field, known[i].name)) {
                *known[i].value = field;
                break;
            }
        }
    }
    return fields->status.length > 0;
}

/* The number that the text is, at most nine digits; -1: it is none. */
static int64_t read_number(struct span text)
{
    int64_t number = 0;
    if (text.length == 0 || text.length > 9)
        return -1;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return -1;
        number = number * 10 + (text.at[i] - '0');
    }
    return number;
}

/* "00:00:01", "1+02:03:04" (days) in microseconds; DELIVERY_UNKNOWN: something else. */
static int64_t read_delay_us(struct span text)
{
    int64_t days = 0;
    if (text.length > 0 && memchr(text.at, '+', text.length) != NULL)
        days = read_number(span_before(&text, '+'));
    int64_t hours = read_number(span_before(&text, ':')), minutes = read_number(span_before(&text, ':'));
    int64_t seconds = read_number(text);
    if (days < 0 || days > 36500 || hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 ||
        seconds > 60)
        return DELIVERY_UNKNOWN;
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000000;
}

/* "NAME [ADDRESS]", "[ADDRESS] [ADDRESS]", "[ADDRESS]", "NAME. [ADDRESS]"; a mailer that is a program of this host has a NAME alone,
 * or no relay at all. */
static struct hop read_hop(const struct fields *fields)
{
    struct hop hop = {.host = fields->relay};
    const char *open = fields->relay.length > 0 ? memrchr(fields->relay.at, '[', fields->relay.length) : NULL;
    if (open != NULL) {
        struct span rest = span_behind(fields->relay, (size_t)(open + 1 - fields->relay.at));
        hop.address = span_before(&rest, ']');
        hop.host = (struct span){fields->relay.at, (size_t)(open - fields->relay.at)};
        hop.host.length -= span_ends(hop.host, SPAN(" "));
        return hop;
    }
    bool by_smtp = span_find(fields->mailer, SPAN("smtp")) >= 0 || span_is(fields->mailer, SPAN("relay"));
    hop.local = fields->mailer.length > 0 && !by_smtp;
    return hop;
}

/* What a local program handed in, on its way to the server on this host. */
static bool is_submission(const struct fields *fields, const struct hop *hop)
{
    return span_is(fields->mailer, SPAN("relay")) &&
           (span_begins(hop->address, SPAN("127.")) || span_is(hop->address, SPAN("IPv6:::1")) ||
            span_is(hop->address, SPAN("IPv6:0:0:0:0:0:0:0:1")));
}

/* By sendmail's own code; versions before 8.10 have none. status_COUNT: nothing was tried. */
static enum label_status status_of(const struct fields *fields)
{
    switch (fields->code.length > 0 ? *fields->code.at : '\0') {
    case '2':
        return status_sent;
    case '4':
        return status_deferred;
    case '5':
        return status_bounced;
    default:
        break;
    }
    if (fields->mailer.length == 0 || span_begins(fields->status, SPAN("queued")) ||
        span_begins(fields->status, SPAN("quarantine")) || span_begins(fields->status, SPAN("discarded")))
        return status_COUNT;
    if (span_begins(fields->status, SPAN("Sent")))
        return status_sent;
    return span_begins(fields->status, SPAN("Deferred")) ? status_deferred : status_bounced;
}

static unsigned slot_of(struct span queue_id, uint32_t *hash)
{
    uint64_t all = fnv1a(FNV1A_BEGINS, queue_id.at, queue_id.length);
    *hash = (uint32_t)(all ^ all >> 32);
    return *hash % LOG_SENDMAIL_KEPT;
}

static void keep_deferred(struct log_sendmail *state, struct span queue_id, struct span priority,
                          enum label_destination destination)
{
    uint32_t hash;
    const unsigned slot = slot_of(queue_id, &hash);
    const uint32_t run = (uint32_t)read_number(priority);
    if (state->deferred[slot].queue_id != hash || state->deferred[slot].run != run)
        memset(&state->deferred[slot], 0, sizeof state->deferred[slot]);
    state->deferred[slot].queue_id = hash;
    state->deferred[slot].run = run;
    if (state->deferred[slot].recipients[destination] < UINT16_MAX)
        state->deferred[slot].recipients[destination]++;
}

/* All that were deferred when the message was tried last; one to somewhere outside where that is not known. */
static void count_expired(const struct sendmail_reading *reading, struct span queue_id)
{
    uint32_t hash;
    const unsigned slot = slot_of(queue_id, &hash);
    const bool known = reading->state->deferred[slot].queue_id == hash;
    for (unsigned to = 0; to < destination_COUNT; to++) {
        const uint32_t n = known ? reading->state->deferred[slot].recipients[to] : to == destination_external;
        tally_add(reading->counting->tally, SERIES_2(deliveries_total, to, status_expired), n);
    }
    if (known)
        memset(&reading->state->deferred[slot], 0, sizeof reading->state->deferred[slot]);
}

static struct span domain_of(struct span address)
{
    const char *at = address.length > 0 ? memrchr(address.at, '@', address.length) : NULL;
    struct span domain =
        at != NULL ? span_behind(address, (size_t)(at + 1 - address.at)) : (struct span){address.at, 0};
    domain.length -= span_ends(domain, SPAN(">"));
    return domain;
}

/* What the server said, whole as it is, tells more than sendmail's word for it; but sendmail's code where that has none. */
static struct delivery read_delivery(const struct settings *settings, const struct fields *fields,
                                     const struct hop *hop, enum label_status status)
{
    struct delivery delivery = delivery_begin(settings, hop, status);
    delivery.delay_us = read_delay_us(fields->delay);
    delivery.text = fields->reply.length > 0 ? fields->reply : fields->status;
    delivery.code = delivery_code(fields->reply) == delivery_code_other ? fields->code : fields->reply;
    return delivery;
}

enum label_line sendmail_delivery(const struct sendmail_reading *reading, struct span queue_id, struct span text)
{
    struct fields fields = {.delay.at = text.at};
    struct span list = quoted_before(&text, SPAN(", "));
    if (!read_fields(text, &fields) || read_delay_us(fields.delay) == DELIVERY_UNKNOWN)
        return line_unparsed;
    enum label_status status = status_of(&fields);
    struct hop hop = read_hop(&fields);
    if (status == status_COUNT || is_submission(&fields, &hop))
        return line_ignored;
    enum label_line result = line_ignored;
    while (list.length > 0) {
        struct span address = quoted_before(&list, SPAN(","));
        hop.domain = domain_of(address);
        const struct delivery delivery = read_delivery(reading->counting->settings, &fields, &hop, status);
        if (address.length == 0 || delivery.destination == destination_COUNT)
            continue;
        if (status == status_deferred)
            keep_deferred(reading->state, queue_id, fields.priority, delivery.destination);
        delivery_count(reading->counting, &delivery);
        result = line_used;
    }
    return result;
}

enum label_line sendmail_notice(const struct sendmail_reading *reading, struct span queue_id, struct span text)
{
    if (!span_take(&text, SPAN("DSN: ")) && !span_take(&text, SPAN("sender notify: ")) &&
        !span_take(&text, SPAN("return to sender: ")))
        return line_ignored; /* a copy to the postmaster; the part of a message that goes to the members of a list */
    if (span_begins(text, SPAN("Warning: ")) || span_begins(text, SPAN("Return receipt")))
        return line_ignored;
    if (span_begins(text, SPAN("Cannot send message for ")) || span_begins(text, SPAN("Cannot send message within ")))
        count_expired(reading, queue_id);
    tally_add(reading->counting->tally, SERIES_0(bounces_sent_total), 1);
    return line_used;
}

/* There is no line of the delivery itself; of several recipients one is told. Addresses are others' words. */
enum label_line sendmail_looped(const struct sendmail_reading *reading, struct span text)
{
    quoted_before(&text, SPAN(" via "));
    quoted_before(&text, SPAN(", to "));
    const struct span domain = domain_of(text);
    const struct hop hop = {.domain = domain, .local = domain.length == 0};
    struct delivery delivery = delivery_begin(reading->counting->settings, &hop, status_bounced);
    delivery.code = SPAN("5.4.6");
    delivery.text = SPAN("too many hops");
    delivery_count(reading->counting, &delivery);
    return line_used;
}
