/*
 * mta.c - the MTA's side of the milter protocol: what is said when, and what the answers mean (see mta.h).
 *
 * An event is a row: which SMFIP_NO* bit suppresses it, which SMFIP_NR_* bit its reply, and whose list of macros
 * goes before it. send_event() is the only place that acts on these.
 */
#include "mta.h"

#include "macros.h"
#include "wire.h"

#include <arpa/inet.h>
#include <libmilter/mfdef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_STAGE = -1, NUMBER = 4 };

_Static_assert((int)MTA_STAGES == (int)MACRO_STAGES, "a list of macros for each stage");

struct mta {
    struct wire wire;
    unsigned due; /* replies that are still to come */
    struct mta_wants wants;
    struct macros macros;
    struct bytes payload; /* of the event under construction */
    struct bytes defined; /* of the macro packet before it */
};

struct event {
    uint32_t skip;   /* not sent if the filter asked for this */
    uint32_t silent; /* no reply if the filter asked for this */
    int stage;       /* whose macros precede it */
    char code;
    bool replied;
    bool announced; /* its macros are sent even if it is skipped itself */
};

static const struct event connect_event = {SMFIP_NOCONNECT, SMFIP_NR_CONN, MTA_CONNECT, SMFIC_CONNECT, true, true};
static const struct event helo_event = {SMFIP_NOHELO, SMFIP_NR_HELO, MTA_HELO, SMFIC_HELO, true, true};
static const struct event mail_event = {SMFIP_NOMAIL, SMFIP_NR_MAIL, MTA_MAIL, SMFIC_MAIL, true, true};
static const struct event rcpt_event = {SMFIP_NORCPT, SMFIP_NR_RCPT, MTA_RCPT, SMFIC_RCPT, true, true};
static const struct event data_event = {SMFIP_NODATA, SMFIP_NR_DATA, MTA_DATA, SMFIC_DATA, true, true};
static const struct event header_event = {SMFIP_NOHDRS, SMFIP_NR_HDR, MTA_EOH, SMFIC_HEADER, true, false};
static const struct event eoh_event = {SMFIP_NOEOH, SMFIP_NR_EOH, MTA_EOH, SMFIC_EOH, true, false};
static const struct event body_event = {SMFIP_NOBODY, SMFIP_NR_BODY, MTA_EOM, SMFIC_BODY, true, false};
static const struct event eom_event = {0, 0, MTA_EOM, SMFIC_BODYEOB, true, true};
static const struct event unknown_event = {SMFIP_NOUNKNOWN, SMFIP_NR_UNKN, NO_STAGE, SMFIC_UNKNOWN, true, false};
static const struct event abort_event = {0, 0, NO_STAGE, SMFIC_ABORT, false, false};
static const struct event quit_event = {0, 0, NO_STAGE, SMFIC_QUIT, false, false};
static const struct event offer_event = {0, 0, NO_STAGE, SMFIC_OPTNEG, true, false};

