/*
 * load_mix.c - what the load generator leaves out of its work, and what it adds (see load_mix.h).
 */
#include "load_mix.h"

#include "load_texts.h"
#include "macros.h"

#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const event_table[] = {"helo", "data", "headers", "eoh", "eom", "abort"};

static const char *const more_table[] = {"recipient", "refused", "transaction", "unknown"}; /* as enum load_more */

static bool is_in(const char *const *table, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i], name) == 0)
            return true;
    return false;
}

bool load_without(struct load_mix *mix, const char *name)
{
    size_t length = strlen(name);
    bool is_macro = length == 1 || name[0] == '{', known = is_macro || is_in(event_table, COUNT(event_table), name);
    for (size_t i = 0; length > 1 && name[length - 1] == ':' && i < load_headers_count; i++)
        known = known || (strncmp(load_headers[i][0], name, length - 1) == 0 && load_headers[i][0][length - 1] == '\0');
    if (!known || mix->without_count == WITHOUT_MAX)
        return false;
    mix->without[mix->without_count++] = name;
    return true;
}

bool load_more(struct load_mix *mix, const char *name)
{
    for (unsigned i = 0; i < COUNT(more_table); i++) {
        if (strcmp(more_table[i], name) != 0)
            continue;
        mix->more |= 1U << i;
        return true;
    }
    return false;
}

bool load_leaves_out(const struct load_mix *mix, const char *before, const char *name, const char *after)
{
    char whole[MACRO_NAME + 2];
    if (mix->without_count == 0)
        return false;
    snprintf(whole, sizeof(whole), "%s%s%s", before, name, after);
    return is_in(mix->without, mix->without_count, whole);
}
