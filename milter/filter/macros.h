/* What the values of macros mean. Pure functions; each value may be NULL, and hold anything. */
#ifndef MILTER_FILTER_MACROS_H
#define MILTER_FILTER_MACROS_H

#include "conf/lib/settings.h"

/* v: Postfix gives "Postfix 3.7.11", sendmail its number alone. */
enum label_mta macros_mta(const char *version);

/* {client_resolve}, enum label_resolve; -1: not told. */
int macros_resolve(const char *client_resolve);

/* {tls_version}, enum label_tls; nothing is none; -1: a version that has no label. */
int macros_tls(const char *tls_version);

/* {auth_type}, where it is not empty. */
enum label_mechanism macros_mechanism(const char *auth_type);

/* Do {daemon_addr} and {daemon_port} name one of these? */
bool macros_name_listener(const struct listeners *listeners, const char *daemon_address, const char *daemon_port);

#endif
