/* A delivery log read from its beginning to its end, for --read-log: what it says, as a scrape has it. */
#ifndef EXPORTER_COLLECT_READ_LOG_H
#define EXPORTER_COLLECT_READ_LOG_H

#include "conf/lib/settings.h"
#include "conf/lib/snapshot.h"

/* Reads `file`, or standard input for "-", as the log of an MTA of this kind, and fills *snapshot with what a collector would have counted;
 * gauges are absent. false with *failure where it cannot be read. Lines longer than READ_LOG_LINE_MAX are unparsed. */
enum { READ_LOG_LINE_MAX = 64 * 1024 };
bool read_log(const char *file, enum mta_kind kind, const struct settings *settings, struct snapshot *snapshot,
              struct failure *failure);

#endif
