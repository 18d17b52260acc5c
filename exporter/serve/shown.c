/* The floor under the totals. */
#include "exporter/serve/shown.h"

#include <stdio.h>
#include <string.h>

/* The place of tally `id`; a new one takes the oldest. */
static unsigned find(struct shown *shown, const char *id)
{
    for (unsigned i = 0; i < SHOWN_TALLIES; i++) {
        if (strcmp(shown->tallies[i].id, id) == 0)
            return i;
    }
    unsigned place = shown->turn;
    shown->turn = (place + 1) % SHOWN_TALLIES;
    memset(&shown->tallies[place], 0, sizeof shown->tallies[place]);
    strncpy(shown->tallies[place].id, id, TALLY_ID_BYTES - 1);
    return place;
}

/* A place for a domain that has none: a free one, or that of one that is not among those that are shown now. */
static void make_place(struct domains *floor, uint64_t *totals, const struct domains *now, const char *name)
{
    for (unsigned place = 0; domains_add(floor, name, strlen(name)) < 0 && place < DOMAINS_MAX; place++) {
        if (domains_find(now, floor->names[place], strlen(floor->names[place])) >= 0)
            continue;
        floor->names[place][0] = '\0';
        domains_clear(totals, place);
    }
}

void shown_raise(struct shown *shown, const char *id, struct snapshot *values)
{
    unsigned tally = find(shown, id);
    struct domains *domains = &shown->tallies[tally].domains;
    uint64_t *totals = shown->tallies[tally].totals;
    for (unsigned place = 0; place < DOMAINS_MAX; place++) {
        if (values->domains.names[place][0] != '\0')
            make_place(domains, totals, &values->domains, values->domains.names[place]);
    }
    domains_raise(totals, domains, values->totals, &values->domains);
    domains_raise(values->totals, &values->domains, totals, domains);
}

void shown_raise_node(struct shown *shown, const char *id, struct snapshot *values)
{
    if (strcmp(shown->node_id, id) != 0) {
        memset(shown->node_totals, 0, sizeof shown->node_totals);
        snprintf(shown->node_id, sizeof shown->node_id, "%s", id);
    }
    for (unsigned i = 0; i < NODE_TOTALS; i++) {
        uint64_t *floor = &shown->node_totals[i], *value = &values->totals[total_node + i];
        *floor = *value = *value > *floor ? *value : *floor;
    }
}
