/* What the doctor has found: sentences, each with the line to paste that cures it. */
#ifndef MILTER_SUPERVISOR_DOCTOR_FINDINGS_H
#define MILTER_SUPERVISOR_DOCTOR_FINDINGS_H

#include "conf/lib/failure.h"

#include <stddef.h>

/* What to do about a finding. */
struct cure {
    const char *where; /* "Run", "Put into sendmail.mc, last": what stands before the line */
    const char *line;
};

struct findings {
    struct finding *first, **end;
    size_t count;
    struct failure blind; /* status EX_OK, or the first thing that could not be looked at */
};

void findings_begin(struct findings *findings);

/* Notes a finding. The sentence has no final point. */
__attribute__((format(printf, 3, 4))) void findings_add(struct findings *findings, struct cure cure, const char *format,
                                                        ...);

/* Notes what could not be looked at, and why. */
__attribute__((format(printf, 3, 4))) void findings_blind(struct findings *findings, int status, const char *format,
                                                          ...);

/* Prints them. Of findings after each other with one cure, the cure stands behind the last. */
void findings_print(const struct findings *findings, FILE *out);

/* A line for the shell. */
struct cure cure_run(const char *line);

/* `text` as one word for the shell. */
const char *shell_word(const char *text);

#endif
