/* Fuzzes the life of sessions: the input is a script of events, in any order, with texts of any content, in two sessions that take
 * turns. Whatever comes, each MAIL ends in one verdict, each refused recipient in one class and one code, domains get what is theirs and
 * no more, and nobody is left behind. */
#include "conf/lib/top.h"
#include "milter/filter/report.h"
#include "milter/filter/session.h"
#include "tests/unit/tally_form.h"

#include <netinet/in.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum event { CONNECT, MAIL, RCPT, REFUSED, DATA, HEADER, BODY, EOM, ABORT, CLOSE, UNKNOWN, EVENTS };
enum { SESSIONS = 2, TEXTS = 5 };

struct script {
    const uint8_t *data;
    size_t size;
    char *texts[TEXTS]; /* those of the event in work */
};

/* What must be counted in the end; unknown: commands, at most. */
struct truth {
    uint64_t connections, mails, recipients, unknown, headers;
};

static struct tally tally;
static struct settings settings;
static struct session *sessions[SESSIONS];
static bool connected[SESSIONS], open_message[SESSIONS];

static uint8_t next_byte(struct script *script)
{
    if (script->size == 0)
        return 0;
    script->size--;
    return *script->data++;
}

/* The next text: a length, and so many bytes, in memory of its own. NULL where the length is 255. */
static char *next_text(struct script *script, int i)
{
    size_t length = next_byte(script);
    free(script->texts[i]);
    script->texts[i] = NULL;
    if (length == 255)
        return NULL;
    length = length < script->size ? length : script->size;
    char *text = malloc(length + 1);
    if (text == NULL)
        abort();
    if (length > 0)
        memcpy(text, script->data, length);
    text[length] = '\0';
    script->data += length;
    script->size -= length;
    script->texts[i] = text;
    return text;
}

static void play_connect(struct script *script, struct session *session)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET};
    uint8_t kind = next_byte(script);
    if (kind % 4 == 1) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&storage;
        in6->sin6_family = AF_INET6;
        in6->sin6_addr.s6_addr[15] = next_byte(script);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&storage;
        in->sin_addr.s_addr = htonl((uint32_t)next_byte(script) << 24 | 1);
        in->sin_port = next_byte(script);
    }
    if (kind % 4 == 3)
        storage.ss_family = AF_UNIX;
    const struct session_connection connection = {
        .macros_asked = kind & 8,
        .address = kind % 4 == 2 ? NULL : (const struct sockaddr *)&storage,
        .mta_version = next_text(script, 0),
        .client_resolve = next_text(script, 1),
        .daemon_address = next_text(script, 2),
        .daemon_port = next_text(script, 3),
    };
    session_connect(session, &connection);
    const char *helo = next_text(script, 1);
    session_helo(session, helo != NULL ? helo : "");
}

static void play_mail(struct script *script, struct session *session)
{
    char *arguments[4] = {NULL};
    uint8_t count = next_byte(script) % 4;
    for (int i = 0; i < count; i++) {
        char *text = next_text(script, i);
        arguments[i] = text;
        if (text == NULL)
            break;
    }
    char *tls_version = next_text(script, 3);
    session_mail(session, count == 0 ? NULL : arguments, next_text(script, 4), tls_version);
    session_user(session, next_text(script, 3));
}

/* Plays one event, and notes what must come of it. */
static void play(struct script *script, struct truth *truth)
{
    enum { NAMES = 4 };
    static const char *const names[NAMES] = {"X-Spam-Status", "Authentication-Results", "Received", "X-Virus"};
    static char error[] = "error";
    uint8_t byte = next_byte(script);
    unsigned i = byte / EVENTS % SESSIONS;
    enum event event = (enum event)(byte % EVENTS);
    if (sessions[i] == NULL)
        sessions[i] = session_new(&settings, &tally);
    else
        session_enter(sessions[i]);
    struct session *session = sessions[i];
    if (event == UNKNOWN) {
        session_unknown(session);
        truth->unknown++;
    } else if (event == CONNECT && !connected[i]) { /* a second one is a new session: filter.c */
        play_connect(script, session);
        connected[i] = true;
        truth->connections++;
    } else if (event == MAIL) {
        play_mail(script, session);
        open_message[i] = true;
        truth->mails++;
    } else if (event == RCPT || event == REFUSED) {
        char *mailer = event == REFUSED ? error : next_text(script, 0);
        char *host = next_text(script, 1);
        char *address = next_text(script, 2);
        session_rcpt(session, next_text(script, 3), mailer, host, address);
        truth->recipients += open_message[i];
    } else if (event == DATA) {
        session_data(session);
    } else if (event == HEADER) {
        char *name = next_text(script, 0);
        char *value = next_text(script, 1);
        session_header(session, name != NULL ? name : names[byte / EVENTS % NAMES], value != NULL ? value : "Yes");
        truth->headers++;
    } else if (event == BODY) {
        session_body(session, next_byte(script));
    } else if (event == EOM || event == ABORT) {
        (event == EOM ? session_eom : session_abort)(session);
        open_message[i] = false;
    }
    if (event == CLOSE) {
        session_free(session);
        sessions[i] = NULL;
        connected[i] = open_message[i] = false;
    } else {
        session_leave(session);
    }
}

/* A ring that nobody empties: what finds room is a record, all else is dropped. */
static void begin_ring(void)
{
    struct ring_header *ring;
    struct failure failure;
    int fd = ring_make(&ring, &failure);
    if (fd < 0)
        abort();
    report_open(fd, &tally);
}

