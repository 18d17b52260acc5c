/* The delivery log of Postfix. Not the service decides what a line is, since services are renamed and copied, but how its message begins:
 *
 *     QUEUE-ID: to=<…>, relay=…, delay=…, delays=…, dsn=…, status=… (…)     any delivery agent, and qmgr
 *     QUEUE-ID: from=<…>, status=expired, returned to sender               qmgr
 *     QUEUE-ID: sender non-delivery notification: QUEUE-ID                 bounce
 *     QUEUE-ID or NOQUEUE: reject: …, milter-reject: …                     smtpd, cleanup, postscreen
 *     lost connection after …, timeout after …, too many errors after …    smtpd
 *     warning: …, error: …, fatal: …, panic: …                             every one
 *
 * All others say nothing to us. */
#include "exporter/collect/log_postfix.h"

#include "conf/lib/fnv1a.h"
#include "exporter/collect/delivery.h"
#include "exporter/collect/log_postfix_reject.h"

/* What one line is read with. */
struct reading {
    struct log_postfix *state;
    const struct counting *counting;
    struct span service; /* the last part of the program's name */
};

static enum label_line add(const struct reading *reading, unsigned total)
{
    tally_add(reading->counting->tally, total, 1);
    return line_used;
}

/* ---- deliveries ---- */

/* Takes an address up to its ">": a quoted local part may hold anything. false: it does not end. */
static bool take_address(struct span *text, struct span *address)
{
    size_t i = 0;
    if (text->length > 0 && *text->at == '"') {
        for (i = 1; i < text->length && text->at[i] != '"'; i++)
            i += text->at[i] == '\\';
    }
    while (i < text->length && text->at[i] != '>')
        i++;
    if (i >= text->length)
        return false;
    *address = (struct span){text->at, i};
    *text = span_behind(*text, i + 1);
    return true;
}

static struct span domain_of(struct span address)
{
    const char *at = memrchr(address.at, '@', address.length);
    return at != NULL ? span_behind(address, (size_t)(at + 1 - address.at)) : (struct span){address.at, 0};
}

/* Microseconds of a decimal number of seconds, up to a century; DELIVERY_UNKNOWN: it is none. */
static int64_t read_seconds_us(struct span text)
{
    int64_t us = 0, unit = 1000000;
    bool fraction = false;
    if (text.length == 0 || text.length > 16)
        return DELIVERY_UNKNOWN;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (c == '.' && !fraction && i > 0) {
            fraction = true;
        } else if (c < '0' || c > '9') {
            return DELIVERY_UNKNOWN;
        } else if (fraction) {
            unit /= 10;
            us += (c - '0') * unit;
        } else if (us < INT64_C(1) << 51) {
            us = us * 10 + (c - '0') * INT64_C(1000000);
        }
    }
    return us;
}

