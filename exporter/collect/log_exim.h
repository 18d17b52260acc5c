/* The logs of Exim: mainlog, rejectlog, paniclog, or syslog. As log_postfix.h: one line at a time, used, ignored or unparsed.
 *
 * What is refused stands in mainlog and in rejectlog, or in one of them, as the configuration says; in syslog it stands there twice. It is
 * counted once. All of paniclog is a panic. */
#ifndef EXPORTER_COLLECT_LOG_EXIM_H
#define EXPORTER_COLLECT_LOG_EXIM_H

#include "exporter/collect/counting.h"
#include "exporter/collect/log_line.h"

enum { LOG_EXIM_KEPT = 4096, LOG_EXIM_REFUSED = 4096, LOG_EXIM_TRANSPORTS = 64 };

enum log_exim_file { log_exim_main, log_exim_reject, log_exim_panic };

/* What is kept from line to line; all zero at the beginning. Not grown, whatever the log says. */
struct log_exim {
    enum log_exim_file file; /* that the next lines are from: whoever reads more than mainlog says so */
    struct {
        uint32_t id;         /* a hash of it */
        uint8_t destination; /* where it was deferred last: told again when it expires */
        bool failed;         /* for a recipient; a notice may follow */
    } messages[LOG_EXIM_KEPT];
    struct log_exim_refused {
        uint32_t text;   /* a hash of the line */
        int32_t balance; /* how often more in mainlog than in rejectlog */
        int64_t time_us;
    } refused[LOG_EXIM_REFUSED];
    struct {
        uint32_t name; /* a hash of it */
        bool local;    /* delivered on this host, last time */
    } transports[LOG_EXIM_TRANSPORTS];
    int64_t offset_us; /* of the times in the log to those in message IDs: a zone; known since the first arrival */
    bool offset_known;
};

/* Which of its logs that is, by the name of the file. */
enum log_exim_file log_exim_file_of(const char *path);

enum label_line log_exim_count(struct log_exim *state, const struct counting *counting, const struct log_line *line);

#endif
