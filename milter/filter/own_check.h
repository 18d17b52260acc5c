/* Is a session one of the collector's checks of the MTA? Those are seen, and not counted: a check would otherwise be traffic, every minute.
 *
 * What the file of the checks says (conf/lib/mta_checks.h) others can write. It is believed for MTA_CHECKS_FRESH_MS, of a client on this
 * host alone (loopback, or the address of one of mta.listeners), so that it can hide nobody else's sessions; and how often it was
 * believed is known. Of what is asked in callbacks: memory operations only. */
#ifndef MILTER_FILTER_OWN_CHECK_H
#define MILTER_FILTER_OWN_CHECK_H

#include <stdint.h>
#include <sys/socket.h>

struct own_check {
    int place;
    uint64_t mark; /* 0: it is none */
};

/* Maps the file in descriptor `fd` and closes it; without one there are no checks. After tally_guard. */
void own_check_open(int fd);

/* The check that comes from this address and port, which may be NULL. Port and address are compared whole. */
struct own_check own_check_find(const struct sockaddr *address);

/* Says that it was seen. `version`: what the MTA calls itself, or NULL. */
void own_check_saw(struct own_check check, const char *version);

/* How many were seen. Any thread. */
uint64_t own_check_count(void);

#endif
