/* Connections on which the MTA waits in vain: where libmilter gets no thread for a session it forgets it, with its socket open. */
#ifndef MILTER_FILTER_UNREAD_H
#define MILTER_FILTER_UNREAD_H

#include <stdint.h>

enum { UNREAD_LOOK_MS = 1000, UNREAD_LOOKS = 5 };

/* Hangs up where the same bytes have lain unread over UNREAD_LOOKS looks, so that the MTA goes on without us; looks no more often than
 * every UNREAD_LOOK_MS (milliseconds of any clock), so that a pause of the machine is held against nobody. Returns how many there
 * were. For one thread. */
unsigned unread_hang_up(int64_t now_ms);

#endif
