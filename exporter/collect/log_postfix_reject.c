/* Refusals in the log of Postfix: at which stage, and why. By smtpd, milters and cleanup, smtpd_proxy_filter, postscreen, header_checks:
 *
 *     RCPT from NAME[ADDRESS]: 550 5.1.1 <USER>: User unknown …; from=<…> to=<…> proto=ESMTP helo=<…>
 *     END-OF-MESSAGE from NAME[ADDRESS]: 5.7.1 …; from=<…> …
 *     END-OF-MESSAGE: 550 5.7.1 …; from=<…> …
 *     RCPT from [ADDRESS]:PORT: 550 5.7.1 …; from=<…>, to=<…>, proto=ESMTP, helo=<…>
 *     CONNECT from [ADDRESS]:PORT: too many connections
 *     header Subject: … from NAME[ADDRESS]; from=<…> to=<…> proto=ESMTP helo=<…>: 5.7.1 …      also: body …
 *     mime-error … from NAME[ADDRESS]; from=<…> to=<…>
 *
 * What is quoted of the mail, and the HELO name, are the client's own words: nothing in them may pass for a reason. */
#include "exporter/collect/log_postfix_reject.h"
#include "exporter/collect/log_reject.h"

static const struct stage {
    struct span name;
    enum label_where where;
} stages[] = {
    {SPAN_TEXT("RCPT"), where_rcpt},
    {SPAN_TEXT("CONNECT"), where_connect},
    {SPAN_TEXT("connect"), where_connect},
    {SPAN_TEXT("MAIL"), where_mail},
    {SPAN_TEXT("EHLO"), where_helo},
    {SPAN_TEXT("HELO"), where_helo},
    {SPAN_TEXT("END-OF-MESSAGE"), where_message},
    {SPAN_TEXT("DATA content"), where_message},
    {SPAN_TEXT("BDAT content"), where_message},
    {SPAN_TEXT("DATA"), where_data},
    {SPAN_TEXT("BDAT"), where_data},
    {SPAN_TEXT("header"), where_message},
    {SPAN_TEXT("body"), where_message},
    {SPAN_TEXT("mime-error"), where_message},
};

/* By what the line begins with; other commands (STARTTLS, AUTH, VRFY, ETRN) stand between HELO and MAIL. */
static enum label_where where_of(struct span text)
{
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        if (span_begins(text, stages[i].name) && text.length > stages[i].name.length &&
            strchr(" :", text.at[stages[i].name.length]) != NULL)
            return stages[i].where;
    }
    return where_helo;
}

/* Does the line end in these fields: from=<…> to=<…> proto=… helo=<…>, each of which may be missing? */
static bool is_tail(struct span tail)
{
    static const struct span next[] = {SPAN_TEXT(" to=<"), SPAN_TEXT(" proto="), SPAN_TEXT(" helo=<"),
                                       SPAN_TEXT(", to=<"), SPAN_TEXT(", proto=")};
    if (!span_take(&tail, SPAN(" from=<")) && !span_take(&tail, SPAN(" to=<")))
        return span_begins(tail, SPAN(" proto=")) || tail.length == 0;
    span_before(&tail, '>');
    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        if (span_begins(tail, next[i]))
            return true;
    }
    return tail.length == 0;
}

/* The reply, up to the fields behind it. A reply that quotes an address may hold what looks like their beginning. */
static struct span reply_of(struct span text)
{
    struct span reply = {text.at, 0}, rest = text;
    bool found = false;
    for (;;) {
        span_before(&rest, ';');
        if (rest.length == 0 && (text.length == 0 || text.at[text.length - 1] != ';'))
            break;
        struct span until = {text.at, (size_t)(rest.at - text.at) - 1};
        if (is_tail(rest))
            return until;
        if (!found && (span_begins(rest, SPAN(" from=<")) || span_begins(rest, SPAN(" to=<")))) {
            found = true;
            reply = until;
        }
        if (rest.length == 0)
            break;
    }
    return found ? reply : text;
}

static void count(const struct tally *tally, enum label_where where, enum label_class class)
{
    tally_add(tally, SERIES_2(log_rejects_total, where, class), 1);
}

/* header_checks and body_checks: the reason follows the fields, if there is one. */
static enum label_line count_content(const struct settings *settings, const struct tally *tally, struct span text)
{
    if (span_find(text, SPAN("; from=<")) < 0)
        return line_unparsed;
    struct span reason = {text.at + text.length, 0};
    for (size_t i = text.length; i-- > 3 && reason.length == 0;) {
        if (text.at[i] == ' ' && text.at[i - 1] == ':' && text.at[i - 2] == '>')
            reason = span_behind(text, i + 1);
    }
    log_reject_count(settings, tally, where_message, reason, class_policy);
    return line_used;
}

enum label_line log_postfix_reject(const struct settings *settings, const struct tally *tally, bool by_postscreen,
                                   struct span text)
{
    enum label_where where = where_of(text);
    if (span_begins(text, SPAN("header ")) || span_begins(text, SPAN("body ")) ||
        span_begins(text, SPAN("mime-error ")))
        return count_content(settings, tally, text);
    struct span reply = text;
    ptrdiff_t at = span_find(reply, SPAN("]: "));
    if (by_postscreen) { /* "[ADDRESS]:PORT: " */
        at = span_find(reply, SPAN("]:"));
        if (at < 0)
            return line_unparsed;
        reply = span_behind(reply, (size_t)at + 2);
        span_before(&reply, ' ');
        where = where_postscreen;
    } else if (span_find(reply, SPAN(" from ")) > 0 && at > 0) {
        reply = span_behind(reply, (size_t)at + 3);
    } else { /* without a client: "END-OF-MESSAGE: 550 …" */
        at = span_find(reply, SPAN(": "));
        if (at < 0)
            return line_unparsed;
        reply = span_behind(reply, (size_t)at + 2);
    }
    if (by_postscreen &&
        (span_begins(reply, SPAN("too many connections")) || span_find(reply, SPAN(" ports busy")) > 0)) {
        tally_add(tally, SERIES_0(log_limits_total), 1);
        count(tally, where, class_rate);
        return line_used;
    }
    if (reply.length == 0)
        return line_unparsed;
    if (by_postscreen && span_begins(reply, SPAN("450 4.3.2 "))) { /* passed all tests, and is to come again */
        count(tally, where, class_greylist);
        return line_used;
    }
    log_reject_count(settings, tally, where, reply_of(reply), class_other);
    return line_used;
}
