/* Running another program to its end, with a deadline: what it says, and how it ended. */
#ifndef MILTER_SUPERVISOR_DOCTOR_COMMAND_H
#define MILTER_SUPERVISOR_DOCTOR_COMMAND_H

#include "conf/lib/failure.h"
#include "milter/supervisor/doctor_account.h"

struct command {
    const char *const *arguments; /* the first is the path; NULL behind the last */
    const struct account *as;     /* NULL: as we are */
    int descriptor;               /* what it gets at handover number HANDOVER_SETTINGS, or -1 */
    int deadline_ms;
};

struct command_result {
    int status;      /* exit status */
    const char *out; /* standard output, NUL-terminated */
    const char *err; /* the last line of standard error */
};

/* Where a program is: in PATH, else in one of the folders where Postfix is usually installed; NULL: nowhere. */
const char *command_find(const char *name);

/* false with *failure where it does not start, does not end within its deadline, dies or says too much. */
bool command_run(const struct command *command, struct command_result *result, struct failure *failure);

#endif
