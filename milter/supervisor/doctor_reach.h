/* Can an account reach something? Tried in a child that becomes the account, inside the root that it works in: that tells the truth about
 * groups, access lists and links, which reading modes does not. */
#ifndef MILTER_SUPERVISOR_DOCTOR_REACH_H
#define MILTER_SUPERVISOR_DOCTOR_REACH_H

#include "conf/lib/failure.h"
#include "milter/supervisor/doctor_account.h"

#include <stddef.h>

struct reach {
    const struct account *account;
    const char *root;   /* NULL: as we see it */
    const char *folder; /* where it works in that root; NULL: at its top */
    const char *path;
};

enum reach_end {
    reach_good,    /* the filter has answered; the folder can be written */
    reach_closed,  /* not allowed */
    reach_missing, /* not there */
    reach_refused, /* nobody listens on the socket */
    reach_silent,  /* somebody listens, and does not answer as a filter does */
    reach_other,   /* see `error` */
};

struct reached {
    enum reach_end end;
    int error;
    size_t at; /* of what is closed or missing: so many bytes of the path lead to it */
};

/* Connects to a Unix socket and asks whether a filter answers, as the check of the supervisor does: nothing is counted. Returns within
 * seconds; false with *failure where it cannot be tried. */
bool reach_socket(const struct reach *reach, struct reached *reached, struct failure *failure);

/* Looks whether files can be made in a folder. */
bool reach_folder(const struct reach *reach, struct reached *reached, struct failure *failure);

/* As reach_socket for inet:port@host, as we are. */
bool reach_port(const char *socket, struct reached *reached, struct failure *failure);

#endif
