/* Lines of a delivery log, whatever the MTA: takes each apart, gives it to the parser of its MTA, and counts log_lines_total. */
#ifndef EXPORTER_COLLECT_LOG_COUNT_H
#define EXPORTER_COLLECT_LOG_COUNT_H

#include "conf/lib/node_sets.h"
#include "exporter/collect/counting.h"
#include "exporter/collect/log_exim.h"
#include "exporter/collect/log_line.h"
#include "exporter/collect/log_mailscanner.h"
#include "exporter/collect/log_postfix.h"
#include "exporter/collect/log_sendmail.h"

enum { LOG_UNPARSED_KEPT = 10, LOG_UNPARSED_BYTES = 512 };

/* The last lines that were not understood, for people: cut, and with a "?" for what cannot be printed. */
struct log_unparsed {
    uint64_t count; /* the next one is at count % LOG_UNPARSED_KEPT */
    char lines[LOG_UNPARSED_KEPT][LOG_UNPARSED_BYTES];
};

/* What the parsers keep from line to line. Plain data: kept over restarts, too. */
struct log_memory {
    struct log_postfix postfix;
    struct log_sendmail sendmail;
    struct log_exim exim; /* exim.file is to be set by whoever reads more than mainlog */
    struct log_mailscanner mailscanner;
    struct log_unparsed unparsed;
    struct node_sets failed; /* where failed_sets.h counts */
};

/* Begins all zero but for the first four; what they point to outlives it. */
struct log_counter {
    enum mta_kind kind; /* auto: each line tells whose it is */
    struct counting counting;
    struct log_memory *memory; /* all zero at the beginning */
    struct log_clock clock;    /* clock.now_us is to be set from time to time */
    int64_t last_us;           /* when the last line was written that bears a time */
};

/* One line, without its line feed. */
void log_count_text(struct log_counter *counter, const char *text, size_t length);

/* One that has been taken apart, as the journal has them. */
void log_count_line(struct log_counter *counter, const struct log_line *line);

/* One that was too long to be kept. */
void log_count_cut(struct log_counter *counter);

#endif
