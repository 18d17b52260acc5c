/* Arrivals and deliveries in the log of Exim:
 *
 *     => USER <ADDRESS> R=… T=… H=NAME [ADDRESS]:PORT … C="250 …" QT=… DT=…     also -> and >>
 *     == ADDRESS R=… T=… defer (-44) H=NAME [ADDRESS]: SMTP error from remote mail server after …: 450 …
 *     ** ADDRESS R=… T=… H=NAME [ADDRESS]: …, or ADDRESS: retry timeout exceeded
 *     <= <> R=ID …                                                                  a notice that is made of message ID
 *
 * Versions before 4.87 name the host behind the colon: "SMTP error from remote mail server after …: host NAME [ADDRESS]: 550 …". */
#include "conf/lib/fnv1a.h"
#include "exporter/collect/delivery.h"
#include "exporter/collect/log_exim_parts.h"
#include "exporter/collect/log_quoted.h"

/* ---- what is kept ---- */

static uint32_t hash_of(struct span text)
{
    uint64_t hash = fnv1a(FNV1A_BEGINS, text.at, text.length);
    return (uint32_t)(hash ^ hash >> 32);
}

/* Where a message is kept; `begin`: from now on. -1: it is not. */
static int message_of(struct log_exim *state, struct span id, bool begin)
{
    const uint32_t hash = hash_of(id);
    const int slot = (int)(hash % LOG_EXIM_KEPT);
    if (state->messages[slot].id == hash)
        return slot;
    if (!begin)
        return -1;
    state->messages[slot].id = hash;
    state->messages[slot].destination = destination_external;
    state->messages[slot].failed = false;
    return slot;
}

/* Does this transport deliver on this host, as far as was seen? */
static bool is_local_transport(const struct log_exim *state, struct span name)
{
    const uint32_t hash = hash_of(name);
    const unsigned slot = hash % LOG_EXIM_TRANSPORTS;
    return name.length > 0 && state->transports[slot].name == hash && state->transports[slot].local;
}

static void keep_transport(struct log_exim *state, struct span name, bool local)
{
    const uint32_t hash = hash_of(name);
    state->transports[hash % LOG_EXIM_TRANSPORTS].name = hash;
    state->transports[hash % LOG_EXIM_TRANSPORTS].local = local;
}

/* ---- times ---- */

/* When the message arrived, as its ID says, in seconds; the digits are 0-9A-Za-z. */
static int64_t id_seconds(struct span id)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < 6; i++) {
        const char c = id.at[i];
        seconds = seconds * 62 + (c <= '9' ? c - '0' : c <= 'Z' ? c - 'A' + 10 : c - 'a' + 36);
    }
    return seconds;
}

/* An arrival was just now: what is left are zones, which differ by quarters of an hour. */
static void learn_offset(const struct exim_reading *reading)
{
    const int64_t quarter = INT64_C(900) * 1000000;
    const int64_t apart = reading->line->time_us - id_seconds(reading->id) * 1000000;
    if (reading->line->time_us == 0 || apart > 100 * quarter || apart < -100 * quarter)
        return;
    reading->state->offset_us = (apart + (apart < 0 ? -quarter / 2 : quarter / 2)) / quarter * quarter;
    reading->state->offset_known = true;
}

/* "3s", "2h1m", "1w2d", "0.250s": QT=, time on the queue. DELIVERY_UNKNOWN: something else. */
static int64_t read_interval_us(struct span text)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    int64_t sum = 0, number = 0, fraction = 1;
    bool is_fraction = false;
    if (text.length == 0 || text.length > 24)
        return DELIVERY_UNKNOWN;
    for (size_t i = 0; i < text.length; i++) {
        const char c = text.at[i];
        size_t unit = 0;
        if (c >= '0' && c <= '9' && number < 1000000000) {
            number = number * 10 + (c - '0');
            fraction *= is_fraction ? 10 : 1;
            continue;
        }
        if (c == '.' && !is_fraction) {
            is_fraction = true;
            continue;
        }
        while (unit < sizeof units / sizeof units[0] && units[unit].unit != c)
            unit++;
        if (unit == sizeof units / sizeof units[0])
            return DELIVERY_UNKNOWN;
        sum += number * units[unit].seconds * 1000000 / fraction;
        number = 0;
    }
    return number == 0 ? sum : DELIVERY_UNKNOWN;
}

