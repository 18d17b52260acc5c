/* One check of a listener of the MTA: it connects, waits for the greeting, looks at the certificate where STARTTLS is offered, and says
 * QUIT. Before it connects it tells the filter where it comes from (conf/lib/mta_checks.h); both MTAs show a connection to their filters
 * before they greet, so that what the filter has not seen by then it is not asked about.
 *
 * Whatever the server does, a check ends in time, and holds a few kilobytes. */
#ifndef EXPORTER_COLLECT_SMTP_CHECK_H
#define EXPORTER_COLLECT_SMTP_CHECK_H

#include "conf/lib/mta_checks.h"

#include <netinet/in.h>

struct smtp_check {
    uint8_t address[16]; /* of the listener, as in struct network */
    uint16_t port;
    int64_t greeting_ms; /* how long the greeting may take */
    int64_t rest_ms;     /* and all that follows it */
    int told;            /* the file of the checks; -1: there is none */
    unsigned place;      /* in mta.listeners */
};

struct smtp_seen {
    bool tried;                             /* false: this host had no socket for it, `why` says it */
    bool up;                                /* greeted with 220 in time */
    int64_t attached;                       /* did the filter see it? GAUGE_ABSENT: nobody knows */
    int64_t expiry_us;                      /* of the certificate; GAUGE_ABSENT: there is none to be seen */
    char greeting[256];                     /* the last line of it, printable */
    char version[MTA_CHECKS_VERSION_BYTES]; /* what the MTA called itself to the filter, or "" */
    char why[128];                          /* it is not up */
};

void smtp_check_run(const struct smtp_check *check, struct smtp_seen *seen);

#endif
