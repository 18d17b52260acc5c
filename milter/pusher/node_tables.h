/* The open sets that the collector counts, beside the ones of sets.h: taken from its file whenever that is written anew. One that is damaged is as
 * none. One thread. */
#ifndef MILTER_PUSHER_NODE_TABLES_H
#define MILTER_PUSHER_NODE_TABLES_H

#include "conf/lib/node_sets.h"
#include "milter/pusher/sets.h"

/* Looks at the file. `now`: seconds since the Unix epoch; what is of neither this hour nor the one before is left out. */
void node_tables_look(const struct settings *settings, int64_t now);

/* As sets_table, sets_take_changed and sets_give_changed. */
bool node_tables_table(unsigned i, struct sets_table *table);
void node_tables_take_changed(unsigned i);
void node_tables_give_changed(unsigned i);

#endif
