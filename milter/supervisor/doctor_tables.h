/* Postfix' lookup tables, as a setting names them: "cidr:/etc/postfix/clients, inline:{ ... }". */
#ifndef MILTER_SUPERVISOR_DOCTOR_TABLES_H
#define MILTER_SUPERVISOR_DOCTOR_TABLES_H

#include "milter/supervisor/doctor_postfix.h"

struct table_entry {
    const struct table_entry *next;
    const char *key;
    const char *value;
};

struct table {
    const struct table *next;
    const char *text; /* as the setting has it */
    const char *type; /* "cidr", also of proxy:cidr: */
    const char *name; /* its path, or what stands in braces, with them */
    bool indexed;     /* what postmap makes of the file at the path is read */
    const struct table_entry *entries;
    struct failure unread; /* status EX_OK, or why there are no entries */
};

/* The tables with what stands in them; NULL: there are none. Kept in the doctor's memory. */
const struct table *tables_read(const struct postfix *postfix, const char *setting);

/* The entries of a text as people write it, for which Postfix makes no index. `patterns`: a key is /PATTERN/flags. */
const struct table_entry *table_entries(const char *text, bool patterns);

#endif
