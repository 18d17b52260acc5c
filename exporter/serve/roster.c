/* The sorted list of roster.h. */
#include "exporter/serve/roster.h"

#include <stdlib.h>
#include <string.h>

void roster_begin(struct roster *roster)
{
    roster->reading++;
}

/* Where `name` stands, or belongs. */
static unsigned place_of(const struct roster *roster, const char *name)
{
    unsigned first = 0, end = roster->count;
    while (first < end) {
        unsigned middle = first + (end - first) / 2;
        if (strcmp(roster->members[middle]->name, name) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

/* Takes out the one that has been away longest, and returns it empty; NULL while all are listed. */
static struct member *take_out(struct roster *roster)
{
    unsigned oldest = 0;
    for (unsigned i = 1; i < roster->count; i++) {
        if (roster->members[i]->listed < roster->members[oldest]->listed)
            oldest = i;
    }
    struct member *member = roster->members[oldest];
    if (roster_lists(roster, member))
        return NULL;
    roster->count--;
    memmove(&roster->members[oldest], &roster->members[oldest + 1], (roster->count - oldest) * sizeof(struct member *));
    memset(member, 0, sizeof *member);
    return member;
}

static struct member *add(struct roster *roster, const char *name)
{
    struct member *member = roster->count < ROSTER_MAX ? calloc(1, sizeof *member) : take_out(roster);
    if (member == NULL)
        return NULL;
    unsigned place = place_of(roster, name);
    memmove(&roster->members[place + 1], &roster->members[place], (roster->count - place) * sizeof(struct member *));
    roster->members[place] = member;
    roster->count++;
    strcpy(member->name, name);
    return member;
}

struct member *roster_list(struct roster *roster, const char *name, size_t length)
{
    char text[SETTINGS_NAME_MAX] = "";
    if (!settings_is_name(name, length))
        return NULL;
    memcpy(text, name, length);
    unsigned place = place_of(roster, text);
    bool is_known = place < roster->count && strcmp(roster->members[place]->name, text) == 0;
    struct member *member = is_known ? roster->members[place] : add(roster, text);
    if (member == NULL)
        return NULL;
    member->listed = roster->reading;
    member->indexed_at = -1;
    member->said.known = false;
    return member;
}

void roster_clear(struct roster *roster)
{
    while (roster->count > 0)
        free(roster->members[--roster->count]);
}
