/* One open set in one hour, of all instances that are shown, put together from what Redis holds of each; and top lists of several hours.
 *
 * Counts are sums. A member that one of the instances, or hours, does not list had there at most what that one says of the rest, and
 * that is added to its error. So count <= truth <= count + error holds for the sum as well. Memory operations; no lock. */
#ifndef EXPORTER_SERVE_TOP_SLOT_H
#define EXPORTER_SERVE_TOP_SLOT_H

#include "conf/lib/hyperloglog.h"
#include "conf/lib/redis.h"
#include "exporter/serve/top_query.h"

enum { TOP_FIELDS_MAX = top_by_COUNT * TOP_SIZE_MAX + 1, TOP_ROWS_MAX = 4000 };

struct top_row {
    const char *member;
    uint64_t counts[top_by_COUNT];
    int64_t errors[top_by_COUNT]; /* beyond `rest` of all the hours and instances together; may be negative */
};

struct top_slot {
    _Atomic unsigned holders;
    int64_t hour;
    unsigned instances; /* that say something of this hour */
    uint64_t totals[top_by_COUNT], rest[top_by_COUNT];
    uint8_t registers[HYPERLOGLOG_REGISTERS];
    size_t count, room;
    struct top_row *rows;
};

/* An empty one with one holder; NULL: no memory. */
struct top_slot *top_slot_new(int64_t hour);
void top_slot_hold(struct top_slot *slot);
void top_slot_release(struct top_slot *slot); /* NULL is allowed */

/* Adds what an instance says: the answers to HGETALL of the list and GETRANGE of the sketch. Rows that are none are left out. false: no
 * memory. */
bool top_slot_add(struct top_slot *slot, const struct redis_reply *top, const struct redis_reply *distinct);

/* After all were added: members are there once, sorted by name, and at most TOP_ROWS_MAX of them. */
void top_slot_finish(struct top_slot *slot);

struct top_list {
    unsigned instances; /* at most in one hour */
    uint64_t totals[top_by_COUNT];
    uint64_t distinct;
    uint64_t bound; /* of what the list is ordered by: a member that is not in it has at most so many */
    size_t count;
    struct top_entry {
        char *member;
        uint64_t counts[top_by_COUNT];
        uint64_t error; /* of what the list is ordered by */
    } * entries;
};

/* The first ones of finished slots together. false: no memory. */
bool top_list_make(struct top_slot *const *slots, unsigned count, enum top_by by, unsigned limit,
                   struct top_list *list);
void top_list_free(struct top_list *list);

#endif