/* Since the arrival, by QT= where it is logged, else by the ID. */
static int64_t delay_us(const struct exim_reading *reading, struct span on_queue)
{
    int64_t us = read_interval_us(on_queue);
    if (us != DELIVERY_UNKNOWN || !reading->state->offset_known || reading->line->time_us == 0)
        return us;
    us = reading->line->time_us - reading->state->offset_us - id_seconds(reading->id) * 1000000;
    return us >= 0 ? us : DELIVERY_UNKNOWN;
}

/* ---- the parts of a line ---- */

struct parts {
    struct hop hop;
    struct span transport, on_queue;
    struct span reason; /* why; of a delivery what the server confirmed */
};

/* "NAME [ADDRESS]:PORT", the first of which was taken off. */
static void read_address(struct span *text, struct hop *hop)
{
    if (!span_take(text, SPAN("[")))
        return;
    hop->address = span_before(text, ']');
    struct span rest = *text;
    unsigned port = 0;
    if (!span_take(&rest, SPAN(":")))
        return;
    for (; rest.length > 0 && *rest.at >= '0' && *rest.at <= '9' && port <= UINT16_MAX; rest = span_behind(rest, 1))
        port = port * 10 + (unsigned)(*rest.at - '0');
    hop->port = port <= UINT16_MAX ? (uint16_t)port : 0;
    *text = rest;
}

/* "USER <ADDRESS>", "ADDRESS", "|COMMAND <ADDRESS>"; a user without a domain, a file and a command are of this host. What begins the
 * reason is taken off: ": ". Returns whether that was found. */
static bool take_recipient(struct span *text, struct parts *parts)
{
    struct span rest = *text;
    struct span first = quoted_before(&rest, SPAN(" "));
    struct span original = {text->at, 0};
    bool ends = span_ends(first, SPAN(":")) && first.length > 1 && *first.at != ':';
    first.length -= ends;
    if (!ends && first.length > 0 && strchr("|/", *first.at) != NULL) { /* a command has blanks */
        size_t at = (size_t)(rest.at - text->at);
        at += quoted_find(rest, SPAN(" R="));
        const char *open = memrchr(text->at, '<', at);
        rest = span_behind(*text, open != NULL ? (size_t)(open - text->at) : at);
    }
    if (!ends && span_begins(rest, SPAN("<"))) {
        original = quoted_before(&rest, SPAN(" "));
        ends = span_ends(original, SPAN(":"));
        original.length -= ends;
        original.length -= span_ends(original, SPAN(">"));
    }
    const char *at = first.length > 0 ? memrchr(first.at, '@', first.length) : NULL;
    parts->hop.local = at == NULL || strchr("|/:>", *first.at) != NULL;
    struct span address = parts->hop.local ? original : first;
    at = address.length > 0 ? memrchr(address.at, '@', address.length) : NULL;
    if (at != NULL)
        parts->hop.domain = span_behind(address, (size_t)(at + 1 - address.at));
    *text = rest;
    return ends;
}

/* One field, and what begins the reason behind it. Returns whether the reason was reached. */
static bool take_part(struct span *text, struct parts *parts)
{
    struct span field = quoted_before(text, SPAN(" "));
    bool ends = span_ends(field, SPAN(":"));
    field.length -= ends;
    if (span_take(&field, SPAN("T="))) {
        parts->transport = field;
    } else if (span_take(&field, SPAN("H="))) {
        parts->hop.host = field;
        read_address(text, &parts->hop);
        span_take(text, SPAN("*")); /* one connection for several messages */
        ends = span_take(text, SPAN(":"));
        span_take(text, SPAN(" "));
    } else if (span_take(&field, SPAN("QT="))) {
        parts->on_queue = field;
    } else if (span_take(&field, SPAN("C=\""))) {
        parts->reason = field;
    }
    return ends;
}

/* What the other server said, behind at which point it said so; and the host, where that is told here. */
static void read_reason(struct span text, struct parts *parts)
{
    span_take(&text, SPAN(": ")); /* what the system says is set between colons */
    span_take(&text, SPAN(" "));
    if (span_begins(text, SPAN("SMTP error from ")) || span_begins(text, SPAN("LMTP error after ")))
        quoted_before(&text, SPAN(": "));
    struct span rest = text;
    if (span_take(&rest, SPAN("host "))) {
        parts->hop.host = span_before(&rest, ' ');
        read_address(&rest, &parts->hop);
        if (span_take(&rest, SPAN(": ")))
            text = rest;
    }
    parts->reason = text;
}

