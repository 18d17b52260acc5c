/* The rings of the filters (milter/ring.h): made with each filter, shown to each pusher, and kept until a pusher has taken out what a
 * filter left behind. */
#ifndef MILTER_SUPERVISOR_RINGS_H
#define MILTER_SUPERVISOR_RINGS_H

#include "milter/supervisor/child.h"

enum { RINGS_NONE = -1 };

/* A ring for a new filter: its number and descriptor. RINGS_NONE where there is no memory, or too many wait for a pusher: the filter then
 * works without, and counts what it drops. */
int rings_add(int *fd);

/* The filter of a ring is gone. */
void rings_close(int ring);

/* Shows the pusher the rings that it does not know, and forgets those that are done. */
void rings_step(const struct child *pusher);

/* The memory of the open sets: a file in run_directory, if that is on tmpfs, so that the current hour outlives the supervisor; else memory
 * that does not. Its content is the pusher's. -1: neither is to be had. */
int rings_open_sets(const char *run_directory);

#endif
