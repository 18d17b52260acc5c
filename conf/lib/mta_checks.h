/* The collector's checks of the MTA's listeners, as the filter gets to know them: a small file in run_directory.
 *
 * The supervisor makes it and hands it to the filters; the collector, which runs under another account, finds it by its name. Before a
 * check connects, the collector puts down the address and port that it connects from; a filter to which the MTA shows that connection
 * says so beside it, and counts nothing of it. Each listener has a place of its own in the order of mta.listeners, and each word one
 * writer.
 *
 * Neither side believes the other: the filter takes part in no check that is older than MTA_CHECKS_FRESH_MS, or from an address that
 * is not this host's (milter/filter/own_check.h); the collector reads with pread(2), so that a file that is cut is no signal. */
#ifndef CONF_LIB_MTA_CHECKS_H
#define CONF_LIB_MTA_CHECKS_H

#include "conf/lib/settings.h"

#include <stdatomic.h>

#define MTA_CHECKS_FILE "mta-checks"
enum { MTA_CHECKS_FRESH_MS = 30 * 1000, MTA_CHECKS_VERSION_BYTES = 32 };

struct mta_check {
    _Atomic uint64_t
        mark; /* collector's: time (CLOCK_BOOTTIME, milliseconds) and, in the lowest 16 bits, port; 0: no check */
    _Atomic uint64_t address[2];                            /* collector's: as in struct network */
    _Atomic uint64_t seen;                                  /* filter's: the mark of the check that it saw */
    _Atomic uint64_t version[MTA_CHECKS_VERSION_BYTES / 8]; /* filter's, before it: what the MTA called itself */
};

struct mta_checks {
    struct mta_check list[LISTENERS_MAX];
};

/* The mark of a check from this port that begins now. */
uint64_t mta_checks_mark(uint16_t port);

/* ---- supervisor ---- */

/* Makes the file, or takes the one that is there; -1 with *failure: there is none, and no filter will see a check. Only on tmpfs, since
 * the filter maps it. */
int mta_checks_make(const char *run_directory, struct failure *failure);

/* ---- collector ---- */

/* Opens it; -1 with *failure, whose status is EX_NOINPUT where there is none: no milterscope has been started here. */
int mta_checks_open(const char *run_directory, struct failure *failure);

/* Puts down that a check begins: `place` in mta.listeners, `address` as in struct network. 0 where that cannot be done, else its mark. */
uint64_t mta_checks_tell(int fd, unsigned place, const uint8_t *address, uint16_t port);

/* Did a filter see the check with this mark? 1 or 0; -1 where that cannot be read. `version`: what the MTA called itself there, cut. */
int mta_checks_seen(int fd, unsigned place, uint64_t mark, char version[MTA_CHECKS_VERSION_BYTES]);

/* The check is over: its port may soon be somebody else's. */
void mta_checks_end(int fd, unsigned place);

#endif