/* "NAME[ADDRESS]:PORT", "NAME[PATH]", or a name. */
static void read_relay(struct span relay, struct hop *hop)
{
    struct span rest = relay;
    hop->host = span_before(&rest, '[');
    hop->address = span_before(&rest, ']');
    hop->port = 0;
    if (!span_take(&rest, SPAN(":")))
        return;
    unsigned port = 0;
    for (; rest.length > 0 && *rest.at >= '0' && *rest.at <= '9' && port <= UINT16_MAX; rest = span_behind(rest, 1))
        port = port * 10 + (unsigned)(*rest.at - '0');
    hop->port = port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* Agents that end the way of a mail, whether or not they name a relay. */
static bool is_local_agent(struct span service)
{
    return span_is(service, SPAN("local")) || span_is(service, SPAN("virtual")) || span_is(service, SPAN("pipe")) ||
           span_is(service, SPAN("discard"));
}

/* Without a relay the reason may tell whom it tried: "connect to NAME[ADDRESS]:PORT: Connection refused". Only where it begins so: behind
 * "host NAME[ADDRESS] refused to talk to me: " the words are another's. */
static void read_tried(struct span reason, struct hop *hop)
{
    span_take(&reason, SPAN("delivery temporarily suspended: "));
    if (span_take(&reason, SPAN("connect to ")))
        read_relay(span_before(&reason, ' '), hop);
}

static struct hop hop_of(const struct reading *reading, struct span address, struct span relay, struct span reason)
{
    struct hop hop = {.domain = domain_of(address), .local = is_local_agent(reading->service)};
    if (!span_is(relay, SPAN("none")))
        read_relay(relay, &hop);
    else if (!hop.local)
        read_tried(reason, &hop);
    return hop;
}

static uint32_t queue_hash(struct span queue_id)
{
    uint64_t hash = fnv1a(FNV1A_BEGINS, queue_id.at, queue_id.length);
    return (uint32_t)(hash ^ hash >> 32);
}

static void keep_deferred(struct log_postfix *state, struct span queue_id, enum label_destination destination)
{
    uint32_t hash = queue_hash(queue_id);
    state->deferred[hash % LOG_POSTFIX_KEPT].queue_id = hash;
    state->deferred[hash % LOG_POSTFIX_KEPT].destination = (uint8_t)destination;
}

/* One of which nothing is known was to go out. */
static enum label_destination deferred_before(const struct log_postfix *state, struct span queue_id)
{
    uint32_t hash = queue_hash(queue_id);
    return state->deferred[hash % LOG_POSTFIX_KEPT].queue_id == hash
               ? (enum label_destination)state->deferred[hash % LOG_POSTFIX_KEPT].destination
               : destination_external;
}

static void read_stages(struct span delays, struct delivery *delivery)
{
    for (int stage = 0; stage < stage_COUNT; stage++)
        delivery->stages_us[stage] = read_seconds_us(span_before(&delays, '/'));
}

/* "status=…": false: none that is known; *status is status_COUNT for a probe, which delivers nothing. */
static bool read_status(struct span word, enum label_status *status)
{
    static const struct {
        struct span word;
        enum label_status status;
    } words[] = {{SPAN_TEXT("sent"), status_sent},         {SPAN_TEXT("deferred"), status_deferred},
                 {SPAN_TEXT("bounced"), status_bounced},   {SPAN_TEXT("SOFTBOUNCE"), status_deferred},
                 {SPAN_TEXT("deliverable"), status_COUNT}, {SPAN_TEXT("undeliverable"), status_COUNT}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_is(word, words[i].word)) {
            *status = words[i].status;
            return true;
        }
    }
    return false;
}

/* Fields of a delivery, in any order: each "name=value, " up to status=. Not all versions have all of them. */
struct fields {
    struct span relay, delay, delays, code;
};

static void take_fields(struct span *text, struct fields *fields)
{
    const struct {
        struct span name, *value;
    } known[] = {{SPAN("relay="), &fields->relay},
                 {SPAN("delay="), &fields->delay},
                 {SPAN("delays="), &fields->delays},
                 {SPAN("dsn="), &fields->code}};
    while (text->length > 0 && !span_begins(*text, SPAN("status="))) {
        struct span field = span_before(text, ',');
        span_take(text, SPAN(" "));
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (span_take(&field, known[i].name)) {
                *known[i].value = field;
                break;
            }
        }
    }
}

static enum label_line count_delivery(const struct reading *reading, struct span queue_id, struct span text)
{
    struct span address, original, none = {text.at, 0};
    struct fields fields = {none, none, none, none};
    enum label_status status;
    if (!take_address(&text, &address) || !span_take(&text, SPAN(", ")) ||
        (span_take(&text, SPAN("orig_to=<")) && (!take_address(&text, &original) || !span_take(&text, SPAN(", ")))))
        return line_unparsed;
    take_fields(&text, &fields);
    if (!span_take(&text, SPAN("status=")) || !read_status(span_before(&text, ' '), &status) ||
        fields.relay.length == 0 || read_seconds_us(fields.delay) == DELIVERY_UNKNOWN)
        return line_unparsed;
    if (span_take(&text, SPAN("(")))
        text.length -= span_ends(text, SPAN(")"));
    if (status == status_COUNT || (status == status_sent && span_begins(text, SPAN("forwarded as "))))
        return line_ignored; /* forwarded: as a mail of its own, whose delivery is told */
    const struct hop hop = hop_of(reading, address, fields.relay, text);
    struct delivery delivery = delivery_begin(reading->counting->settings, &hop, status);
    if (status == status_deferred)
        keep_deferred(reading->state, queue_id, delivery.destination);
    if (delivery.destination == destination_COUNT)
        return line_ignored;
    delivery.delay_us = read_seconds_us(fields.delay);
    read_stages(fields.delays, &delivery);
    delivery.code = fields.code;
    delivery.text = text;
    delivery_count(reading->counting, &delivery);
    return line_used;
}

