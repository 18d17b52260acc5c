/* A text in lower case, ready to be asked for many literal texts: which groups of four bytes occur in it is noted, and a literal is
 * searched for only if the groups that it is made of are among them. That spares nearly all searches. */
#ifndef CONF_LIB_WORDS_H
#define CONF_LIB_WORDS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WORDS_MAX = 1024, WORDS_GROUP = 4, WORDS_GROUP_BITS = 10 };

/* ASCII letters in lower case, a blank before and behind the text. */
struct words {
    size_t length;
    uint8_t groups[1 << WORDS_GROUP_BITS]; /* by hash: 1 when a group occurs */
    char text[WORDS_MAX + 2];
};

/* Reads a text, up to WORDS_MAX bytes of it. */
void words_read(struct words *words, const char *text, size_t length);

static inline unsigned words_group(const char *at)
{
    uint32_t group;
    memcpy(&group, at, WORDS_GROUP);
    return (group * 2654435761U) >> (32 - WORDS_GROUP_BITS);
}

/* Does a literal of at least WORDS_GROUP bytes, in lower case, occur? */
static inline bool words_have(const struct words *words, const char *literal, size_t length)
{
    for (size_t i = 0; i < length - WORDS_GROUP; i += WORDS_GROUP) {
        if (!words->groups[words_group(literal + i)])
            return false;
    }
    return words->groups[words_group(literal + length - WORDS_GROUP)] &&
           memmem(words->text, words->length, literal, length) != NULL;
}

#endif
