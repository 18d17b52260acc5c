/* Runs collectors, each in a thread of its own, and tells how each is: collector_seconds, collector_success. */
#ifndef EXPORTER_COLLECT_RUNNER_H
#define EXPORTER_COLLECT_RUNNER_H

#include "exporter/collect/collector.h"

struct runner;

/* Starts a thread for each; *settings and *tally must outlive them. NULL with *failure. */
struct runner *runner_start(const struct collector *const *collectors, size_t count, const struct settings *settings,
                            const struct tally *tally, struct failure *failure);

/* Looks for those that are beyond their deadline; for every second. */
void runner_watch(struct runner *runner);

/* Ends all, and waits for them so many milliseconds; false: one hangs, and nothing that it uses may be freed. */
bool runner_stop(struct runner *runner, int64_t patience_ms);

#endif
