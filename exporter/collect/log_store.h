/* What was counted in logs, and up to where they were read: kept together, so that no restart loses a line or counts one twice.
 *
 * The parsers count into a tally in private memory. A commit writes its totals and the positions to one file in run_directory, whole, by
 * rename, and only then puts the totals into the node's tally, where they are seen; so after a kill what was seen is there, and the
 * log is read on from where that ends. Every SAVE_MS, and at the stop, the same file is written to state_directory, to the disk. After a power
 * failure that one may be behind what was seen: then the totals begin at 0 under a new tally id (a clean reset; the design's
 * "a small step back is not"), and reading goes on at its positions, so that no line is lost. */
#ifndef EXPORTER_COLLECT_LOG_STORE_H
#define EXPORTER_COLLECT_LOG_STORE_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

struct log_store;

/* What the run before left; NULL only without memory. *warning (not empty): what was wrong with it. The settings must outlive it. */
struct log_store *log_store_open(const struct settings *settings, struct failure *warning, struct failure *failure);
void log_store_close(struct log_store *store);

/* The id and the total_COUNT totals that the node's tally begins with. */
const uint64_t *log_store_id(const struct log_store *store);
void log_store_totals(const struct log_store *store, uint64_t *totals);

/* Where parsers count; totals alone, it has no gauges. */
const struct tally *log_store_counting(const struct log_store *store);

/* The position in the source of that name, as it was set; NULL: there is none. Valid until it is set anew. */
const char *log_store_position(const struct log_store *store, const char *source);
bool log_store_set_position(struct log_store *store, const char *source, const char *position);

/* Forgets positions in sources that are not in use any more: what was written there since may have been read elsewhere, as from the journal in place
 * of a file. Returns whether there were any. */
bool log_store_forget_others(struct log_store *store, bool (*is_used)(const void *context, const char *source),
                             const void *context);

/* Plain data that goes with the totals, `bytes` of it: zero, or what the run before left, if it was of this version; saved as it is whenever they
 * are, but to the disk every minute at most: after a power failure it may be older than they. The store's, and the same at each call; NULL without memory. */
void *log_store_memory(struct log_store *store, size_t bytes);

/* What was counted is there to stay, and only then is seen in `node`. false with *failure: neither; it is to be tried again. */
bool log_store_commit(struct log_store *store, const struct tally *node, struct failure *failure);

/* The same to the disk, which it may wait for. `clean`: nothing will be counted any more. */
bool log_store_save(struct log_store *store, bool clean, struct failure *failure);

#endif