/* Postfix's lists for a stage that the filter gave none for. */
static const char *const default_macros[MTA_STAGES] = {
    [MTA_CONNECT] = "j {daemon_name} {daemon_addr} v _",
    [MTA_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
    [MTA_MAIL] = "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
    [MTA_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
    [MTA_DATA] = "i",
    [MTA_EOM] = "i",
    [MTA_EOH] = "i",
};

/* --- connection ------------------------------------------------------------------------------------------ */

struct mta *mta_open(const char *address, int timeout_ms, char *why, size_t size)
{
    struct mta *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        snprintf(why, size, "out of memory");
        return NULL;
    }
    if (wire_open(&m->wire, address, timeout_ms) != 0) {
        snprintf(why, size, "%s", m->wire.error);
        free(m);
        return NULL;
    }
    for (int s = 0; s < MTA_STAGES; s++)
        macros_list(&m->macros, s, default_macros[s]);
    return m;
}

void mta_drop(struct mta *m)
{
    if (m == NULL)
        return;
    wire_close(&m->wire);
    macros_free(&m->macros);
    for (int s = 0; s < MTA_STAGES; s++)
        free(m->wants.macros[s]);
    free(m->payload.data);
    free(m->defined.data);
    free(m);
}

void mta_close(struct mta *m)
{
    if (m != NULL)
        wire_flush(&m->wire);
    mta_drop(m);
}

int mta_fd(const struct mta *m)
{
    return m->wire.fd;
}

const char *mta_error(const struct mta *m)
{
    return m->wire.error;
}

unsigned mta_due(const struct mta *m)
{
    return m->due;
}

void mta_macro(struct mta *m, const char *name, const char *value)
{
    macros_set(&m->macros, name, value);
}

bool mta_wants_macro(const struct mta *m, enum mta_stage stage, const char *name)
{
    return macros_listed(&m->macros, (int)stage, name);
}

const struct mta_wants *mta_wants(const struct mta *m)
{
    return &m->wants;
}

/* --- events ---------------------------------------------------------------------------------------------- */

int mta_flush(struct mta *m)
{
    return wire_flush(&m->wire);
}

int mta_raw(struct mta *m, char code, const void *data, size_t size)
{
    return wire_put(&m->wire, code, data, size);
}

static int send_macros(struct mta *m, const struct event *e)
{
    m->defined.size = 0;
    bytes_add(&m->defined, &e->code, 1);
    macros_write(&m->macros, e->stage, &m->defined);
    return m->defined.size > 1 ? wire_put(&m->wire, SMFIC_MACRO, m->defined.data, m->defined.size) : 0;
}

/* Sends the event whose payload stands in m->payload. */
static int send_event(struct mta *m, const struct event *e)
{
    bool skipped = (m->wants.protocol & e->skip) != 0;
    int sent = 0;
    if (e->stage != NO_STAGE && (!skipped || e->announced))
        sent = send_macros(m, e);
    if (sent == 0 && !skipped)
        sent = wire_put(&m->wire, e->code, m->payload.data, m->payload.size);
    m->payload.size = 0;
    if (sent != 0)
        return -1;
    if (skipped || !e->replied || (m->wants.protocol & e->silent) != 0)
        return 0;
    m->due++;
    return 1;
}

static void add_number(struct bytes *b, uint32_t number)
{
    number = htonl(number);
    bytes_add(b, &number, NUMBER);
}

int mta_offer(struct mta *m, uint32_t version, uint32_t actions, uint32_t protocol)
{
    add_number(&m->payload, version);
    add_number(&m->payload, actions);
    add_number(&m->payload, protocol);
    return send_event(m, &offer_event);
}

int mta_connect(struct mta *m, const char *host, char family, uint16_t port, const char *address)
{
    uint16_t wire_port = htons(port);
    bytes_add_string(&m->payload, host);
    bytes_add(&m->payload, &family, 1);
    if (family != SMFIA_UNKNOWN) {
        bytes_add(&m->payload, &wire_port, sizeof(wire_port));
        bytes_add_string(&m->payload, address);
    }
    return send_event(m, &connect_event);
}

static int send_string(struct mta *m, const struct event *e, const char *text)
{
    bytes_add_string(&m->payload, text);
    return send_event(m, e);
}

static int send_arguments(struct mta *m, const struct event *e, const char *const *argv)
{
    for (int i = 0; argv[i] != NULL; i++)
        bytes_add_string(&m->payload, argv[i]);
    return send_event(m, e);
}

int mta_helo(struct mta *m, const char *name)
{
    return send_string(m, &helo_event, name);
}

int mta_mail(struct mta *m, const char *const *argv)
{
    return send_arguments(m, &mail_event, argv);
}

int mta_rcpt(struct mta *m, const char *const *argv)
{
    return send_arguments(m, &rcpt_event, argv);
}

int mta_rcpt_refused(struct mta *m, const char *const *argv)
{
    return (m->wants.protocol & SMFIP_RCPT_REJ) != 0 ? send_arguments(m, &rcpt_event, argv) : 0;
}

int mta_data(struct mta *m)
{
    int due = send_event(m, &data_event);
    /* Postfix hands the socket to another process here, and flushes before. */
    return due < 0 || mta_flush(m) != 0 ? -1 : due;
}

int mta_header(struct mta *m, const char *name, const char *value)
{
    bytes_add_string(&m->payload, name);
    if ((m->wants.protocol & SMFIP_HDR_LEADSPC) != 0)
        bytes_add(&m->payload, " ", 1);
    return send_string(m, &header_event, value);
}

int mta_eoh(struct mta *m)
{
    return send_event(m, &eoh_event);
}

int mta_body(struct mta *m, const void *data, size_t size)
{
    bytes_add(&m->payload, data, size);
    return send_event(m, &body_event);
}

int mta_eom(struct mta *m)
{
    return send_event(m, &eom_event);
}

int mta_unknown(struct mta *m, const char *line)
{
    return send_string(m, &unknown_event, line);
}

int mta_abort(struct mta *m)
{
    return send_event(m, &abort_event);
}

int mta_quit(struct mta *m)
{
    return send_event(m, &quit_event);
}

/* --- replies --------------------------------------------------------------------------------------------- */

bool mta_is_final(char code)
{
    static const char final[] = {SMFIC_OPTNEG, SMFIR_CONTINUE, SMFIR_ACCEPT,   SMFIR_REJECT,    SMFIR_TEMPFAIL,
                                 SMFIR_SKIP,   SMFIR_DISCARD,  SMFIR_SHUTDOWN, SMFIR_REPLYCODE, SMFIR_CONN_FAIL};
    return memchr(final, code, sizeof(final)) != NULL;
}

static uint32_t number_at(const char *data)
{
    uint32_t number;
    memcpy(&number, data, NUMBER);
    return ntohl(number);
}

/* The answer to the offer: three numbers, then stages with their lists of macros. */
static bool take_wants(struct mta *m, const char *data, size_t size)
{
    enum { NUMBERS = 3 * NUMBER };
    if (size < NUMBERS)
        return false;
    m->wants.version = number_at(data);
    m->wants.actions = number_at(data + NUMBER);
    m->wants.protocol = number_at(data + NUMBER + NUMBER);
    for (size_t at = NUMBERS; at + NUMBER < size;) {
        uint32_t stage = number_at(data + at);
        const char *list = data + at + NUMBER;
        size_t length = strnlen(list, size - at - NUMBER);
        if (stage >= MTA_STAGES || at + NUMBER + length >= size)
            return false;
        free(m->wants.macros[stage]);
        m->wants.macros[stage] = strdup(list);
        /* To Postfix an empty list means its own. */
        macros_list(&m->macros, (int)stage, length > 0 ? list : default_macros[stage]);
        at += NUMBER + length + 1;
    }
    return true;
}

enum mta_got mta_read(struct mta *m, struct mta_reply *reply, int timeout_ms)
{
    const char *packet = NULL;
    size_t size = 0;
    if (timeout_ms > 0 && mta_flush(m) != 0)
        return MTA_GOT_ERROR;
    switch (wire_get(&m->wire, &packet, &size, timeout_ms)) {
    case WIRE_NOTHING:
        return MTA_GOT_NOTHING;
    case WIRE_EOF:
        return MTA_GOT_EOF;
    case WIRE_ERROR:
        return MTA_GOT_ERROR;
    case WIRE_PACKET:
        break;
    }
    *reply = (struct mta_reply){.code = packet[0], .data = packet + 1, .size = size - 1};
    if (reply->code == SMFIC_OPTNEG && !take_wants(m, reply->data, reply->size)) {
        snprintf(m->wire.error, sizeof(m->wire.error), "the answer to the offer is malformed");
        return MTA_GOT_ERROR;
    }
    if (mta_is_final(reply->code)) {
        if (m->due == 0) {
            snprintf(m->wire.error, sizeof(m->wire.error), "reply '%c' that nothing asked for", reply->code);
            return MTA_GOT_ERROR;
        }
        m->due--;
    }
    return MTA_GOT_REPLY;
}

char mta_answer(struct mta *m, int timeout_ms)
{
    char code = SMFIR_CONTINUE;
    while (m->due > 0) {
        struct mta_reply reply;
        if (mta_read(m, &reply, timeout_ms) != MTA_GOT_REPLY)
            return 0;
        code = reply.code;
    }
    return code;
}

bool mta_negotiate(struct mta *m)
{
    return mta_offer(m, MTA_VERSION, MTA_ACTIONS, MTA_PROTOCOL) == 1 &&
           mta_answer(m, m->wire.timeout_ms) == SMFIC_OPTNEG;
}
