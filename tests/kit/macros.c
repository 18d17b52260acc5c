/*
 * macros.c - the macros of an MTA: their values now, and which of them each stage of a session sends.
 */
#include "macros.h"

#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The place of a macro, made if it is new; -1 when there is no room for it. */
static int place_of(struct macros *m, const char *name, size_t length)
{
    if (length > 2 && name[0] == '{' && name[length - 1] == '}') {
        name++;
        length -= 2;
    }
    if (length == 0 || length >= MACRO_NAME)
        return -1;
    for (int i = 0; i < m->count; i++)
        if (strncmp(m->of[i].name, name, length) == 0 && m->of[i].name[length] == '\0')
            return i;
    if (m->count == MACROS_MAX)
        return -1;
    memcpy(m->of[m->count].name, name, length);
    return m->count++;
}

void macros_set(struct macros *m, const char *name, const char *value)
{
    int place = place_of(m, name, strlen(name));
    if (place < 0) {
        fprintf(stderr, "macros_set: no room for %s\n", name);
        abort(); /* a mistake in the test's own code */
    }
    free(m->of[place].value);
    m->of[place].value = value == NULL ? NULL : strdup(value);
}

void macros_list(struct macros *m, int stage, const char *names)
{
    m->list_length[stage] = 0;
    for (const char *word = names; *word != '\0';) {
        size_t length = strcspn(word, " ,");
        int place = place_of(m, word, length);
        if (place >= 0 && m->list_length[stage] < MACROS_MAX)
            m->list[stage][m->list_length[stage]++] = place;
        word += length;
        word += strspn(word, " ,");
    }
}

bool macros_listed(const struct macros *m, int stage, const char *name)
{
    for (int i = 0; i < m->list_length[stage]; i++)
        if (strcmp(m->of[m->list[stage][i]].name, name) == 0)
            return true;
    return false;
}

void macros_write(const struct macros *m, int stage, struct bytes *to)
{
    for (int i = 0; i < m->list_length[stage]; i++) {
        const struct macro *macro = &m->of[m->list[stage][i]];
        if (macro->value == NULL)
            continue;
        bool braces = macro->name[1] != '\0';
        if (braces)
            bytes_add(to, "{", 1);
        bytes_add(to, macro->name, strlen(macro->name));
        bytes_add_string(to, braces ? "}" : "");
        bytes_add_string(to, macro->value);
    }
}

void macros_free(struct macros *m)
{
    for (int i = 0; i < m->count; i++)
        free(m->of[i].value);
    *m = (struct macros){0};
}
