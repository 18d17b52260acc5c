/* Names of the operator's in gauges of the collector: queues, roles, file systems, listeners, and the version of the MTA. As of domains
 * (domains.h), a label has numbered places in the catalogue for them, "#0" and so on, and which name is in which place is known
 * at run time alone: whoever holds such gauges holds this table with them, and whatever leaves a process goes by the names.
 *
 * Pure functions. */
#ifndef CONF_LIB_PLACES_H
#define CONF_LIB_PLACES_H

#include "conf/lib/catalogue.h"

enum { PLACE_MAX = 128, PLACE_BYTES = PLACE_MAX + 1 };

/* The first place of each kind; the n-th of a kind is its label's value "#n". `signal` shares those of `queue`. */
enum places_first {
    places_queue,
    places_role = places_queue + queue_COUNT - queue_own_0,
    places_filesystem = places_role + role_COUNT - role_own_0,
    places_listener = places_filesystem + filesystem_COUNT - filesystem_own_0,
    places_server_version = places_listener + listener_COUNT - listener_own_0,
    PLACES_COUNT = places_server_version + server_version_COUNT,
};

struct places {
    char names[PLACES_COUNT][PLACE_BYTES]; /* empty: the place is free */
};

/* May a name be so: 1 to PLACE_MAX printable ASCII characters, neither blank nor quote nor backslash, and not first a "#"? */
bool places_is_name(const char *text, size_t length);

/* The place that the slot of a gauge belongs to; -1: none. */
int places_of(const struct metric *metric, unsigned slot);

/* catalogue_series with the names; 0, and nothing written, where the place of the slot is free. */
size_t places_series(const struct places *places, const struct metric *metric, unsigned slot, char *text);

/* The number of the gauge with this text, as catalogue_find_gauge; -1 for a name without a place. places_take_gauge gives it one, if
 * there is a gauge of ours with such labels and a place is free. */
int places_find_gauge(const struct places *places, const char *text, size_t length);
int places_take_gauge(struct places *places, const char *text, size_t length);

#endif
