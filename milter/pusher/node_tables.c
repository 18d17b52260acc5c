/* A copy of the file, and what of it is to be written to Redis. */
#include "milter/pusher/node_tables.h"

#include <string.h>

static struct {
    struct node_sets_stamp stamp;
    struct node_sets sets;
    struct heavy *heavy[NODE_SETS_TABLES]; /* NULL: this table is none */
    bool changed[NODE_SETS_TABLES];
} self;

static bool is_current(int64_t hour, int64_t now)
{
    return hour <= top_hour(now) && hour > top_hour(now) - NODE_SETS_HOURS;
}

static void drop(unsigned i)
{
    heavy_free(self.heavy[i]);
    self.heavy[i] = NULL;
    self.changed[i] = false;
}

/* A collector that was not started again with `privacy` hands over addresses as they are. */
static bool may_be_shown(const struct settings *settings, enum top_set set)
{
    return top_has(settings->top_sets, set) && (!settings->privacy || self.sets.privacy == 1);
}

void node_tables_look(const struct settings *settings, int64_t now)
{
    static struct node_sets fresh; /* the copy stays as it is where the file is not whole */
    bool is_fresh = node_sets_read(settings->run_directory, &self.stamp, &fresh);
    if (is_fresh)
        self.sets = fresh;
    for (unsigned i = 0; i < NODE_SETS_TABLES; i++) {
        struct node_sets_table *table = &self.sets.tables[i];
        if (is_fresh)
            drop(i);
        if (!is_current(table->hour, now) || !may_be_shown(settings, node_sets_of(i)))
            drop(i);
        else if (is_fresh)
            self.heavy[i] = heavy_new(&table->sum, table->entries, NODE_SETS_PLACES);
        self.changed[i] = self.changed[i] || (is_fresh && self.heavy[i] != NULL);
    }
}

bool node_tables_table(unsigned i, struct sets_table *table)
{
    if (i >= NODE_SETS_TABLES)
        return false;
    const struct node_sets_table *from = &self.sets.tables[i];
    *table = (struct sets_table){.set = node_sets_of(i),
                                 .hour = self.heavy[i] == NULL ? 0 : from->hour,
                                 .changed = self.changed[i],
                                 .heavy = self.heavy[i],
                                 .sum = &from->sum,
                                 .entries = from->entries,
                                 .sketch = from->sketch};
    return true;
}

void node_tables_take_changed(unsigned i)
{
    self.changed[i] = false;
}

void node_tables_give_changed(unsigned i)
{
    self.changed[i] = self.heavy[i] != NULL;
}
