/*
 * macros.h - the macros of an MTA: their values now, and which of them each stage of a session sends.
 *
 * Names are given with or without braces: "i", "{client_addr}", "client_addr".
 */
#ifndef KIT_MACROS_H
#define KIT_MACROS_H

#include <stdbool.h>
#include <stddef.h>

enum { MACROS_MAX = 64, MACRO_NAME = 64, MACRO_STAGES = 7 };

struct macro {
    char name[MACRO_NAME]; /* without braces */
    char *value;           /* NULL: not defined now */
};

struct macros {
    struct macro of[MACROS_MAX];
    int count;
    int list[MACRO_STAGES][MACROS_MAX]; /* indexes into of[], in the order of the list */
    int list_length[MACRO_STAGES];
};

struct bytes;

void macros_set(struct macros *m, const char *name, const char *value);
/* NULL takes the value away. */

void macros_list(struct macros *m, int stage, const char *names);
/* Makes names, separated by blanks or commas, the list of that stage. */

bool macros_listed(const struct macros *m, int stage, const char *name);

void macros_write(const struct macros *m, int stage, struct bytes *to);
/* Appends name NUL value NUL for each macro on the list that has a value. */

void macros_free(struct macros *m);

#endif
