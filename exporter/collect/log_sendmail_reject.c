/* Refusals in the log of sendmail, and its trouble with milters:
 *
 *     ruleset=check_rcpt, arg1=<ADDRESS>, relay=NAME [ADDRESS], reject=550 5.7.1 …
 *     <ADDRESS>... User unknown                                    where the recipient is looked for
 *     Milter: to=<ADDRESS>, reject=550 5.7.1 …                     also from=, helo=, data, cmd=data
 *     Milter: connect: host=…, addr=…, rejecting commands
 *     Milter (NAME): error connecting to filter: …
 *     Too many recipients
 *     message size (154053) exceeds maximum (100000)
 *     rejecting commands from NAME [ADDRESS] due to pre-greeting traffic after 5 seconds
 *
 * Beside "Milter: …, reject=" there may be a line "milter=NAME, …" of the same refusal, by LogLevel: that one is not counted. */
#include "exporter/collect/log_quoted.h"
#include "exporter/collect/log_reject.h"
#include "exporter/collect/log_sendmail_parts.h"

static enum label_line add_reject(const struct sendmail_reading *reading, enum label_where where, struct span reply,
                                  enum label_class otherwise)
{
    log_reject_count(reading->counting->settings, reading->counting->tally, where, reply, otherwise);
    return line_used;
}

/* ---- rulesets ---- */

static const struct ruleset {
    struct span name;
    enum label_where where;
} rulesets[] = {
    {SPAN_TEXT("check_relay"), where_connect}, {SPAN_TEXT("check_mail"), where_mail},
    {SPAN_TEXT("check_rcpt"), where_rcpt},     {SPAN_TEXT("check_compat"), where_rcpt},
    {SPAN_TEXT("check_data"), where_data},     {SPAN_TEXT("check_helo"), where_helo},
    {SPAN_TEXT("check_vrfy"), where_helo},     {SPAN_TEXT("check_expn"), where_helo},
    {SPAN_TEXT("check_etrn"), where_helo},     {SPAN_TEXT("tls_client"), where_mail},
    {SPAN_TEXT("trust_auth"), where_mail},
};

/* Asked when sendmail is the client: the delivery tells what came of it. */
static const struct span outgoing[] = {SPAN_TEXT("tls_server"), SPAN_TEXT("tls_rcpt"), SPAN_TEXT("try_tls")};

/* Headers have rulesets of any name; check_eoh, check_eom look at the message, too. */
static enum label_where where_of(struct span name)
{
    for (size_t i = 0; i < sizeof rulesets / sizeof rulesets[0]; i++) {
        if (span_is(name, rulesets[i].name))
            return rulesets[i].where;
    }
    return where_message;
}

/* The arguments are the client's words, and may hold what looks like a reply; the last field is discard, quarantine= or reject=. */
static enum label_line count_ruleset(const struct sendmail_reading *reading, struct span text)
{
    struct span name = span_before(&text, ',');
    span_take(&text, SPAN(" "));
    for (size_t i = 0; i < sizeof outgoing / sizeof outgoing[0]; i++) {
        if (span_is(name, outgoing[i]))
            return line_ignored;
    }
    while (text.length > 0) {
        if (span_take(&text, SPAN("reject=")))
            return add_reject(reading, where_of(name), text, class_other);
        if (span_begins(text, SPAN("quarantine=")) || span_begins(text, SPAN("discard")))
            return line_ignored;
        quoted_before(&text, SPAN(", "));
    }
    return line_unparsed;
}

/* ---- milters ---- */

static const struct {
    struct span begin;
    enum label_where where;
} stages[] = {
    {SPAN_TEXT("to="), where_rcpt},     {SPAN_TEXT("from="), where_mail},    {SPAN_TEXT("helo="), where_helo},
    {SPAN_TEXT("data"), where_message}, {SPAN_TEXT("cmd=data"), where_data}, {SPAN_TEXT("cmd="), where_helo},
};