static uint64_t sum(unsigned first, unsigned last)
{
    uint64_t total = 0;
    for (unsigned i = first; i <= last; i++)
        total += atomic_load(&tally.totals[i]);
    return total;
}

static uint64_t of_verdict(enum label_verdict verdict)
{
    uint64_t total = 0;
    for (unsigned source = 0; source < source_COUNT; source++)
        total += atomic_load(&tally.totals[SERIES_2(messages_total, source, verdict)]);
    return total;
}

static uint64_t of_outcome(enum label_outcome outcome)
{
    uint64_t total = 0;
    for (unsigned source = 0; source < source_COUNT; source++)
        total += atomic_load(&tally.totals[SERIES_2(recipients_total, source, outcome)]);
    return total;
}

static uint64_t of_place(unsigned first, unsigned width, unsigned place)
{
    return sum(first + place * width, first + (place + 1) * width - 1);
}

/* A message counts once for a domain, if it has recipients there; and nobody counts who is not configured. */
static bool domains_are_right(const struct truth *truth)
{
    uint64_t recipients = 0;
    bool good = true;
    for (unsigned place = 0; place < DOMAINS_MAX; place++) {
        uint64_t messages = of_place(total_domain_messages_total, verdict_COUNT, place);
        uint64_t there = of_place(total_domain_recipients_total, outcome_COUNT, place);
        good = good && messages <= truth->mails && messages <= there && (messages > 0) == (there > 0) &&
               (there == 0 || place == 3 || place == 63);
        recipients += there;
    }
    return good && recipients <= truth->recipients;
}

static void configure_domains(struct own_domains *domains)
{
    memset(domains, 0, sizeof *domains);
    own_domains_add(domains, "a", "");
    own_domains_add(domains, "xn--nda.b", "\xc3\xbc.b");
    own_domains_add(domains, "c", "");
    domains->list[0].place = 3;
    domains->list[1].place = 63;
}

static void judge(const struct truth *truth)
{
    uint64_t passed = of_verdict(verdict_passed), refused = of_outcome(outcome_refused);
    uint64_t scanned = settings.spam_scanner == scanner_milter ? passed : 0;
    bool good = sum(total_messages_total, total_messages_total_LAST) == truth->mails &&
                sum(total_connections_total, total_connections_total_LAST) == truth->connections &&
                sum(total_session_seconds, total_session_seconds_LAST - 1) == truth->connections &&
                sum(total_sessions_without_mail_total, total_sessions_without_mail_total_LAST) <= truth->connections &&
                of_outcome(outcome_accepted) + refused == truth->recipients &&
                sum(total_rejects_total, total_rejects_total_LAST) == refused &&
                sum(total_reject_codes_total, total_reject_codes_total_LAST) == refused &&
                sum(total_spam_verdicts_total, total_spam_verdicts_total_LAST) == scanned &&
                sum(total_infected_total, total_infected_total_LAST) <= scanned &&
                sum(total_spam_score, total_spam_score_LAST - 1) <= scanned &&
                sum(total_received_hops, total_received_hops_LAST - 1) == passed &&
                atomic_load(&tally.totals[total_received_hops_LAST]) <= truth->headers &&
                sum(total_unknown_commands_total, total_unknown_commands_total_LAST) == truth->unknown &&
                sum(total_client_name_total, total_client_name_total_LAST) <= truth->connections &&
                sum(total_mail_sessions_total, total_mail_sessions_total_LAST) <= truth->mails &&
                sum(total_auth_sessions_total, total_auth_sessions_total_LAST) <= truth->mails &&
                sum(total_message_recipients, total_message_recipients_LAST - 1) == passed &&
                sum(total_message_seconds, total_message_seconds_LAST - 1) == passed &&
                sum(total_null_sender_total, total_null_sender_total_LAST) <= truth->mails &&
                of_verdict(verdict_throttled) + of_verdict(verdict_blocked) == 0 &&
                sum(total_ring_records_total, total_ring_dropped_total_LAST) ==
                    truth->connections + truth->mails + truth->recipients &&
                domains_are_right(truth) && atomic_load(&tally.self->gauges[gauge_sessions_active]) == 0;
    for (unsigned i = 0; i < total_COUNT; i++)
        good = good && atomic_load(&tally.totals[i]) < UINT64_C(1) << 50;
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {.data = data, .size = size};
    struct truth truth = {.connections = 0};
    if (tally.header == NULL) {
        form_fresh(&tally);
        configure_domains(&settings.domains);
        settings.top_sets = (1 << top_COUNT) - 1;
        begin_ring();
    }
    for (unsigned i = 0; i < total_COUNT; i++)
        atomic_store(&tally.totals[i], 0);
    tally_gauge_set(&tally, gauge_sessions_active, 0);
    uint8_t kind = next_byte(&script);
    settings.milter_body = kind & 1;
    settings.spam_scanner = (kind & 2) != 0 ? scanner_none : scanner_milter;
    settings.spam_authserv_ids = (struct authserv_ids){.count = 1, .list = {"mx"}};
    settings.spam_headers = (struct spam_headers){
        .count = 1, .list = {{.name = "X-Own", .spam = "bad", .score_after = "=", .has_score = true}}};
    settings.reject_texts = (struct reject_texts){.count = 1, .list = {{class_spam, "spam"}}};
    while (script.size > 0)
        play(&script, &truth);
    for (int i = 0; i < SESSIONS; i++) {
        if (sessions[i] != NULL)
            session_enter(sessions[i]);
        session_free(sessions[i]);
        sessions[i] = NULL;
        connected[i] = open_message[i] = false;
    }
    for (int i = 0; i < TEXTS; i++)
        free(script.texts[i]);
    judge(&truth);
    return 0;
}
