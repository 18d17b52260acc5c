/* Sessions that libmilter has forgotten. Where its pool gets no thread for a session, nobody reads that socket any more: the MTA waits until
 * its own timeout is over, and hangs up; the descriptor and the session stay.
 *
 * Libmilter closes a socket as soon as it reads the end of it. So one that is still open FORGOTTEN_LOOKS looks after the MTA has hung up is
 * certainly forgotten, and no mail waits for it. Nothing is done to it here. For one thread. */
#ifndef MILTER_FILTER_FORGOTTEN_H
#define MILTER_FILTER_FORGOTTEN_H

#include <stdbool.h>
#include <stdint.h>

#ifndef FORGOTTEN_LOOK_MS /* a test need not wait a minute */
#define FORGOTTEN_LOOK_MS (10 * 1000)
#endif

enum {
    FORGOTTEN_LOOKS = 7,   /* the first and the last are a minute apart */
    FORGOTTEN_MOST = 4096, /* sockets whose peer has hung up that are kept in mind */
};

/* Looks at the sockets of this process, no more often than every FORGOTTEN_LOOK_MS (milliseconds of any clock), so that a pause of the
 * machine is held against nobody. Returns how many sessions have come to be forgotten with this look. */
unsigned forgotten_look(int64_t now_ms);

/* How many there were at the last look. */
unsigned forgotten_count(void);

/* Is this descriptor one of them, and still the same socket? */
bool forgotten_is(int fd);

#endif
