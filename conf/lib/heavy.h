/* The heavy hitters of an open set in one hour, in memory of fixed size: Space-Saving (Metwally, Agrawal, El Abbadi, 2005) for several
 * counts of each member.
 *
 * The weight of a member is the sum of its counts. A new member takes the place of the lightest, and its weight as its error: what it had
 * before it came, it had at most so much of. So of a table with m places in which N was counted in all:
 *
 *     count <= truth <= count + error,  error <= N / m,  and whoever truly weighs more than N / m is in the table.
 *
 * Entries lie in memory that outlives the process, see sets.h, and are all there is to know; the index over them is the process' own. */
#ifndef CONF_LIB_HEAVY_H
#define CONF_LIB_HEAVY_H

#include "conf/lib/top.h"

struct heavy_entry {
    uint64_t weight; /* error and counts together */
    uint64_t error;
    uint64_t counts[top_by_COUNT];
    uint8_t length;
    char member[TOP_MEMBER_MAX];
};

/* What lies before the entries. */
struct heavy_sum {
    uint64_t counts[top_by_COUNT]; /* of all members */
    uint32_t used;                 /* entries */
    uint32_t unused;
};

struct heavy;

/* An index over `entries`, of which there is room for `size`; NULL: no memory. Entries that cannot be are dropped. */
struct heavy *heavy_new(struct heavy_sum *sum, struct heavy_entry *entries, unsigned size);
void heavy_free(struct heavy *heavy);

/* After the entries were changed by others. */
void heavy_index(struct heavy *heavy);

/* The number of the entry that heavy_add would change: that of the member, a free one, or the lightest. */
unsigned heavy_place(const struct heavy *heavy, const char *member, size_t length);

/* Adds counts, not all 0, to a member of 1 to TOP_MEMBER_MAX bytes. */
void heavy_add(struct heavy *heavy, const char *member, size_t length, const uint64_t counts[top_by_COUNT]);

/* What a member that is not in the table may have at most. */
uint64_t heavy_least(const struct heavy *heavy);

#endif
