/* The collector: whether it runs, and what it may not see. It knows best itself: of each thing that it looks at, its tally
 * says whether the last look went well. Here stands why that may be, and what helps. One that never ran on this host is not
 * missed. */
#include "conf/lib/tally.h"
#include "milter/supervisor/doctor_checks.h"
#include "milter/supervisor/doctor_memory.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char program[] = "milterscope-collector";

/* A line that adds to its unit. */
static struct cure unit_cure(const char *name, const char *lines)
{
    return cure_run(memory_print("mkdir -p /etc/systemd/system/%s.service.d && printf '[Service]\\n%s' "
                                 ">/etc/systemd/system/%s.service.d/%s.conf && systemctl daemon-reload && systemctl "
                                 "restart %s",
                                 program, lines, program, name, program));
}

/* ---- its process ---- */

/* May it read what its account may not? Of one that cannot be seen: yes. */
static bool reads_everything(pid_t pid)
{
    char path[32], line[256];
    uint64_t capabilities = UINT64_MAX;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "CapEff:", 7) == 0)
            capabilities = strtoull(line + 7, NULL, 16);
    }
    if (status != NULL)
        fclose(status);
    return (capabilities & (UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_DAC_OVERRIDE)) != 0;
}

static const char *account_of(pid_t pid)
{
    char path[32];
    struct stat status;
    struct account account;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (stat(path, &status) != 0)
        return "an account that cannot be seen";
    account_numbered(status.st_uid, &account);
    return memory_print("%s", account.name[0] != '\0' ? account.name : account.group);
}

/* ---- /proc ---- */

/* The value of the option hidepid of the /proc that is in force; NULL: processes of others are shown. *group: of those who see them. */
static const char *hidden_processes(const char **group)
{
    const char *hidden = NULL;
    const struct mntent *entry;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    *group = NULL;
    while (mounts != NULL && (entry = getmntent(mounts)) != NULL) {
        if (strcmp(entry->mnt_dir, "/proc") != 0)
            continue;
        const char *hidepid = hasmntopt(entry, "hidepid"), *gid = hasmntopt(entry, "gid");
        hidden = hidepid == NULL ? NULL : memory_copy(hidepid + 8, strcspn(hidepid + 8, ","));
        *group = gid == NULL ? NULL : memory_copy(gid + 4, strcspn(gid + 4, ","));
    }
    if (mounts != NULL)
        endmntent(mounts);
    return hidden == NULL || strcmp(hidden, "0") == 0 || strcmp(hidden, "off") == 0 ? NULL : hidden;
}

/* ---- what it does not see ---- */

static const struct cure ask_it = {"See what it says", "journalctl -n 50 -u milterscope-collector"};

static void say_closed(struct doctor *doctor, pid_t pid, const char *what)
{
    if (reads_everything(pid))
        findings_add(&doctor->findings, ask_it, "%s does not see %s", program, what);
    else
        findings_add(&doctor->findings,
                     unit_cure("rights", "AmbientCapabilities=CAP_DAC_READ_SEARCH\\n"
                                         "CapabilityBoundingSet=CAP_DAC_READ_SEARCH\\n"),
                     "%s does not see %s, and runs as %s without CAP_DAC_READ_SEARCH", program, what, account_of(pid));
}

static void say_hidden(struct doctor *doctor, const char *what)
{
    const char *group, *hidden = hidden_processes(&group);
    if (hidden == NULL)
        findings_add(&doctor->findings, ask_it, "%s does not see %s", program, what);
    else if (group != NULL)
        findings_add(&doctor->findings, unit_cure("proc", memory_print("SupplementaryGroups=%s\\n", group)),
                     "%s does not see %s: /proc is mounted with hidepid=%s, for group %s", program, what, hidden,
                     group);
    else
        findings_add(&doctor->findings,
                     (struct cure){"Run, and put gid= into /etc/fstab, too",
                                   memory_print("mount -o remount,hidepid=%s,gid=%u /proc && systemctl restart %s",
                                                hidden, (unsigned)doctor->own.gid, program)},
                     "%s does not see %s: /proc is mounted with hidepid=%s", program, what, hidden);
}

static void look_at_gauges(struct doctor *doctor, pid_t pid, const struct snapshot *node)
{
    const int64_t *success = node->gauges + gauge_collector_success;
    if (success[collector_queue] == 0)
        say_closed(doctor, pid, "all queues");
    if (success[collector_log] == 0)
        say_closed(doctor, pid, "all of the log");
    if (success[collector_processes] == 0)
        say_hidden(doctor, "processes of others");
}

void doctor_collector(struct doctor *doctor)
{
    static struct snapshot node;
    struct failure failure;
    char trace[PATH_MAX];
    const struct settings *settings = doctor->settings;
    pid_t pid = doctor_holder(settings, program);
    snprintf(trace, sizeof trace, "%s/log.json", settings->state_directory);
    if (pid == 0 && access(trace, F_OK) == 0)
        findings_add(&doctor->findings, cure_run("systemctl enable --now milterscope-collector"),
                     "%s does not run: queues, deliveries and processes of the MTA are not seen", program);
    if (pid == 0)
        return;
    struct tally_view *view = tally_view_open_node(settings->run_directory, &failure);
    if (view != NULL && tally_view_read(view, &node))
        look_at_gauges(doctor, pid, &node);
    if (view == NULL)
        findings_blind(&doctor->findings, failure.status, "%s", failure.text);
    if (view != NULL)
        tally_view_close(view);
}
