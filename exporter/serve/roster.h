/* The instances that a fleet exporter knows, in the order of their names, each with what was read of it last and what was shown of it.
 *
 * Bounded, and an instance takes the same memory whatever it says. One that leaves the index is remembered as long as there is room: a
 * Redis that lost everything, and then holds an older state, must not make it step back. Not thread-safe. */
#ifndef EXPORTER_SERVE_ROSTER_H
#define EXPORTER_SERVE_ROSTER_H

#include "exporter/serve/instance.h"
#include "exporter/serve/shown.h"

enum { ROSTER_MAX = 1000 };

struct member {
    char name[SETTINGS_NAME_MAX];
    uint64_t listed;      /* the reading in which it stood in the index last */
    int64_t indexed_at;   /* time of its last push by the index, in microseconds; negative: none that can be */
    uint64_t unknown;     /* fields that were not shown, at all readings together */
    struct instance said; /* in this reading */
    struct shown shown;
};

struct roster {
    uint64_t reading;
    unsigned count;
    struct member *members[ROSTER_MAX]; /* sorted by name */
};

/* Begins another reading, in which nobody is listed yet. */
void roster_begin(struct roster *roster);

/* The member of this name, from now on listed in this reading, with nothing said; NULL where it is no name, or there are too many. */
struct member *roster_list(struct roster *roster, const char *name, size_t length);

static inline bool roster_lists(const struct roster *roster, const struct member *member)
{
    return member->listed == roster->reading;
}

/* Forgets all of them. */
void roster_clear(struct roster *roster);

#endif
