/* Memory of the doctor: what is taken stays until all is given back, since the doctor looks once and ends. */
#ifndef MILTER_SUPERVISOR_DOCTOR_MEMORY_H
#define MILTER_SUPERVISOR_DOCTOR_MEMORY_H

#include <stddef.h>

/* Zeroed. Where there is no memory the program ends with a sentence, status EX_OSERR: not for a process that others rely on. */
void *memory_take(size_t size);

/* The first `length` bytes of `text` and a NUL. */
char *memory_copy(const char *text, size_t length);

__attribute__((format(printf, 1, 2))) const char *memory_print(const char *format, ...);

/* Gives all of it back. */
void memory_free(void);

#endif
