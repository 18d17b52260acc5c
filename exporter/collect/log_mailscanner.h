/* The log of MailScanner, which tells nobody else what it found. As log_postfix.h: one line at a time, used, ignored or unparsed.
 *
 * What it says of each message depends on its options and its language. Of a batch it always says in the same words how many it scans, how
 * many of them are spam, which one is infected, and how many of the others it delivers: from that come the numbers. */
#ifndef EXPORTER_COLLECT_LOG_MAILSCANNER_H
#define EXPORTER_COLLECT_LOG_MAILSCANNER_H

#include "exporter/collect/counting.h"
#include "exporter/collect/log_line.h"

enum { LOG_MAILSCANNER_KEPT = 256 };

/* What is kept from line to line; all zero at the beginning. Not grown, whatever the log says. */
struct log_mailscanner {
    struct log_mailscanner_batch {
        int64_t pid; /* of the process, which works on one batch at a time */
        uint32_t messages, spam, infected;
    } batches[LOG_MAILSCANNER_KEPT];
};

enum label_line log_mailscanner_count(struct log_mailscanner *state, const struct counting *counting,
                                      const struct log_line *line);

#endif
