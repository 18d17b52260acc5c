/* The log of sendmail, also of its queue runner and of its submissions. As log_postfix.h: one line at a time, used, ignored or unparsed.
 *
 * Submissions are handed to the server by SMTP on this host (mailer=relay to a loopback address): that is no delivery. What sendmail
 * refuses for a size that was declared, or for its syntax, it does not log. */
#ifndef EXPORTER_COLLECT_LOG_SENDMAIL_H
#define EXPORTER_COLLECT_LOG_SENDMAIL_H

#include "exporter/collect/counting.h"
#include "exporter/collect/log_line.h"

enum { LOG_SENDMAIL_KEPT = 4096 };

/* What is kept from line to line; all zero at the beginning. Not grown, whatever the log says. */
struct log_sendmail {
    struct {
        uint32_t queue_id; /* a hash of it */
        uint32_t run;      /* the priority, which changes with each run of the queue */
        uint32_t
            recipients[destination_COUNT]; /* that were deferred in this run: those that expire, if the message does */
    } deferred[LOG_SENDMAIL_KEPT];
};

enum label_line log_sendmail_count(struct log_sendmail *state, const struct counting *counting,
                                   const struct log_line *line);

#endif
