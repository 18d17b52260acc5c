/* The process_* metrics of this process, from /proc/self and the kernel. */
#ifndef EXPORTER_SERVE_OWN_PROCESS_H
#define EXPORTER_SERVE_OWN_PROCESS_H

#include "conf/lib/snapshot.h"

/* Sets the process_* gauges; those that cannot be read stay as they are. Reads files: not for an HTTP handler. */
void own_process_read(int64_t *gauges);

#endif