/* qmgr: "from=<…>, status=expired, returned to sender"; also what it takes up ("size=…"), which is nothing to us. */
static enum label_line count_expired(const struct reading *reading, struct span queue_id, struct span text)
{
    struct span sender;
    if (!take_address(&text, &sender))
        return line_unparsed;
    if (!span_take(&text, SPAN(", status=")))
        return line_ignored;
    if (!span_begins(text, SPAN("expired")) && !span_begins(text, SPAN("force-expired")))
        return line_unparsed;
    const struct delivery delivery = {.destination = deferred_before(reading->state, queue_id),
                                      .status = status_expired};
    delivery_count(reading->counting, &delivery);
    return delivery.destination == destination_COUNT ? line_ignored : line_used;
}

/* ---- complaints ---- */

static bool is_milter_error(struct span text)
{
    return span_begins(text, SPAN("milter ")) || span_begins(text, SPAN("connect to Milter service ")) ||
           span_begins(text, SPAN("Milter service needs ")) || span_find(text, SPAN(" in Milter service: ")) > 0;
}

/* "Connection rate limit exceeded: 3 from …", "service "smtp" (25) has reached its process limit "100": …"; not the size of a mail. */
static bool is_limit(struct span text)
{
    return span_find(text, SPAN("rate limit exceeded: ")) > 0 ||
           span_begins(text, SPAN("Connection concurrency limit exceeded: ")) ||
           span_find(text, SPAN(" has reached its process limit ")) > 0;
}

static bool is_login_failure(struct span text)
{
    return span_find(text, SPAN("]: SASL ")) > 0 && span_find(text, SPAN(" authentication failed")) > 0;
}

static enum label_line count_warning(const struct reading *reading, struct span text)
{
    if (is_milter_error(text))
        tally_add(reading->counting->tally, SERIES_0(log_milter_errors_total), 1);
    else if (is_login_failure(text))
        tally_add(reading->counting->tally, SERIES_0(log_auth_failures_total), 1);
    else if (is_limit(text))
        tally_add(reading->counting->tally, SERIES_0(log_limits_total), 1);
    return add(reading, SERIES_1(log_problems_total, severity_warning));
}

/* ---- lines ---- */

/* What a message says that has no queue ID, or behind it; also "NOQUEUE: lost connection after …", as Postfix has it from 3.11 on. */
static enum label_line count_event(const struct reading *reading, struct span text)
{
    bool by_postscreen = span_is(reading->service, SPAN("postscreen"));
    if (text.length == 0)
        return line_ignored;
    switch (*text.at) {
    case 'r':
        if (span_take(&text, SPAN("reject: ")))
            return log_postfix_reject(reading->counting->settings, reading->counting->tally, by_postscreen, text);
        break;
    case 'm':
        if (span_take(&text, SPAN("milter-reject: ")))
            return log_postfix_reject(reading->counting->settings, reading->counting->tally, false, text);
        break;
    case 'p':
        if (span_take(&text, SPAN("proxy-reject: ")))
            return log_postfix_reject(reading->counting->settings, reading->counting->tally, false, text);
        break;
    case 's':
        if (span_begins(text, SPAN("sender non-delivery notification: ")))
            return add(reading, SERIES_0(bounces_sent_total));
        break;
    case 'l':
        if (span_begins(text, SPAN("lost connection after ")))
            return add(reading, SERIES_0(log_connections_lost_total));
        break;
    case 't':
        if (span_begins(text, SPAN("timeout after ")))
            return add(reading, SERIES_0(log_connections_lost_total));
        if (span_begins(text, SPAN("too many errors after ")))
            return add(reading, SERIES_0(log_limits_total));
        break;
    case 'H':
        if (by_postscreen && span_begins(text, SPAN("HANGUP after ")))
            return add(reading, SERIES_0(log_connections_lost_total));
        break;
    case 'C':
        if (by_postscreen && span_begins(text, SPAN("COMMAND TIME LIMIT ")))
            return add(reading, SERIES_0(log_connections_lost_total));
        if (by_postscreen &&
            (span_begins(text, SPAN("COMMAND COUNT LIMIT ")) || span_begins(text, SPAN("COMMAND LENGTH LIMIT "))))
            return add(reading, SERIES_0(log_limits_total));
        break;
    default:
        break;
    }
    return line_ignored;
}

