/* Where a session comes from, and with it each message. Pure functions. */
#ifndef MILTER_FILTER_PEER_H
#define MILTER_FILTER_PEER_H

#include "conf/lib/settings.h"

#include <sys/socket.h>

struct peer {
    enum label_mta mta;
    enum label_client client;
    bool submitted_here; /* not over SMTP, if the reverse-path agrees (Postfix: no address, or loopback and port 0) */
    bool never_smtp;     /* submitted on this host, whatever the reverse-path looks like (sendmail) */
};

/* `address` may be NULL (sendmail -bs). */
struct peer peer_of(const struct sockaddr *address, enum label_mta mta, const struct networks *trusted);

/* The source of a message: `sender` is the reverse-path, with or without brackets; `auth_type` the macro, or NULL. */
enum label_source peer_source(const struct peer *peer, const char *sender, const char *auth_type);

#endif