/* What follows "Milter: ". */
static enum label_line count_decision(const struct sendmail_reading *reading, struct span text)
{
    if (span_begins(text, SPAN("initialization failed"))) {
        tally_add(reading->counting->tally, SERIES_0(log_milter_errors_total), 1);
        return line_used;
    }
    if (span_begins(text, SPAN("connect: host="))) {
        const bool refused = span_ends(text, SPAN("rejecting commands")) || span_ends(text, SPAN("shutdown")) ||
                             span_ends(text, SPAN("temp failing commands"));
        return refused ? add_reject(reading, where_connect, SPAN(""), class_other) : line_ignored;
    }
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        if (!span_begins(text, stages[i].begin))
            continue;
        while (text.length > 0) {
            if (span_take(&text, SPAN("reject=")))
                return add_reject(reading, stages[i].where, text, class_other);
            quoted_before(&text, SPAN(", "));
        }
        return line_ignored; /* discard, or how far it came */
    }
    return line_ignored;
}

/* What is told of a milter and is no error; and what follows an error as its consequence. */
static const struct span harmless[] = {
    SPAN_TEXT("to error state"), SPAN_TEXT("init success"), SPAN_TEXT("init failed"), SPAN_TEXT("abort filter"),
    SPAN_TEXT("quit filter"),    SPAN_TEXT("time command"), SPAN_TEXT("headers, "),   SPAN_TEXT("header, "),
    SPAN_TEXT("body, "),         SPAN_TEXT("add: "),        SPAN_TEXT("add ("),       SPAN_TEXT("insert"),
    SPAN_TEXT("change"),         SPAN_TEXT("delete"),       SPAN_TEXT("chgfrom"),     SPAN_TEXT("message: "),
    SPAN_TEXT("set "),           SPAN_TEXT("rcpts: "),      SPAN_TEXT("connect to "),
};

/* What follows "Milter (NAME): ". */
static enum label_line count_milter(const struct sendmail_reading *reading, struct span text)
{
    span_before(&text, ')');
    if (!span_take(&text, SPAN(": ")))
        return line_ignored; /* "Milter (NAME) add: …" */
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        if (span_begins(text, harmless[i]))
            return line_ignored;
    }
    tally_add(reading->counting->tally, SERIES_0(log_milter_errors_total), 1);
    return line_used;
}

/* ---- others ---- */

/* "<ADDRESS>... User unknown": what the client was told, without its codes. */
static bool is_unknown_user(struct span text)
{
    ptrdiff_t at = span_find(text, SPAN(">... "));
    return at > 0 && *text.at == '<' && text.length > (size_t)at + 5;
}

/* Clients that do not wait until they are spoken to. */
static bool is_early_talker(struct span text)
{
    return span_begins(text, SPAN("rejecting ")) && (span_ends(text, SPAN(" due to traffic before response")) ||
                                                     span_find(text, SPAN(" due to pre-greeting traffic ")) > 0);
}

enum label_line sendmail_reject(const struct sendmail_reading *reading, struct span text)
{
    if (span_take(&text, SPAN("ruleset=")))
        return count_ruleset(reading, text);
    if (span_take(&text, SPAN("Milter: ")))
        return count_decision(reading, text);
    if (span_take(&text, SPAN("Milter (")) || span_take(&text, SPAN("Milter read(")))
        return count_milter(reading, text);
    if (is_early_talker(text) || span_begins(text, SPAN("tcpwrappers (")))
        return add_reject(reading, where_connect, text, class_client);
    if (span_begins(text, SPAN("Too many recipients")))
        return add_reject(reading, where_rcpt, text, class_rate);
    if (span_begins(text, SPAN("message size (")) && span_find(text, SPAN(") exceeds maximum (")) > 0)
        return add_reject(reading, where_message, text, class_policy);
    if (is_unknown_user(text))
        return add_reject(reading, where_rcpt, text, class_other);
    return line_ignored;
}
