/* Asking a file system how much is free, without waiting for one that hangs.
 *
 * Each question is asked by a thread of its own, since no signal ends a statvfs(3) on a dead server. There is one thread a file system at
 * most: while it waits, no other is started. */
#ifndef EXPORTER_COLLECT_FILESYSTEM_H
#define EXPORTER_COLLECT_FILESYSTEM_H

#include "conf/lib/failure.h"

#include <stdint.h>
#include <sys/statvfs.h>

struct filesystem;

/* NULL: no memory. */
struct filesystem *filesystem_open(const char *path);
void filesystem_close(struct filesystem *filesystem);

/* Asks; nothing where the question before has not been answered yet. */
void filesystem_ask(struct filesystem *filesystem);

/* The answer, waited for until `deadline_ms` (CLOCK_MONOTONIC). false with *failure: there is none, or it hangs. */
bool filesystem_answer(struct filesystem *filesystem, int64_t deadline_ms, struct statvfs *status,
                       struct failure *failure);

#endif
