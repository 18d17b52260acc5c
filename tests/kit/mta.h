/*
 * mta.h - the MTA's side of the milter protocol (version 6), as Postfix speaks it.
 *
 * A test opens a connection to a filter, offers what Postfix offers, sends events, reads replies. The idea is
 * that a filter cannot tell the difference:
 *  - macros go before an event, only those on the list that the filter gave for that stage (without a list:
 *    Postfix's defaults), and only those that have a value now;
 *  - an event that the filter asked not to get (SMFIP_NO*) is not sent, its macros are, where Postfix does so;
 *  - what needs no reply is buffered: bytes leave when a reply is awaited, when 4096 bytes are full, when DATA
 *    was sent, at mta_flush() and at mta_close().
 *
 * Nothing here blocks beyond a time that the caller gave. One struct mta is used by one thread at a time.
 *
 *     char why[200];
 *     struct mta *m = mta_open("unix:/run/x/milter.sock", 5000, why, sizeof(why));
 *     if (m == NULL || !mta_negotiate(m)) ...
 *     mta_macro(m, "v", "Postfix 3.7.11");
 *     mta_connect(m, "client.example", '4', 40000, "192.0.2.1");
 *     if (mta_answer(m, 5000) != 'c') ...
 *     mta_mail(m, (const char *[]){"<a@example.org>", NULL});
 */
#ifndef KIT_MTA_H
#define KIT_MTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stages that have a list of macros; the numbers are the protocol's. */
enum mta_stage { MTA_CONNECT, MTA_HELO, MTA_MAIL, MTA_RCPT, MTA_DATA, MTA_EOM, MTA_EOH, MTA_STAGES };

/* What Postfix (2.6 and later) and sendmail (8.14 and later) offer. */
#define MTA_VERSION  6U
#define MTA_ACTIONS  0x1ffU
#define MTA_PROTOCOL 0x1fffffU

/* What the filter asked for, from its answer to the offer. protocol: SMFIP_* of <libmilter/mfdef.h>. */
struct mta_wants {
    uint32_t version;
    uint32_t actions;
    uint32_t protocol;
    char *macros[MTA_STAGES]; /* the list as it was sent; NULL: none was */
};

/* One reply packet; data is valid until the next call with the same struct mta. */
struct mta_reply {
    char code;
    const char *data;
    size_t size;
};

/* What mta_read found. */
enum mta_got { MTA_GOT_REPLY, MTA_GOT_NOTHING, MTA_GOT_EOF, MTA_GOT_ERROR };

struct mta;

struct mta *mta_open(const char *address, int timeout_ms, char *why, size_t size);
/* Connects to "unix:PATH", a plain path, or "inet:PORT@HOST" (host as a number). The time also bounds each
 * later write. NULL: why has the reason. */

void mta_close(struct mta *m);
/* Sends what is buffered, as Postfix does when it closes, and frees m. NULL is allowed. */

void mta_drop(struct mta *m);
/* Closes without sending what is buffered: an MTA that died. NULL is allowed. */

int mta_fd(const struct mta *m);
const char *mta_error(const struct mta *m);
/* What went wrong last, for a person; "" when nothing did. */

int mta_offer(struct mta *m, uint32_t version, uint32_t actions, uint32_t protocol);
/* Sends the offer; its answer is a reply with code 'O', which mta_read and mta_answer take in. */

bool mta_negotiate(struct mta *m);
/* mta_offer with what Postfix offers, and waits for the answer. */

const struct mta_wants *mta_wants(const struct mta *m);
bool mta_wants_macro(const struct mta *m, enum mta_stage stage, const char *name);

void mta_macro(struct mta *m, const char *name, const char *value);
/* Gives a macro ("i", "client_addr", also "{client_addr}") its value from now on; NULL takes it away. */

/*
 * Events, in SMTP order. Each returns 1 when a reply is due, 0 when none is (not wanted, or not replied to),
 * -1 when sending failed. argv ends with NULL: address first, then ESMTP parameters. A header's value is
 * given without the blank after the colon. mta_connect's family is 'U', 'L', '4' or '6'.
 */
int mta_connect(struct mta *m, const char *host, char family, uint16_t port, const char *address);
int mta_helo(struct mta *m, const char *name);
int mta_mail(struct mta *m, const char *const *argv);
int mta_rcpt(struct mta *m, const char *const *argv);
int mta_rcpt_refused(struct mta *m, const char *const *argv);
/* As mta_rcpt, but sends nothing at all to a filter that did not ask for SMFIP_RCPT_REJ. The caller sets
 * {rcpt_mailer} to "error", and {rcpt_host} and {rcpt_addr} to the reason. */
int mta_data(struct mta *m);
int mta_header(struct mta *m, const char *name, const char *value);
int mta_eoh(struct mta *m);
int mta_body(struct mta *m, const void *data, size_t size);
int mta_eom(struct mta *m);
int mta_abort(struct mta *m);
int mta_quit(struct mta *m);
int mta_unknown(struct mta *m, const char *line);

int mta_raw(struct mta *m, char code, const void *data, size_t size);
/* Any packet at all, well formed or not; no macros, no reply is counted as due. */

int mta_flush(struct mta *m);
/* Sends what is buffered; 0, or -1. */

enum mta_got mta_read(struct mta *m, struct mta_reply *reply, int timeout_ms);
/* Flushes, then reads the next reply packet, waiting at most timeout_ms (0: only what is there, and what is
 * buffered is not flushed: for callers with an event loop of their own). */

bool mta_is_final(char code);
/* Whether a reply with this code ends the event, or an action ('h', 'q', …) or 'p' that another follows. */

char mta_answer(struct mta *m, int timeout_ms);
/* The code of the final reply to the event sent last; at once 'c' when no reply is due, as Postfix takes it.
 * 0: no reply in time, closed, or broken; mta_error says which. */

unsigned mta_due(const struct mta *m);
/* Replies that are still to come. */

#endif
