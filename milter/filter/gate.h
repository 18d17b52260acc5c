/* The gate before libmilter: the listening socket in HANDOVER_LISTENER, from which it accepts.
 *
 * An eventfd that never becomes readable, put over that descriptor, keeps libmilter from accepting while its open sessions go on. That
 * is how a filter drains; and how it survives a flood of connections, for where accept finds no free descriptor libmilter
 * spins: then we accept in its place, and hang up, so that the MTA goes on without us at once. */
#ifndef MILTER_FILTER_GATE_H
#define MILTER_FILTER_GATE_H

#include "conf/lib/failure.h"

#include <poll.h>

/* Takes what is needed later, while descriptors are to be had. */
bool gate_prepare(struct failure *failure);

/* Keeps new sessions out for good: other filters take them. */
void gate_close(void);

/* Descriptors in use by this process. */
unsigned gate_open_files(void);

/* Is it a connected socket: a session, or a connection that libmilter accepted and that has not said anything yet? */
bool gate_is_connection(int fd);

/* How many descriptors of this process `counts` says true of; it is asked once for each, in ascending order. */
unsigned gate_count(bool (*counts)(int fd));

/* Sheds connections while nearly all of `most` descriptors are in use; to be called often. Returns how many were turned away. */
unsigned gate_shed(unsigned most);

/* What to wait for while shedding, and for some seconds behind it; a descriptor of -1 at other times. */
struct pollfd gate_wait(void);

#endif
