/* What Redis holds of all instances: the questions, and the answers as a view that does not change any more. Knows no connection and no
 * thread.
 *
 * A reading is several exchanges: the index; how much there is of each instance that is not silent; its values, some instances at a time.
 * So no exchange is larger than redis.timeout is meant for, and an instance with a million fields is left out before it is asked for.
 * An instance whose keys are of another type is left out as well; any other error is one of Redis, and ends the reading. */
#ifndef EXPORTER_SERVE_FLEET_H
#define EXPORTER_SERVE_FLEET_H

#include "exporter/serve/roster.h"

enum {
    FLEET_UP_SECONDS = 5 * 60, /* Prometheus' own idea of how long a value is good */
    FLEET_FIELDS_MAX = 4096,   /* of an instance: several times what the catalogue has */
    FLEET_BATCH = 50,          /* instances whose values are asked for at once */
};

struct fleet;

struct fleet *fleet_new(void); /* NULL: no memory */
void fleet_free(struct fleet *fleet);

/* Begins a reading, wherever the one before has come to. */
void fleet_begin(struct fleet *fleet);

/* Adds the next questions to an exchange. */
void fleet_ask(struct fleet *fleet, struct redis *redis);

/* Takes the answers of that exchange. */
enum fleet_progress {
    fleet_more, /* ask again */
    fleet_read,
    fleet_failed, /* an answer is an error: its class and text are filled in */
};
enum fleet_progress fleet_take(struct fleet *fleet, const struct redis *redis, enum label_error *error,
                               struct failure *failure);

/* ---- what was read ---- */

struct fleet_row {
    char name[SETTINGS_NAME_MAX];
    bool up;
    int64_t age;            /* microseconds since the last push; negative: not known */
    struct snapshot values; /* those of a silent instance: nothing but that it is silent */
};

struct fleet_view {
    _Atomic unsigned holders;
    unsigned silent;     /* rows that are not up */
    int64_t ignored;     /* members of the index that are not shown */
    unsigned unreadable; /* instances that push, and cannot be read */
    char wrong[600];     /* the first of them: who, and why */
    unsigned count;
    struct fleet_row rows[]; /* by name */
};

/* The result of a reading, with one holder; NULL: no memory. */
struct fleet_view *fleet_show(const struct fleet *fleet);

/* From any thread. */
void fleet_view_hold(struct fleet_view *view);
void fleet_view_release(struct fleet_view *view); /* NULL is allowed */

#endif
