/* The memory of the open sets: its form, and what of it is sound. Private to sets*.c. */
#ifndef MILTER_PUSHER_SETS_MEMORY_H
#define MILTER_PUSHER_SETS_MEMORY_H

#include "conf/lib/hyperloglog.h"
#include "milter/pusher/sets.h"

enum {
    SETS_VERSION = 1,
    SETS_RINGS = 64,
    SETS_CHANGES = top_COUNT, /* tables that one record can change */
};

/* One set in one hour; its entries follow. */
struct sets_part {
    int64_t hour; /* 0: nothing */
    struct heavy_sum sum;
    uint8_t sketch[(HYPERLOGLOG_BYTES + 7) / 8 * 8];
    struct heavy_entry entries[];
};

/* An entry, and what belongs to it, before a change. */
struct sets_change {
    uint32_t part, entry;
    struct heavy_sum sum;
    struct heavy_entry before;
};

/* The domains that the recipients of one message had so far. */
struct sets_group {
    uint64_t ring, message;
    uint32_t count, unused;
    uint64_t domains[RING_GROUP_MAX]; /* hashes */
};

struct sets_memory {
    char magic[8];
    uint64_t version;
    uint64_t bytes, parts, size; /* of all; how many; entries of each */
    uint64_t sets, privacy;      /* as the settings have them */
    uint64_t checksum;           /* of all above */

    struct {
        uint64_t id;   /* 0: free */
        uint64_t next; /* the place of the first record that was not counted */
    } rings[SETS_RINGS];

    /* The record in work. */
    uint32_t ring;           /* which of the rings */
    _Atomic uint32_t active; /* 1: it is in work; what follows is valid */
    uint64_t place;
    uint32_t group_count;
    _Atomic uint32_t changes;
    struct sets_change change[SETS_CHANGES];

    struct sets_group group;
};

/* The sets of the conversation that are asked for, a bit each. */
static inline int64_t sets_kept(const struct settings *settings)
{
    return settings->top_sets & ~top_of_deliveries;
}

/* Maps the memory in `fd`, or some of this process alone, for settings; *fresh: it is empty. NULL with *failure. */
struct sets_memory *sets_memory_map(int fd, const struct settings *settings, struct failure *failure);

struct sets_part *sets_memory_part(struct sets_memory *memory, unsigned part);

/* Empties a part, for an hour. */
void sets_memory_begin(struct sets_memory *memory, unsigned part, int64_t hour);

/* Takes back what a pusher that was killed has half done. */
void sets_memory_recover(struct sets_memory *memory);

#endif
