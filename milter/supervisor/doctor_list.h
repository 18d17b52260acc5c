/* Postfix' lists of filters, as smtpd_milters holds them: entries between commas or blanks, each TRANSPORT:ENDPOINT or
 * { TRANSPORT:ENDPOINT, NAME=VALUE, ... } with settings of its own. */
#ifndef MILTER_SUPERVISOR_DOCTOR_LIST_H
#define MILTER_SUPERVISOR_DOCTOR_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter {
    const struct filter *next;
    const char *text;     /* as it stands, with its braces */
    const char *endpoint; /* "unix:milterscope/milter.sock" */
    const char *settings; /* what stands behind it in the braces */
};

/* The entries of a list; NULL: there are none. Kept in the doctor's memory, as all that follows. */
const struct filter *list_split(const char *value);

/* The value of a setting of the entry's own, or NULL. */
const char *list_setting(const struct filter *filter, const char *name);

/* The entries for which `keep` is true, and `last` behind them (NULL: nothing). As main.cf shows it, or without any blank, which the
 * values in master.cf must not have. */
const char *list_join(const struct filter *filters, bool (*keep)(const struct filter *filter, const void *context),
                      const void *context, const char *last, bool compact);

/* A time of Postfix' (30s, 5m, a bare number of seconds) in seconds; -1: it cannot be read. */
int64_t list_seconds(const char *text);

#endif
