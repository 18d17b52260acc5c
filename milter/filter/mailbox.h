/* The parts of a path of RFC 5321, as libmilter hands it over: what the client sent, with or without its brackets. Pure functions. */
#ifndef MILTER_FILTER_MAILBOX_H
#define MILTER_FILTER_MAILBOX_H

#include <stddef.h>

/* The mailbox in a path: without brackets, and without a source route. */
const char *mailbox_of(const char *path, size_t *length);

/* What stands behind the last @ of a mailbox of *length bytes, with it; *length is 0 where there is none. The local part may be quoted, and
 * hold others. */
const char *mailbox_domain(const char *mailbox, size_t *length);

#endif
