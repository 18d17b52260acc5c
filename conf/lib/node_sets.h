/* The open sets of deliveries, as the collector hands them to the pusher: the file node.sets in run_directory, written whole, by rename.
 *
 * Two hours are held of each set: the one that runs and the one before. What stands in the file is untrusted to whoever reads it. */
#ifndef CONF_LIB_NODE_SETS_H
#define CONF_LIB_NODE_SETS_H

#include "conf/lib/heavy.h"
#include "conf/lib/hyperloglog.h"

#include <sys/types.h>
#include <time.h>

#define NODE_SETS_FILE "node.sets"

enum {
    NODE_SETS = 2, /* of top_of_deliveries */
    NODE_SETS_HOURS = 2,
    NODE_SETS_TABLES = NODE_SETS * NODE_SETS_HOURS,
    NODE_SETS_PLACES = 256, /* members that are held of each */
};

/* Plain data; all zero: nothing was counted. */
struct node_sets_table {
    int64_t hour; /* 0: none */
    struct heavy_sum sum;
    uint8_t sketch[(HYPERLOGLOG_BYTES + 7) / 8 * 8];
    struct heavy_entry entries[NODE_SETS_PLACES];
};

struct node_sets {
    uint64_t privacy; /* as the settings had it when they were counted */
    struct node_sets_table tables[NODE_SETS_TABLES];
};

/* What the file begins with. */
struct node_sets_head {
    char magic[8];
    uint64_t version, bytes;
    uint64_t checksum;
};

/* The head for these sets. */
void node_sets_describe(struct node_sets_head *head, const struct node_sets *sets);

/* Of which set is this table? */
enum top_set node_sets_of(unsigned table);

/* Which file it is: another one once it was written anew. All zero: none. */
struct node_sets_stamp {
    dev_t device;
    ino_t inode;
    struct timespec written;
};

/* Reads the file where it is another one than *stamp says, which then says it. false: it is the same one, there is none, or it is not whole; *sets
 * may have been written to all the same. */
bool node_sets_read(const char *run_directory, struct node_sets_stamp *stamp, struct node_sets *sets);

#endif
