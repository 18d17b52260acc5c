/* The milter socket: can the MTA reach it, as the account that it runs as and inside its chroot, does the filter answer there, and can
 * nobody else? */
#include "milter/supervisor/doctor_checks.h"
#include "milter/supervisor/doctor_memory.h"
#include "milter/supervisor/doctor_reach.h"

#include <string.h>
#include <sys/stat.h>

/* Who reaches for the socket. */
struct way {
    const char *who; /* "Postfix", "sendmail" */
    struct reach reach;
};

static const char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return memory_copy(path, slash != NULL && slash > path ? (size_t)(slash - path) : 1);
}

static struct cure give_folder(const struct doctor *doctor, const struct way *way, const char *folder)
{
    bool postfix = doctor->postfix != NULL; /* whose group is given to what is made in the folder */
    const char *group = postfix ? way->reach.account->group : doctor->own.group;
    return cure_run(memory_print("install -d -o %s -g %s -m %s %s && systemctl restart milterscope",
                                 shell_word(doctor->own.name), shell_word(group), postfix ? "2750" : "0750",
                                 shell_word(folder)));
}

/* What is closed or missing, as we see it. */
static const char *seen_from_here(const struct way *way, size_t at)
{
    const struct reach *reach = &way->reach;
    const char *top = reach->root != NULL ? reach->root : "";
    const char *folder = reach->folder != NULL && reach->path[0] != '/' ? reach->folder : "";
    return memory_print("%s%s%s%.*s", top, folder, reach->path[0] == '/' ? "" : "/", (int)at, reach->path);
}

static void say_closed(struct doctor *doctor, const struct way *way, const struct reached *reached)
{
    const char *here = seen_from_here(way, reached->at);
    const char *path = doctor_unix_path(doctor);
    const char *group = way->reach.account->group;
    if (reached->at == strlen(way->reach.path)) {
        const char *line = memory_print("milter: {socket_group: %s, socket_mode: 0660}", group);
        findings_add(&doctor->findings, doctor_set(doctor, line), "%s runs as %s, which may not open the socket %s",
                     way->who, way->reach.account->name, here);
        return;
    }
    bool own = doctor_same_path(here, folder_of(path));
    struct cure cure = own ? cure_run(memory_print("chgrp %s %s && chmod 2750 %s", shell_word(group), shell_word(here),
                                                   shell_word(here)))
                           : cure_run(memory_print("chmod o+x %s", shell_word(here)));
    findings_add(&doctor->findings, cure, "%s runs as %s, which may not enter %s, where the way to the socket leads",
                 way->who, way->reach.account->name, here);
}

static void say_missing(struct doctor *doctor, const struct way *way, const struct reached *reached)
{
    const char *here = seen_from_here(way, reached->at);
    if (reached->at < strlen(way->reach.path))
        findings_add(&doctor->findings, give_folder(doctor, way, folder_of(doctor_unix_path(doctor))),
                     "there is no folder %s for the milter socket", here);
    else
        findings_add(&doctor->findings, cure_run("systemctl restart milterscope"),
                     "there is no socket %s: milterscope does not run", here);
}

static void say_reached(struct doctor *doctor, const struct way *way, const struct reached *reached)
{
    switch (reached->end) {
    case reach_good:
        return;
    case reach_closed:
        say_closed(doctor, way, reached);
        return;
    case reach_missing:
        say_missing(doctor, way, reached);
        return;
    case reach_refused:
        findings_add(&doctor->findings, cure_run("systemctl restart milterscope"),
                     "nobody listens at %s: milterscope does not run", doctor->settings->milter_socket);
        return;
    case reach_silent:
        findings_add(&doctor->findings, cure_run("systemctl restart milterscope"),
                     "somebody listens at %s and does not answer as a filter", doctor->settings->milter_socket);
        return;
    case reach_other:
        findings_add(&doctor->findings, cure_run("systemctl restart milterscope"), "%s cannot be reached: %s",
                     doctor->settings->milter_socket, strerror(reached->error));
        return;
    }
}

static bool try_way(struct doctor *doctor, const struct way *way, struct reached *reached)
{
    struct failure failure;
    if (reach_socket(&way->reach, reached, &failure))
        return true;
    findings_blind(&doctor->findings, failure.status, "%s", failure.text);
    return false;
}

/* A socket that every account may open: anybody can send the filter sessions that never were. */
static void look_at_others(struct doctor *doctor)
{
    struct account nobody;
    struct reached reached;
    struct way way = {"nobody", {&nobody, NULL, NULL, doctor_unix_path(doctor)}};
    if (!account_named("nobody", &nobody) || !account_allowed(&nobody, NULL) || !try_way(doctor, &way, &reached))
        return;
    if (reached.end == reach_good)
        findings_add(
            &doctor->findings, doctor_set(doctor, "milter: {socket_mode: 0660}"),
            "every account on this host may open the milter socket, and have sessions counted that never were");
}

/* ---- Postfix ---- */

