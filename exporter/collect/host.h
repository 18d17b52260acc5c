/* The collector of this host, as far as the mail depends on it: room on the file systems of the queue, of our state and of the
 * operator's, the load beside the loads at which the MTA does less, swap.
 *
 * A file system that does not answer holds up nothing else: its values are absent, and the run has failed. */
#ifndef EXPORTER_COLLECT_HOST_H
#define EXPORTER_COLLECT_HOST_H

#include "exporter/collect/collector.h"

extern const struct collector collect_host;

#endif
