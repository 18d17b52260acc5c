/* The supervisor: the tally, the milter socket, the processes, and the signals of the operator. */
#ifndef MILTER_SUPERVISOR_SUPERVISOR_H
#define MILTER_SUPERVISOR_SUPERVISOR_H

#include "conf/lib/failure.h"
#include "conf/lib/settings.h"

/* Runs until SIGTERM or SIGINT; returns an exit status. `file` is read again at SIGUSR1; `arguments` are what the program starts itself
 * again with when another version was installed. */
int supervisor_run(const char *file, const struct settings *settings, char **arguments);

#endif