/* Takes "4F2A31C0D5: " or "4XvKwn5rTdz1c: ", short and long IDs, or "NOQUEUE: ". */
static bool take_queue_id(struct span *text, struct span *queue_id)
{
    size_t length = 0;
    for (; length < text->length && length < 32; length++) {
        char c = text->at[length];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            break;
    }
    if (length < 5 || length + 2 > text->length || text->at[length] != ':' || text->at[length + 1] != ' ')
        return false;
    *queue_id = (struct span){text->at, length};
    *text = span_behind(*text, length + 2);
    return true;
}

static enum label_line count_message(const struct reading *reading, struct span text)
{
    struct span queue_id;
    if (span_take(&text, SPAN("warning: ")))
        return count_warning(reading, text);
    if (span_begins(text, SPAN("error: ")))
        return add(reading, SERIES_1(log_problems_total, severity_error));
    if (span_begins(text, SPAN("fatal: ")))
        return add(reading, SERIES_1(log_problems_total, severity_fatal));
    if (span_begins(text, SPAN("panic: ")))
        return add(reading, SERIES_1(log_problems_total, severity_panic));
    if (span_begins(text, SPAN("reject: ")) || !take_queue_id(&text, &queue_id))
        return count_event(reading, text);
    if (span_take(&text, SPAN("to=<")))
        return count_delivery(reading, queue_id, text);
    if (span_take(&text, SPAN("from=<")))
        return count_expired(reading, queue_id, text);
    return count_event(reading, text);
}

/* The service of a program of Postfix: the last part of its name; empty: it is another one's. Where syslog_name was changed only the
 * service tells that it is Postfix. */
static struct span service_of(struct span program)
{
    static const struct span services[] = {
        SPAN_TEXT("smtpd"), SPAN_TEXT("smtp"), SPAN_TEXT("cleanup"), SPAN_TEXT("qmgr"), SPAN_TEXT("bounce"),
        SPAN_TEXT("local"), SPAN_TEXT("lmtp"), SPAN_TEXT("virtual"), SPAN_TEXT("pipe"), SPAN_TEXT("error"),
        SPAN_TEXT("master"), SPAN_TEXT("anvil"), SPAN_TEXT("discard"), SPAN_TEXT("postscreen"), SPAN_TEXT("pickup"),
        /* which only complain */
        SPAN_TEXT("trivial-rewrite"), SPAN_TEXT("tlsmgr"), SPAN_TEXT("tlsproxy"), SPAN_TEXT("proxymap"),
        SPAN_TEXT("verify"), SPAN_TEXT("scache"), SPAN_TEXT("flush"), SPAN_TEXT("showq"), SPAN_TEXT("dnsblog"),
        SPAN_TEXT("oqmgr"), SPAN_TEXT("spawn"), SPAN_TEXT("qmqpd"), SPAN_TEXT("postlogd"), SPAN_TEXT("postdrop"),
        SPAN_TEXT("postqueue"), SPAN_TEXT("postsuper"), SPAN_TEXT("sendmail"), SPAN_TEXT("postfix-script")};
    const char *slash = program.length > 0 ? memrchr(program.at, '/', program.length) : NULL;
    struct span service = slash != NULL ? span_behind(program, (size_t)(slash + 1 - program.at)) : program;
    if (span_begins(program, SPAN("postfix")))
        return service;
    for (size_t i = 0; i < sizeof services / sizeof services[0] && slash != NULL; i++) {
        if (span_is(service, services[i]))
            return service;
    }
    return (struct span){program.at, 0};
}

enum label_line log_postfix_count(struct log_postfix *state, const struct counting *counting,
                                  const struct log_line *line)
{
    struct reading reading = {state, counting, service_of(line->program)};
    return reading.service.length > 0 ? count_message(&reading, line->message) : line_ignored;
}
