/* The checks of the doctor, and what they are given. A check looks at one thing and adds findings; all stand in the table of doctor.c.
 * What cures a finding is made from what is found, so lines for one setting are one line: pasted in any order they do not undo each
 * other. */
#ifndef MILTER_SUPERVISOR_DOCTOR_CHECKS_H
#define MILTER_SUPERVISOR_DOCTOR_CHECKS_H

#include "conf/lib/settings.h"
#include "milter/supervisor/doctor_account.h"
#include "milter/supervisor/doctor_findings.h"
#include "milter/supervisor/doctor_list.h"
#include "milter/supervisor/doctor_postfix.h"
#include "milter/supervisor/doctor_sendmail.h"

#include <sys/types.h>

struct doctor {
    const char *file; /* our configuration */
    const struct settings *settings;
    const struct postfix *postfix;   /* NULL: the MTA is another */
    const struct sendmail *sendmail; /* NULL: the MTA is another */
    struct account own;              /* whom milterscope runs as, or is to run as */
    struct findings findings;
};

/* Beyond these a filter that hangs holds up mail for longer than it takes to replace it. Seconds. */
enum { CONNECT_MOST = 5, COMMAND_MOST = 10, CONTENT_MOST = 30 };

void doctor_postfix_lists(struct doctor *doctor); /* is our filter in the lists, where, and with what settings */
void doctor_postfix_services(
    struct doctor *doctor); /* no_milters, listeners with a content filter, or where mail comes back from one */
void doctor_postfix_refusals(struct doctor *doctor); /* smtpd_delay_reject */
void doctor_sendmail_filters(struct doctor *doctor); /* INPUT_MAIL_FILTER: is ours there, its place, F= and T= */
void doctor_sendmail_listeners(struct doctor *doctor);
void doctor_socket(struct doctor *doctor); /* can the MTA, and only the MTA, reach the milter socket */
void doctor_open_files(struct doctor *doctor);
void doctor_folders(struct doctor *doctor);
void doctor_collector(
    struct doctor *doctor); /* does it run, and may it see the queue, the log, and processes of others */
void doctor_redis(struct doctor *doctor);

/* ---- shared by them ---- */

/* The process that holds the lock of that program in run_directory, or 0. */
pid_t doctor_holder(const struct settings *settings, const char *program);

/* The path of our socket, or NULL where it is TCP. */
const char *doctor_unix_path(const struct doctor *doctor);

/* Do two paths lead to one file, which need not exist? */
bool doctor_same_path(const char *one, const char *other);

/* Do the port, the first `length` bytes, and the host lead to our socket, which is TCP? Names of loopback are all the same. */
bool doctor_same_port(const struct doctor *doctor, const char *port, size_t length, const char *host);

/* A line for our own configuration. */
struct cure doctor_set(const struct doctor *doctor, const char *line);

/* What closes a folder that others may write: `change` of its mode, and of one that all accounts share, as /tmp, nothing: `line` puts
 * what is ours elsewhere. */
struct cure doctor_close(const struct doctor *doctor, const char *folder, mode_t mode, const char *change,
                         const char *line);

/* Does milter.reinjection name the listener? */
bool doctor_reinjects(const struct doctor *doctor, const char *host, const char *port);

/* How an entry of Postfix' list stands to our socket. */
enum entry_kind {
    entry_other,
    entry_ours,
    entry_astray, /* it names our socket as seen from elsewhere: in the chroot, or out of it, the path leads to nothing */
};
enum entry_kind doctor_entry(const struct doctor *doctor, const struct filter *entry, bool chrooted);

/* How Postfix is to name our socket: "unix:milterscope/milter.sock". */
const char *doctor_name_for_postfix(const struct doctor *doctor);

/* Where our socket is to be for an MTA that cannot reach it where it is. */
const char *doctor_usual_path(const struct doctor *doctor);

/* Does something of Postfix work in the chroot, and our socket is not in there? */
bool doctor_out_of_chroot(const struct doctor *doctor);

/* Is it a listener to which a content filter hands mail back, and where we have nothing to see? */
bool doctor_comes_back(const struct doctor *doctor, const struct postfix_service *service);

/* Is what it takes shown to a content filter before the queue, and to milters only in part? */
bool doctor_before_queue(const struct doctor *doctor, const struct postfix_service *service);

/* Do some of the services with that command work in the chroot? */
bool doctor_any_chrooted(const struct postfix *postfix, const char *command);

#endif
