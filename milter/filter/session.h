/* The life of an SMTP session and of the mail transactions in it (RFC 5321), and what they add to the tally.
 *
 * Two lifetimes, one owner: a *session* from connect to close, and in it a *message* from MAIL to end of message, abort, the next MAIL
 * or close. MTAs differ in which of these arrives, so all take the same path. Counts of a transaction are added when it ends, before
 * the callback returns.
 *
 * Knows nothing of libmilter. Memory operations only; no call fails. A session is used by one thread at a time, not always the same. */
#ifndef MILTER_FILTER_SESSION_H
#define MILTER_FILTER_SESSION_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

#include <sys/socket.h>

struct session;

/* A new session, entered, or NULL without memory. `settings` and `tally` must outlive it. */
struct session *session_new(const struct settings *settings, const struct tally *tally);

/* Ends the message if one is open, counts the session if it was connected, frees it. NULL is fine. */
void session_free(struct session *session);

/* The settings given to session_new. */
const struct settings *session_settings(const struct session *session);

/* As session_connect was told. */
bool session_macros_asked(const struct session *session);

/* Around every callback: the time between is counted as busy, and enter's time is the time of the event. */
void session_enter(struct session *session);
void session_leave(struct session *session);

/* What is said at connect: the address may be NULL (sendmail -bs), as the macros may. */
struct session_connection {
    bool macros_asked; /* the MTA was asked for macros: one that is not there has no value */
    const struct sockaddr *address;
    const char *mta_version;                  /* v: "Postfix 3.7.11", "8.17.1.9" */
    const char *client_resolve;               /* OK, FORGED, FAIL or TEMP */
    const char *daemon_address, *daemon_port; /* where the MTA listens */
};
void session_connect(struct session *session, const struct session_connection *connection);

/* HELO or EHLO; the last one counts. */
void session_helo(struct session *session, const char *name);

/* MAIL: arguments as libmilter gives them, NULL-terminated: the reverse-path with or without brackets, then ESMTP parameters.
 * `auth_type` and `tls_version` are the macros of these names, or NULL: "PLAIN", "TLSv1.3". */
void session_mail(struct session *session, char *const *arguments, const char *auth_type, const char *tls_version);

/* After MAIL: the macro {auth_authen}, or NULL. */
void session_user(struct session *session, const char *name);

/* RCPT: the forward-path, or NULL; and the macros {rcpt_mailer}, {rcpt_host}, {rcpt_addr}, each may be NULL. A recipient that the MTA itself refused comes with the
 * mailer `error` (SMFIP_RCPT_REJ). */
void session_rcpt(struct session *session, const char *path, const char *mailer, const char *host, const char *address);

/* At RCPT and DATA: the macro {nbadrcpts}, or NULL. Sendmail counts there the recipients of the message that it has refused, also those
 * of which session_rcpt never hears. */
void session_refused(struct session *session, const char *count);

void session_data(struct session *session);
void session_header(struct session *session, const char *name, const char *value);
void session_body(struct session *session, size_t bytes);
void session_eom(struct session *session);

/* A command that the MTA does not know. */
void session_unknown(struct session *session);

/* The transaction is over without an end of message. */
void session_abort(struct session *session);

#endif
