/* The tally of the node beside that of the conversation: found, read, and lost again, as collectors come and go. */
#ifndef MILTER_PUSHER_NODE_H
#define MILTER_PUSHER_NODE_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

struct node;

struct node *node_open(const char *run_directory);

/* Adds what it says to *snapshot; `id`: that of the tally, empty where there is none. Returns whether it is another tally than last time, or
 * none any more, or one again: all its totals are others then. Reads a file on tmpfs. */
bool node_add(struct node *node, struct snapshot *snapshot, char id[33]);

#endif
