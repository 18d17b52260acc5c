/* The delivery log of Postfix. As every parser of a delivery log it takes one line at a time, counts what it says, and says what was made
 * of it: used (something was counted), ignored (understood, and nothing to count; another program's; a line that says nothing to us) or
 * unparsed (one that should have been understood and was not). It does not count log_lines_total: the caller does. */
#ifndef EXPORTER_COLLECT_LOG_POSTFIX_H
#define EXPORTER_COLLECT_LOG_POSTFIX_H

#include "exporter/collect/counting.h"
#include "exporter/collect/log_line.h"

enum { LOG_POSTFIX_KEPT = 4096 };

/* What is kept from line to line; all zero at the beginning. Not grown, whatever the log says. */
struct log_postfix {
    struct {
        uint32_t queue_id;   /* a hash of it */
        uint8_t destination; /* where it was deferred last: told again when it expires */
    } deferred[LOG_POSTFIX_KEPT];
};

enum label_line log_postfix_count(struct log_postfix *state, const struct counting *counting,
                                  const struct log_line *line);

#endif
