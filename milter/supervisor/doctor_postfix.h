/* What Postfix is told to do, as its own postconf says it: settings of main.cf, services of master.cf with theirs. */
#ifndef MILTER_SUPERVISOR_DOCTOR_POSTFIX_H
#define MILTER_SUPERVISOR_DOCTOR_POSTFIX_H

#include "conf/lib/failure.h"

struct postfix_setting {
    struct postfix_setting *next;
    const char *name;
    const char *raw;   /* as it stands; NULL: it was not asked for */
    const char *value; /* with what its $names stand for */
};

struct postfix_service {
    struct postfix_service *next;
    const char *name;    /* "submission/inet" */
    const char *command; /* "smtpd", without its arguments */
    const char *chroot;  /* "y", "n" or "-" */
    const char *process_limit;
    struct postfix_setting *settings; /* its own: -o NAME=VALUE */
};

struct postfix {
    const char *postconf; /* how to call it, with -c DIRECTORY where it is needed */
    const char *reload;   /* what makes Postfix read its configuration again */
    struct postfix_setting *settings;
    struct postfix_service *services;
};

/* Asks postconf. `directory`: the configuration; NULL: where Postfix itself looks (MAIL_CONFIG, or what was compiled in). NULL with
 * *failure. */
struct postfix *postfix_ask(const char *directory, struct failure *failure);

/* What follows takes in what postconf has printed; for tests, and the fuzzer. */
enum postfix_form { postfix_raw, postfix_expanded };
void postfix_take_settings(struct postfix *postfix, const char *text,
                           enum postfix_form form);                                       /* postconf, postconf -x */
void postfix_take_services(struct postfix *postfix, const char *text);                    /* postconf -F */
void postfix_take_own(struct postfix *postfix, const char *text, enum postfix_form form); /* postconf -P, -Px */

/* The setting that the service has of its own, or main.cf where `service` is NULL; NULL: none. */
const struct postfix_setting *postfix_own(const struct postfix *postfix, const struct postfix_service *service,
                                          const char *name);

/* The value in force for a service (NULL: in main.cf); never NULL. */
const char *postfix_value(const struct postfix *postfix, const struct postfix_service *service, const char *name);

/* Does the service work in the chroot, which is queue_directory? */
bool postfix_chrooted(const struct postfix *postfix, const struct postfix_service *service);

/* How many processes of the service may run at once; 0: as many as are needed. */
unsigned long postfix_process_limit(const struct postfix *postfix, const struct postfix_service *service);

#endif
