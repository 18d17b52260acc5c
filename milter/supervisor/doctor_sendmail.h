/* What sendmail is told to do about filters: the lines of sendmail.cf that speak of them. */
#ifndef MILTER_SUPERVISOR_DOCTOR_SENDMAIL_H
#define MILTER_SUPERVISOR_DOCTOR_SENDMAIL_H

#include "conf/lib/failure.h"

#include <stdint.h>

/* Xname, S=socket, F=flags, T=C:time;S:time;R:time;E:time */
struct sendmail_filter {
    struct sendmail_filter *next;
    const char *name;
    const char *socket;
    const char *flags;
    int64_t connect, write, read, content; /* seconds */
};

/* A word of a list of names. */
struct sendmail_word {
    struct sendmail_word *next;
    const char *text;
};

/* O DaemonPortOptions= */
struct sendmail_listener {
    struct sendmail_listener *next;
    const char *name, *address, *port; /* "" where it is not said */
    const char *options;               /* all of them but those that follow */
    bool has_filters;                  /* of its own, InputMailFilters= */
    struct sendmail_word *filters;     /* NULL: none */
};

struct sendmail {
    struct sendmail_filter *filters;
    struct sendmail_word *input; /* O InputMailFilters= */
    struct sendmail_listener *listeners;
    const char *run_as;          /* the account, or NULL: root */
    unsigned long children;      /* O MaxDaemonChildren=; 0: no limit */
    bool group_writable_is_safe; /* O DontBlameSendmail=GroupWritableDirPathSafe */
    bool sticky_is_safe;         /* O DontBlameSendmail=TrustStickyBit */
};

/* Reads sendmail.cf; NULL with *failure. */
struct sendmail *sendmail_read(const char *file, struct failure *failure);

/* The same of a text; for tests, and the fuzzer. */
struct sendmail *sendmail_parse(const char *text, size_t length);

/* The filter of that name, or NULL. */
const struct sendmail_filter *sendmail_filter(const struct sendmail *sendmail, const char *name);

#endif
