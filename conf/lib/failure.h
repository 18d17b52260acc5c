/* Errors as values: an exit status of sysexits(3) and one sentence that a person can act on (what, where, what to do). */
#ifndef CONF_LIB_FAILURE_H
#define CONF_LIB_FAILURE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sysexits.h>

struct failure {
    int status;     /* EX_OK while nothing failed */
    char text[512]; /* no final newline; cut at the end if longer */
};

/* Fills *failure and returns false, so that a function can say `return fail(failure, EX_CONFIG, …)`. */
__attribute__((format(printf, 3, 4))) static inline bool fail(struct failure *failure, int status, const char *format,
                                                              ...)
{
    va_list arguments;
    va_start(arguments, format);
    failure->status = status;
    vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    return false;
}

#endif
