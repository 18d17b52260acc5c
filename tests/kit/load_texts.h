/*
 * load_texts.h - the texts that the load generator says: those of Postfix and of ordinary mail, since what a filter looks for in them
 * must be there to be found.
 */
#ifndef KIT_LOAD_TEXTS_H
#define KIT_LOAD_TEXTS_H

#include <stddef.h>

/* Name and value. */
extern const char *const load_headers[][2];
extern const size_t load_headers_count;

/* What Postfix tells of a refused recipient: enhanced code, and text without code and address. */
struct load_refusal {
    const char *code, *text;
};
extern const struct load_refusal load_refusals[];
extern const size_t load_refusals_count;

#endif