/* The ways that Postfix' services take, each once: by the names in the lists that lead to us, else by the name that we would give it. */
static void look_from_postfix(struct doctor *doctor)
{
    const struct postfix *postfix = doctor->postfix;
    const char *queue = postfix_value(postfix, NULL, "queue_directory");
    static const char *const uses[][2] = {{"smtpd", "smtpd_milters"}, {"cleanup", "non_smtpd_milters"}};
    struct account account;
    const char *tried = "";
    if (!account_named(postfix_value(postfix, NULL, "mail_owner"), &account)) {
        findings_blind(&doctor->findings, EX_UNAVAILABLE, "there is no account %s, which Postfix' mail_owner names",
                       postfix_value(postfix, NULL, "mail_owner"));
        return;
    }
    for (const struct postfix_service *service = postfix->services; service != NULL; service = service->next) {
        size_t i = strcmp(service->command, uses[1][0]) == 0;
        if (strcmp(service->command, uses[i][0]) != 0 || doctor_comes_back(doctor, service))
            continue;
        bool chrooted = postfix_chrooted(postfix, service);
        const struct filter *entry = list_split(postfix_value(postfix, service, uses[i][1]));
        while (entry != NULL && doctor_entry(doctor, entry, chrooted) != entry_ours)
            entry = entry->next;
        const char *name = entry != NULL ? entry->endpoint : doctor_name_for_postfix(doctor);
        struct way way = {"Postfix",
                          {&account, chrooted ? queue : NULL, chrooted ? NULL : queue, strchr(name, ':') + 1}};
        const char *mark = memory_print("|%d %s|", chrooted, name);
        struct reached reached;
        if (strstr(tried, mark) != NULL)
            continue;
        tried = memory_print("%s%s", tried, mark);
        if (try_way(doctor, &way, &reached))
            say_reached(doctor, &way, &reached);
    }
}

/* ---- sendmail ---- */

/* As sendmail does it before it opens a socket (safefile.c): no folder on the way may be writable to the group or to all. */
static bool is_safe(struct doctor *doctor, const char *path)
{
    struct stat status;
    for (const char *slash = path; slash != NULL; slash = strchr(slash + 1, '/')) {
        const char *folder = slash == path ? "/" : memory_copy(path, (size_t)(slash - path));
        if (stat(folder, &status) != 0)
            return true; /* that will be said */
        mode_t writable = status.st_mode & (S_IWOTH | (doctor->sendmail->group_writable_is_safe ? 0 : S_IWGRP));
        if (writable == 0 || (doctor->sendmail->sticky_is_safe && (status.st_mode & S_ISVTX) != 0))
            continue;
        const char *line = memory_print("milter: {socket: \"unix:%s\"}", doctor_usual_path(doctor));
        findings_add(&doctor->findings, doctor_close(doctor, folder, status.st_mode, "go-w", line),
                     "%s is writable to %s, so sendmail refuses the milter socket there as unsafe", folder,
                     (writable & S_IWOTH) != 0 ? "everybody" : "its group");
        return false;
    }
    return true;
}

static void look_from_sendmail(struct doctor *doctor, const char *path)
{
    struct account account;
    struct reached reached;
    const char *name = doctor->sendmail->run_as != NULL ? doctor->sendmail->run_as : "root";
    struct way way = {"sendmail", {&account, NULL, NULL, path}};
    if (!account_named(name, &account)) {
        findings_blind(&doctor->findings, EX_UNAVAILABLE, "there is no account %s, which sendmail is to run as", name);
        return;
    }
    is_safe(doctor, path);
    if (try_way(doctor, &way, &reached))
        say_reached(doctor, &way, &reached);
}

/* ---- */

static void look_at_port(struct doctor *doctor)
{
    struct reached reached;
    struct failure failure;
    const char *line = memory_print("milter: {socket: \"unix:%s\"}", doctor_usual_path(doctor));
    findings_add(&doctor->findings, doctor_set(doctor, line),
                 "milter.socket is TCP: every account on this host can have sessions counted that never were%s",
                 doctor->sendmail != NULL ? ", and sendmail takes some 40 ms longer FOR EVERY COMMAND of a session"
                                          : "");
    bool tried = reach_port(doctor->settings->milter_socket, &reached, &failure);
    if (tried && (reached.end == reach_closed || reached.end == reach_missing))
        reached.end = reach_other; /* by a packet filter, not by modes */
    if (tried)
        say_reached(doctor, &(struct way){.who = "the MTA"}, &reached);
    else
        findings_blind(&doctor->findings, failure.status, "%s", failure.text);
}

void doctor_socket(struct doctor *doctor)
{
    const char *path = doctor_unix_path(doctor);
    if (path == NULL) {
        look_at_port(doctor);
        return;
    }
    if (doctor->postfix != NULL && doctor_out_of_chroot(doctor)) {
        const char *line = memory_print("milter: {socket: \"unix:%s\"}", doctor_usual_path(doctor));
        findings_add(&doctor->findings, doctor_set(doctor, line),
                     "Postfix works in the chroot %s, where it cannot reach milter.socket %s",
                     postfix_value(doctor->postfix, NULL, "queue_directory"), path);
        return;
    }
    if (doctor->postfix != NULL)
        look_from_postfix(doctor);
    else
        look_from_sendmail(doctor, path);
    look_at_others(doctor);
}
