/* --check-mta: the doctor. It says what keeps the MTA from showing mail to milterscope, or would let a fault of milterscope hurt mail,
 * each with the line to paste that cures it. It changes nothing, starts no server, and ends within seconds. */
#ifndef MILTER_SUPERVISOR_DOCTOR_H
#define MILTER_SUPERVISOR_DOCTOR_H

#include "conf/lib/settings.h"

/* Prints the findings to standard output, and what could not be looked at to standard error. Returns an exit status: EX_OK nothing was
 * found, DOCTOR_FOUND something was; without findings EX_UNAVAILABLE no MTA was found or it does not say how it is configured, EX_NOPERM
 * not allowed to look, EX_OSFILE milterscope-pusher is missing, EX_OSERR. `file` is the configuration that `settings` come from. */
enum { DOCTOR_FOUND = 1 };
int doctor(const char *file, const struct settings *settings);

#endif
