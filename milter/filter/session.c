/* The life of a session and its messages, and where everything about sessions is counted: one line a metric. */
#include "milter/filter/session.h"

#include "milter/filter/coverage.h"
#include "milter/filter/macros.h"
#include "milter/filter/message.h"
#include "milter/filter/peer.h"
#include "milter/filter/refusal.h"
#include "milter/filter/report.h"
#include "milter/filter/working.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct session {
    const struct settings *settings;
    const struct tally *tally;
    bool connected;
    bool macros_asked;
    bool reinjected; /* its mail was counted before: nothing is counted again */
    bool mail_seen;
    bool auth_seen;
    struct peer peer;
    int64_t connected_ns;
    int64_t entered_ns; /* the time of the event in work */
    int64_t busy_ns;    /* not yet counted */
    int working;        /* place among the callbacks under way */
    struct message message;
    struct report report; /* for the open sets; the last */
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t micros_since(const struct session *session, int64_t begun_ns)
{
    return session->entered_ns > begun_ns ? (uint64_t)(session->entered_ns - begun_ns) / 1000 : 0;
}

struct session *session_new(const struct settings *settings, const struct tally *tally)
{
    struct session *session = malloc(sizeof *session);
    if (session != NULL) {
        memset(session, 0, offsetof(struct session, report));
        report_begin(&session->report);
        session->settings = settings;
        session->tally = tally;
        session_enter(session);
    }
    return session;
}

const struct settings *session_settings(const struct session *session)
{
    return session->settings;
}

bool session_macros_asked(const struct session *session)
{
    return session->macros_asked;
}

void session_enter(struct session *session)
{
    session->entered_ns = clock_ns(CLOCK_MONOTONIC);
    session->working = working_begin((uintptr_t)session, session->entered_ns);
}

void session_leave(struct session *session)
{
    working_end(session->working);
    session->working = -1;
    int64_t passed_ns = clock_ns(CLOCK_MONOTONIC) - session->entered_ns;
    if (passed_ns > 0)
        session->busy_ns += passed_ns;
}

/* Whole microseconds; the rest stays for the next time. */
static void count_busy(struct session *session)
{
    const struct tally *tally = session->tally;
    tally_add(tally, SERIES_0(filter_busy_seconds_total), (uint64_t)(session->busy_ns / 1000));
    session->busy_ns %= 1000;
}

/* ---- who is there ---- */

/* Of a part that macros show: what was not asked for is known to be observable when it comes. */
static void saw_macro(const struct session *session, enum label_part part)
{
    if (!session->macros_asked)
        coverage_saw_part(session->tally, part);
}

static void count_connection(struct session *session, const char *client_resolve)
{
    const struct tally *tally = session->tally;
    int resolve = macros_resolve(client_resolve);
    session->connected = true;
    session->connected_ns = session->entered_ns;
    tally_add(tally, SERIES_1(connections_total, session->peer.client), 1);
    tally_gauge_add(tally, gauge_sessions_active, 1);
    if (resolve < 0)
        return;
    saw_macro(session, part_client_name);
    tally_add(tally, SERIES_1(client_name_total, resolve), 1);
}

void session_connect(struct session *session, const struct session_connection *connection)
{
    const struct tally *tally = session->tally;
    session->macros_asked = connection->macros_asked;
    session->peer =
        peer_of(connection->address, macros_mta(connection->mta_version), &session->settings->trusted_networks);
    session->reinjected = macros_name_listener(&session->settings->milter_reinjection, connection->daemon_address,
                                               connection->daemon_port);
    report_client(&session->report, session->settings->top_sets, connection->address);
    if (!session->reinjected)
        count_connection(session, connection->client_resolve);
    tally_gauge_set(tally, gauge_filter_last_connection_timestamp_seconds, clock_ns(CLOCK_REALTIME) / 1000);
    coverage_saw_mta(tally, session->peer.mta);
}

/* Once a session, at its first MAIL: submissions on this host know no TLS. */
static void count_mail_session(const struct session *session, const char *tls_version)
{
    int tls = macros_tls(tls_version);
    if (session->peer.client == client_local || tls < 0 || (tls == tls_none && !session->macros_asked))
        return;
    saw_macro(session, part_tls);
    tally_add(session->tally, SERIES_1(mail_sessions_total, tls), 1);
}

/* Once a session, at the first MAIL after AUTH. */
static void count_auth_session(const struct session *session, const char *auth_type)
{
    saw_macro(session, part_auth);
    tally_add(session->tally, SERIES_1(auth_sessions_total, macros_mechanism(auth_type)), 1);
}

void session_unknown(struct session *session)
{
    if (!session->reinjected)
        tally_add(session->tally, SERIES_0(unknown_commands_total), 1);
}

void session_helo(struct session *session, const char *name)
{
    report_helo(&session->report, name);
}

/* ---- a message ---- */

/* The same for the open sets. */
static void report_end(struct session *session, const struct message *message, enum label_verdict verdict)
{
    bool is_scanned = verdict == verdict_passed && session->settings->spam_scanner == (int64_t)scanner_milter;
    bool spam = is_scanned && spam_verdict(&message->spam) == spam_spam;
    uint32_t refused = message_refused(message);
    report_message(&session->report, message->accepted + refused, refused, spam ? ring_spam : 0);
}

