/* The collector of the queues: how many messages wait, how much they are, since when, and whether they were tried.
 *
 * A queue is read as it lies on the disk, without asking the MTA, which would list every recipient of every message:
 *
 *     queue_places.c   which directories there are: the MTA's own, and the operator's
 *     queue_scan.c     one pass over the files of a directory, within bounds of time and memory
 *     queue_postfix.c, queue_sendmail.c, queue_exim.c   what a file's name and its first bytes say
 *     queue.c          the gauges, and when the next pass is due */
#ifndef EXPORTER_COLLECT_QUEUE_H
#define EXPORTER_COLLECT_QUEUE_H

#include "exporter/collect/collector.h"

extern const struct collector collect_queue;

#endif
