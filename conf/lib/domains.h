/* Names of domains in series: the label `domain` of the catalogue is a list of numbered places, and which name is in which place is known
 * at run time alone. So whoever holds totals of such series holds this table with them, and whatever leaves a process goes by the names.
 *
 * Pure functions. */
#ifndef CONF_LIB_DOMAINS_H
#define CONF_LIB_DOMAINS_H

#include "conf/lib/catalogue.h"

enum { DOMAINS_MAX = domain_COUNT, DOMAIN_MAX = 128, DOMAIN_BYTES = DOMAIN_MAX + 1 };

struct domains {
    uint64_t shown;                        /* a bit for each place whose series are shown; there is a name then */
    char names[DOMAINS_MAX][DOMAIN_BYTES]; /* empty: the place is free */
};

/* Is this the name of a domain as it stands in series: labels of lower-case letters, digits, hyphen and underscore between points, the
 * last not a number, DOMAIN_MAX bytes at most? IDN as A-labels, so nothing in it ever needs escaping. */
bool domains_is_name(const char *text, size_t length);

/* The place of a name; -1: there is none. `length` may be that of anything. */
int domains_find(const struct domains *domains, const char *name, size_t length);

/* The same, and a name that has none gets a free place; -1 where none is free, or it is no name. */
int domains_add(struct domains *domains, const char *name, size_t length);

static inline bool domains_shows(const struct domains *domains, unsigned place)
{
    return domains->shown >> place & 1;
}

/* How many series of a metric belong to one domain, and the place that a slot of it belongs to. */
static inline unsigned domains_width(const struct metric *metric)
{
    return metric->slots / DOMAINS_MAX;
}

/* Is this slot of a metric a series that is to be shown? Of metrics without the label all are. */
bool domains_show(const struct domains *domains, const struct metric *metric, unsigned slot);

/* catalogue_series with the names; 0, and nothing written, where the place of the slot is free. */
size_t domains_series(const struct domains *domains, const struct metric *metric, unsigned slot, char *text);

/* The number of the total with this text, as catalogue_find_total; -1 for a domain without a place. domains_take_total gives it one, if
 * there is a series of ours with such labels. */
int domains_find_total(const struct domains *domains, const char *text, size_t length);
int domains_take_total(struct domains *domains, const char *text, size_t length);

/* Is this the text of a series of ours, of whatever domain? */
bool domains_has_total(const char *text, size_t length);

/* The place that a total belongs to; -1: it is of no domain. */
int domains_place(unsigned total);

/* Raises totals of the conversation to those of `other` where these are larger, domains by their names; a domain that is not among both stays as it is. */
void domains_raise(uint64_t *totals, const struct domains *domains, const uint64_t *other,
                   const struct domains *other_domains);

/* Sets the totals of one place to 0. */
void domains_clear(uint64_t *totals, unsigned place);

#endif