/* The end of a transaction, however it comes: everything is counted here. */
static void message_end(struct session *session, enum label_verdict verdict)
{
    struct message *message = &session->message;
    if (!message->open)
        return;
    if (!session->reinjected) {
        message_count(message, session->tally, session->settings, verdict, micros_since(session, message->begun_ns));
        report_end(session, message, verdict);
    }
    if (verdict == verdict_passed)
        message_count_scan(message, session->tally, session->settings,
                           session->reinjected ? scanner_reinjection : scanner_milter);
    count_busy(session);
    message_reset(message);
}

/* What an end without end of message means. */
static enum label_verdict unfinished_verdict(const struct message *message)
{
    if (message->data)
        return verdict_lost;
    return message_refused(message) > 0 && message->accepted == 0 ? verdict_rejected : verdict_aborted;
}

/* RFC 1870: SIZE=digits. What is larger than a terabyte is not believed: the sender may say anything, and sums have an end. */
static uint64_t declared_size(char *const *parameters)
{
    const uint64_t most = UINT64_C(1) << 40;
    uint64_t size = 0;
    for (; *parameters != NULL; parameters++) {
        if (strncasecmp(*parameters, "SIZE=", 5) != 0)
            continue;
        const char *digit = *parameters + 5;
        for (; *digit >= '0' && *digit <= '9' && size <= most; digit++)
            size = size * 10 + (uint64_t)(*digit - '0');
        return *digit == '\0' && size <= most ? size : 0;
    }
    return 0;
}

void session_mail(struct session *session, char *const *arguments, const char *auth_type, const char *tls_version)
{
    static char empty[] = "";
    static char *const nothing[] = {empty, NULL};
    struct message *message = &session->message;
    if (arguments == NULL || arguments[0] == NULL)
        arguments = nothing;
    const char *sender = arguments[0];
    message_end(session, unfinished_verdict(message));
    if (!session->mail_seen && !session->reinjected)
        count_mail_session(session, tls_version);
    session->mail_seen = true;
    if (auth_type != NULL && *auth_type != '\0' && !session->auth_seen && !session->reinjected) {
        session->auth_seen = true;
        count_auth_session(session, auth_type);
    }
    message->open = true;
    message->begun_ns = session->entered_ns;
    message->null_sender = *sender == '\0' || strcmp(sender, "<>") == 0;
    message->source = peer_source(&session->peer, sender, auth_type);
    message->declared_bytes = declared_size(arguments + 1);
    /* What a content filter wrote came with the message: sendmail puts it nowhere. */
    message->spam.milters_on_top = session->peer.mta == mta_sendmail && !session->reinjected;
    report_sender(&session->report, sender);
    if (message->source == source_bounce)
        coverage_saw_bounce(session->tally, session->peer.mta);
}

void session_user(struct session *session, const char *name)
{
    report_user(&session->report, name);
}

static void tell_recipient(struct session *session, const char *path, enum label_outcome outcome, unsigned flags)
{
    if (session->reinjected)
        return;
    report_recipient(&session->report, path, flags);
    by_domain_recipient(&session->message.by_domain, &session->settings->domains, path, outcome);
}

void session_rcpt(struct session *session, const char *path, const char *mailer, const char *host, const char *address)
{
    struct message *message = &session->message;
    if (!message->open)
        return;
    if (!refusal_is_one(session->peer.mta, mailer, host)) {
        message->accepted++;
        tell_recipient(session, path, outcome_accepted, 0);
        return;
    }
    struct reject reject = refusal_reason(&session->settings->reject_texts, session->peer.mta, host, address);
    message->refused++;
    message->rejects[reject.class][reject.reply]++;
    message->codes[reject.code]++;
    tell_recipient(session, path, outcome_refused,
                   ring_refused | (reject.class == class_user_unknown ? (unsigned)ring_unknown_user : 0));
}

void session_refused(struct session *session, const char *count)
{
    uint32_t number = refusal_number(count);
    if (session->message.open && number > session->message.refused_told)
        session->message.refused_told = number;
}

void session_data(struct session *session)
{
    if (session->message.open)
        session->message.data = true;
}

void session_header(struct session *session, const char *name, const char *value)
{
    struct message *message = &session->message;
    if (!message->open)
        return;
    spam_header(&message->spam, session->settings, name, value);
    if (strcasecmp(name, "Received") == 0)
        message->received++;
    else if (strcasecmp(name, "Authentication-Results") == 0)
        auth_results_header(&message->auth_results, &session->settings->spam_authserv_ids, value);
    if (!session->settings->milter_body)
        return;
    message->counted_bytes += strlen(name) + strlen(value) + 4; /* ": " and CRLF */
    for (const char *c = value; (c = strchr(c, '\n')) != NULL; c++)
        message->counted_bytes++; /* a folded line comes with LF alone */
}

void session_body(struct session *session, size_t bytes)
{
    if (session->message.open)
        session->message.counted_bytes += bytes;
}

void session_eom(struct session *session)
{
    if (session->message.open && session->message.counted_bytes > 0)
        session->message.counted_bytes += 2; /* the empty line between header and body */
    message_end(session, verdict_passed);
}

void session_abort(struct session *session)
{
    message_end(session, unfinished_verdict(&session->message));
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    const struct tally *tally = session->tally;
    session_abort(session);
    if (session->connected) {
        tally_observe(tally, metric_session_seconds, 0, micros_since(session, session->connected_ns));
        if (!session->mail_seen)
            tally_add(tally, SERIES_1(sessions_without_mail_total, session->peer.client), 1);
        tally_gauge_add(tally, gauge_sessions_active, -1);
        report_session(&session->report);
    }
    session_leave(session);
    count_busy(session);
    free(session);
}
