/* The doctor: which MTA is there, what is looked at, what is said. */
#include "milter/supervisor/doctor.h"

#include "conf/lib/options.h"
#include "milter/supervisor/doctor_checks.h"
#include "milter/supervisor/doctor_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every check; mta_kind_auto: whatever the MTA is. `what` stands where nothing was found. */
static const struct {
    enum mta_kind mta;
    const char *what;
    void (*look)(struct doctor *doctor);
} checks[] = {
    {mta_kind_postfix, "lists of filters", doctor_postfix_lists},
    {mta_kind_postfix, "master.cf", doctor_postfix_services},
    {mta_kind_postfix, "refusals", doctor_postfix_refusals},
    {mta_kind_sendmail, "filters", doctor_sendmail_filters},
    {mta_kind_sendmail, "listeners", doctor_sendmail_listeners},
    {mta_kind_auto, "socket", doctor_socket},
    {mta_kind_auto, "open files", doctor_open_files},
    {mta_kind_auto, "folders", doctor_folders},
    {mta_kind_auto, "collector", doctor_collector},
    {mta_kind_auto, "Redis", doctor_redis},
};
enum { CHECKS = sizeof checks / sizeof checks[0] };

/* What mta.kind says; for auto what is at mta.config, a folder or a file; else what the environment or this host has. */
static enum mta_kind find_kind(const struct settings *settings)
{
    struct stat status;
    if (settings->mta_kind != mta_kind_auto)
        return (enum mta_kind)settings->mta_kind;
    if (settings->mta_config[0] == '/' && stat(settings->mta_config, &status) == 0)
        return S_ISDIR(status.st_mode) ? mta_kind_postfix : mta_kind_sendmail;
    return getenv("MAIL_CONFIG") != NULL ? mta_kind_postfix : options_installed_mta();
}

pid_t doctor_holder(const struct settings *settings, const char *program)
{
    char path[PATH_MAX];
    struct flock request = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(path, sizeof path, "%s/%s.lock", settings->run_directory, program);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool held = fd >= 0 && fcntl(fd, F_GETLK, &request) == 0 && request.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    return held ? request.l_pid : 0;
}

/* Whom milterscope runs as; if it does not run, the account that its packages make; else who asks. */
static void find_own(struct doctor *doctor)
{
    char path[32];
    struct stat status;
    pid_t pid = doctor_holder(doctor->settings, "milterscope");
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (pid > 0 && stat(path, &status) == 0)
        account_numbered(status.st_uid, &doctor->own);
    else if (!account_named("milterscope", &doctor->own))
        account_numbered(geteuid(), &doctor->own);
}

/* Reads the MTA's configuration; *where becomes the place. */
static bool read_mta(struct doctor *doctor, enum mta_kind kind, const char **where, struct failure *failure)
{
    const char *config = doctor->settings->mta_config[0] == '/' ? doctor->settings->mta_config : NULL;
    switch (kind) {
    case mta_kind_postfix:
        doctor->postfix = postfix_ask(config, failure);
        *where = doctor->postfix == NULL
                     ? ""
                     : memory_print("Postfix, %s", postfix_value(doctor->postfix, NULL, "config_directory"));
        return doctor->postfix != NULL;
    case mta_kind_sendmail:
        config = config != NULL ? config : "/etc/mail/sendmail.cf";
        *where = memory_print("sendmail, %s", config);
        doctor->sendmail = sendmail_read(config, failure);
        return doctor->sendmail != NULL;
    case mta_kind_exim:
        return fail(failure, EX_UNAVAILABLE,
                    "Exim does not speak the milter protocol: milterscope cannot be attached to it");
    case mta_kind_auto:
        break;
    }
    return fail(failure, EX_UNAVAILABLE,
                "no Postfix or sendmail is found here; say in mta.kind and mta.config of %s which it is, and where",
                doctor->file);
}

/* One line that says what was looked at. */
static void say_nothing_found(enum mta_kind kind, const char *where)
{
    const char *list = "";
    for (size_t i = 0; i < CHECKS; i++) {
        if (checks[i].mta == mta_kind_auto || checks[i].mta == kind)
            list = memory_print("%s%s%s", list, *list != '\0' ? ", " : "", checks[i].what);
    }
    printf("%s: nothing found (%s)\n", where, list);
}

static int report(const struct doctor *doctor, enum mta_kind kind, const char *where)
{
    const struct findings *findings = &doctor->findings;
    findings_print(findings, stdout);
    if (findings->count > 0)
        printf("%s: %zu found%s%s\n", where, findings->count, doctor->postfix != NULL ? "; when all is pasted: " : "",
               doctor->postfix != NULL ? doctor->postfix->reload : "");
    else if (findings->blind.status == EX_OK)
        say_nothing_found(kind, where);
    if (findings->blind.status != EX_OK)
        fprintf(stderr, "milterscope: not all could be looked at: %s\n", findings->blind.text);
    if (fflush(stdout) != 0)
        return EX_IOERR;
    return findings->count > 0 ? DOCTOR_FOUND : findings->blind.status;
}

int doctor(const char *file, const struct settings *settings)
{
    struct doctor doctor = {.file = file, .settings = settings};
    struct failure failure = {EX_OK, ""};
    const char *where = "";
    enum mta_kind kind = find_kind(settings);
    int status;
    findings_begin(&doctor.findings);
    find_own(&doctor);
    if (read_mta(&doctor, kind, &where, &failure)) {
        for (size_t i = 0; i < CHECKS; i++) {
            if (checks[i].mta == mta_kind_auto || checks[i].mta == kind)
                checks[i].look(&doctor);
        }
        status = report(&doctor, kind, where);
    } else {
        fprintf(stderr, "milterscope: %s\n", failure.text);
        status = failure.status;
    }
    memory_free();
    return status;
}
