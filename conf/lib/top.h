/* The open sets as pusher and exporter both know them: their names, their keys in Redis, and the texts in those.
 *
 * ms1:{I}:top:<set>:<hour> is a hash. A field is a member; its value is "messages recipients refused spam error", decimal numbers: what was
 * counted of it, and how many more of each there may be. The field without a name is the whole hour: what was counted of all members
 * together, four numbers, and then four more: of a member that is not there, at most so many. Hours are of UTC, 2026-11-20T13.
 * ms1:{I}:distinct:<set>:<hour> is a sketch, see hyperloglog.h.
 *
 * Constant data and pure functions. */
#ifndef CONF_LIB_TOP_H
#define CONF_LIB_TOP_H

#include "conf/lib/settings.h"

enum top_set {
#define TOP_SET(name, origin, usual, help) top_##name,
#include "conf/tables/top_sets.def"
    top_COUNT
};

enum top_by {
#define TOP_BY(name, help) top_by_##name,
#include "conf/tables/top_sets.def"
    top_by_COUNT
};

enum {
    TOP_MEMBER_MAX = 255, /* bytes */
    TOP_SIZE_MAX = 1000,
    TOP_HOURS_MAX = 24,
    TOP_KEY_MAX = SETTINGS_NAME_MAX + 64,
    TOP_TEXT_MAX = 192,
    TOP_VALUE_BITS = 44, /* a value of an hour that is larger is none: sums over instances and hours stay numbers */
};

/* Names as in the configuration and in requests; `title` for people. */
extern const char *const top_set_names[top_COUNT], *const top_set_titles[top_COUNT], *const top_by_names[top_by_COUNT];

/* The number of a name; -1: there is none. */
int top_find_set(const char *name);
int top_find_by(const char *name);

static inline bool top_has(int64_t sets, enum top_set set)
{
    return (sets >> set & 1) != 0;
}

/* What a set is ordered by unless said otherwise. */
enum top_by top_usual(enum top_set set);

/* Is this counted of the members of a set at all? */
bool top_counts(enum top_set set, enum top_by by);

/* Those that the collector counts, of deliveries; the pusher counts the others. A bit for each, as in the settings. */
extern const int64_t top_of_deliveries;

/* The hash of a member in a sketch: everywhere the same, so that sketches of instances can be merged. */
uint64_t top_hash(const char *member, size_t length);

/* Hours since the Unix epoch, and as text of at least 24 bytes. */
int64_t top_hour(int64_t unix_seconds);
void top_hour_text(int64_t hour, char *text);

/* The key of a set and hour: `kind` is "top" or "distinct". */
void top_key(char key[TOP_KEY_MAX], const char *instance, const char *kind, enum top_set set, int64_t hour);

/* Numbers parted by spaces: writes `count` of them into `text` of at least TOP_TEXT_MAX bytes, at most eight; reads exactly `count`, each
 * of at most TOP_VALUE_BITS. */
size_t top_write(char *text, const uint64_t *values, unsigned count);
bool top_read(const char *text, size_t length, uint64_t *values, unsigned count);

/* Is this a member that may be shown: 1 to TOP_MEMBER_MAX bytes of UTF-8 without control characters? */
bool top_is_member(const char *text, size_t length);

/* The length of the UTF-8 character at `text`, 0 where there is none: overlong, a surrogate, beyond Unicode, cut. */
size_t top_character(const char *text, size_t length);

#endif