static struct parts read_parts(struct span text)
{
    struct parts parts = {.hop.local = false};
    bool ends = take_recipient(&text, &parts);
    while (!ends && text.length > 0)
        ends = take_part(&text, &parts);
    if (ends)
        read_reason(text, &parts);
    return parts;
}

/* ---- deliveries ---- */

/* The host was not even asked, since it is not yet time for it. */
static bool is_not_tried(struct span reason)
{
    return span_begins(reason, SPAN("retry time not reached"));
}

/* No attempt any more, as there were enough. */
static bool is_given_up(struct span reason)
{
    return span_ends(reason, SPAN("retry timeout exceeded")) ||
           span_find(reason, SPAN("have been failing for a long time")) >= 0;
}

/* No router knows the address: of another's domain that is what a domain that does not exist comes to. */
static bool is_unknown_domain(const struct exim_reading *reading, const struct parts *parts,
                              enum label_destination destination)
{
    return destination == destination_external && reading->counting->settings->domains.count > 0 &&
           parts->hop.domain.length > 0 && parts->hop.host.length == 0 &&
           span_begins(parts->reason, SPAN("Unrouteable address"));
}

static enum label_line count_delivery(const struct exim_reading *reading, enum label_status status, struct span text)
{
    struct parts parts = read_parts(text);
    const bool remote = parts.hop.host.length > 0 || parts.hop.address.length > 0;
    const int slot = message_of(reading->state, reading->id, status != status_sent);
    if (status == status_deferred && is_not_tried(parts.reason))
        return line_ignored;
    if (status == status_sent && parts.transport.length > 0)
        keep_transport(reading->state, parts.transport, !remote);
    if (status == status_sent || is_local_transport(reading->state, parts.transport))
        parts.hop.local = !remote;
    if (status == status_bounced)
        reading->state->messages[slot].failed = true;
    struct delivery delivery = delivery_begin(reading->counting->settings, &parts.hop, status);
    if (status == status_bounced && is_given_up(parts.reason)) {
        delivery.status = status_expired;
        if (!remote)
            delivery.destination = (enum label_destination)reading->state->messages[slot].destination;
    }
    if (delivery.destination == destination_COUNT)
        return line_ignored;
    if (status == status_deferred)
        reading->state->messages[slot].destination = (uint8_t)delivery.destination;
    delivery.delay_us = delay_us(reading, parts.on_queue);
    delivery.text = is_unknown_domain(reading, &parts, delivery.destination) ? SPAN("host unknown") : parts.reason;
    delivery_count(reading->counting, &delivery);
    return line_used;
}

/* "<> R=ID …": made of a message of which a recipient failed. Warnings of a delay and answers of filters look the same. */
static enum label_line count_arrival(const struct exim_reading *reading, struct span text)
{
    struct span failed;
    learn_offset(reading);
    if (!span_take(&text, SPAN("<> R=")) || !exim_take_id(&text, SPAN(" "), &failed))
        return line_ignored;
    const int slot = message_of(reading->state, failed, false);
    if (slot < 0 || !reading->state->messages[slot].failed)
        return line_ignored;
    reading->state->messages[slot].failed = false;
    tally_add(reading->counting->tally, SERIES_0(bounces_sent_total), 1);
    return line_used;
}

enum label_line exim_delivery(const struct exim_reading *reading, struct span text)
{
    if (span_take(&text, SPAN("<= ")))
        return count_arrival(reading, text);
    if (span_take(&text, SPAN("== ")))
        return count_delivery(reading, status_deferred, text);
    if (span_take(&text, SPAN("** ")))
        return count_delivery(reading, status_bounced, text);
    if (!span_take(&text, SPAN("=> ")) && !span_take(&text, SPAN("-> ")) && !span_take(&text, SPAN(">> ")))
        return line_ignored;
    if (span_begins(text, SPAN("discarded (")) || span_begins(text, SPAN("blackhole (")))
        return line_ignored; /* a whole message, by a filter or an ACL, whose recipients are not told */
    return count_delivery(reading, status_sent, text);
}
