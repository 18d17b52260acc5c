/* The floor under the totals. */
#include "exporter/serve/shown.h"

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

void shown_raise(struct shown *shown, const char *id, uint64_t *totals)
{
    uint64_t *floor = shown->tallies[find(shown, id)].totals;
    for (unsigned i = 0; i < total_COUNT; i++) {
        if (totals[i] > floor[i])
            floor[i] = totals[i];
        totals[i] = floor[i];
    }
}
