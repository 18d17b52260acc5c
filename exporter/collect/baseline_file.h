/* The baseline in a file of the state directory, so that two weeks outlive every restart: magic, version, how many signals of how many bytes
 * (baseline_history.h), by name, and a checksum over all. */
#ifndef EXPORTER_COLLECT_BASELINE_FILE_H
#define EXPORTER_COLLECT_BASELINE_FILE_H

#include "conf/lib/failure.h"
#include "exporter/collect/baseline_history.h"

#define BASELINE_FILE "baseline.history"

/* Takes over the history of the signals, whose names are filled in and all else is 0, and leaves that of other names. A file that is
 * not whole is moved aside, and said in *warning (else empty). false with *failure: there is one that cannot be read. */
bool baseline_load(const char *directory, struct baseline_signal *signals, unsigned count, struct failure *warning,
                   struct failure *failure);

/* Writes what is known of all that have a name, to the disk; the file before stays until that is done. */
bool baseline_save(const char *directory, const struct baseline_signal *signals, unsigned count,
                   struct failure *failure);

/* Of a file in memory: NULL, or what is wrong with it; nothing is taken over then. */
const char *baseline_read(const char *bytes, size_t length, struct baseline_signal *signals, unsigned count);

#endif
