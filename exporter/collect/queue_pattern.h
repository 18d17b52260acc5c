/* The directories that a path with asterisks stands for, as glob(3) would find them, but within a time, and with nothing kept: what
 * may match is as much as a disk holds. */
#ifndef EXPORTER_COLLECT_QUEUE_PATTERN_H
#define EXPORTER_COLLECT_QUEUE_PATTERN_H

#include "exporter/collect/queue_scan.h"

enum { QUEUE_PATTERN_DEPTH_MAX = 16 }; /* parts of a path that have an asterisk; each takes an open directory */

/* What has been found: a directory; one that cannot be looked into; one that is not there, below which all of them would be. */
enum queue_found { queue_found_directory, queue_found_closed, queue_found_nothing };

/* false: there is no need for more. */
typedef bool queue_take(void *context, const char *directory, enum queue_found found);

/* `pattern`: an absolute path in which an asterisk stands for any text within a part of it, but for a point at its beginning. Each
 * directory goes to `take`. false: `until` was over, or it goes too deep, before all were looked for. */
bool queue_pattern_find(const char *pattern, const struct queue_time *until, queue_take *take, void *context);

#endif
