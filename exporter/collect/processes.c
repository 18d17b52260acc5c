/* One walk over /proc a run: nothing is kept of a process but what it adds to the counts of its role. */
#include "exporter/collect/processes.h"

#include "exporter/collect/clock.h"
#include "exporter/collect/postfix_limits.h"
#include "exporter/collect/process.h"
#include "exporter/collect/process_role.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAUSE_MS = 15 * 1000, DEADLINE_MS = 10 * 1000, LOOK_AT_CLOCK = 256 };

struct counted {
    int64_t count;
    uint64_t oldest; /* its start, in ticks */
};

enum amount { enough, too_few, too_many };

struct processes {
    const struct settings *settings;
    const struct tally *tally;
    int proc;
    bool shown[server_COUNT]; /* roles of this MTA */
    struct counted roles[role_COUNT];
    enum amount said[OWN_ROLES_MAX]; /* what the log has said last */
    struct process parent;           /* the last one that was read: children of one parent mostly stand together */
    char title[PROCESS_TITLE_BYTES];
};

/* ---- one process ---- */

static void count(struct counted *role, const struct process *process)
{
    if (role->count == 0 || process->started < role->oldest)
        role->oldest = process->started;
    role->count++;
}

static const char *name_of_parent(struct processes *self, pid_t pid)
{
    if (self->parent.pid != pid && (pid <= 0 || !process_read(self->proc, pid, &self->parent)))
        self->parent = (struct process){.pid = pid};
    return self->parent.name;
}

static void count_role(struct processes *self, const struct process *process)
{
    bool is_nested;
    enum label_role role = process_role(process->name, name_of_parent(self, process->parent), self->title);
    if (role == role_COUNT || !process_read_nested(self->proc, process->pid, &is_nested) || is_nested)
        return;
    self->shown[process_role_server(role)] = true;
    count(&self->roles[role], process);
}

static void count_process(struct processes *self, pid_t pid)
{
    const struct own_roles *own = &self->settings->collector_processes;
    struct process process;
    if (!process_read(self->proc, pid, &process) || process.is_kernel || strchr("ZXx", process.state) != NULL)
        return;
    bool likely = process_role_likely(process.name);
    if (likely || own->count > 0)
        process_read_title(self->proc, pid, self->title);
    if (likely)
        count_role(self, &process);
    for (uint32_t i = 0; i < own->count; i++) {
        if (strstr(process.name, own->list[i].match) != NULL || strstr(self->title, own->list[i].match) != NULL)
            count(&self->roles[role_own_0 + i], &process);
    }
}

/* ---- all ---- */

/* With hidepid, /proc shows an unprivileged process no others, and a count would be wrong. */
static bool sees_others(const struct processes *self, struct failure *failure)
{
    struct process init;
    return process_read(self->proc, 1, &init) || fail(failure, EX_NOPERM,
                                                      "/proc does not show processes of others (hidepid): put the "
                                                      "collector's account into the group that may see them");
}

static bool walk(struct processes *self, struct failure *failure)
{
    int64_t end = clock_ms() + DEADLINE_MS;
    unsigned seen = 0;
    int fd = openat(self->proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        if (fd >= 0)
            close(fd);
        return fail(failure, EX_OSERR, "/proc cannot be read: %s", strerror(errno));
    }
    bool in_time = true;
    for (const struct dirent *entry; in_time && (entry = readdir(folder)) != NULL;) {
        char *rest;
        long pid = strtol(entry->d_name, &rest, 10);
        if (pid > 0 && pid <= INT32_MAX && *rest == '\0')
            count_process(self, (pid_t)pid);
        if (++seen % LOOK_AT_CLOCK == 0)
            in_time = clock_ms() < end;
    }
    closedir(folder);
    return in_time ||
           fail(failure, EX_UNAVAILABLE, "there are too many processes to be counted within %d s", DEADLINE_MS / 1000);
}

/* ---- what is shown ---- */

static void show(const struct processes *self, int role, int64_t now_us)
{
    int64_t ticks = sysconf(_SC_CLK_TCK);
    const struct counted *counted = &self->roles[role];
    int64_t age = now_us - (int64_t)(counted->oldest * 1000000 / (uint64_t)ticks);
    tally_gauge_set(self->tally, (unsigned)gauge_processes + (unsigned)role, counted->count);
    tally_gauge_set(self->tally, (unsigned)gauge_process_oldest_seconds + (unsigned)role,
                    counted->count == 0 ? GAUGE_ABSENT
                    : age > 0           ? age
                                        : 0);
}

static void hide(const struct processes *self, int role)
{
    tally_gauge_set(self->tally, (unsigned)gauge_processes + (unsigned)role, GAUGE_ABSENT);
    tally_gauge_set(self->tally, (unsigned)gauge_process_oldest_seconds + (unsigned)role, GAUGE_ABSENT);
}

static void show_limits(const struct processes *self)
{
    int64_t limits[role_COUNT];
    const struct own_roles *own = &self->settings->collector_processes;
    struct mta_text main_cf = {NULL, 0}, master_cf = {NULL, 0};
    if (mta_server(self->settings) == server_postfix) {
        main_cf = mta_read_postfix(self->settings, "main.cf");
        master_cf = mta_read_postfix(self->settings, "master.cf");
    }
    postfix_limits(&main_cf, &master_cf, limits);
    free(main_cf.text);
    free(master_cf.text);
    for (uint32_t i = 0; i < own->count; i++)
        limits[role_own_0 + i] = own->list[i].most > 0 ? own->list[i].most : GAUGE_ABSENT;
    for (unsigned role = 0; role < role_COUNT; role++)
        tally_gauge_set(self->tally, (unsigned)gauge_processes_limit + role, limits[role]);
}

/* The operator's limits: what is beyond them is said when it begins, and when it ends. */
static void say_amounts(struct processes *self)
{
    const struct own_roles *own = &self->settings->collector_processes;
    for (uint32_t i = 0; i < own->count; i++) {
        const struct own_role *role = &own->list[i];
        int64_t now = self->roles[role_own_0 + i].count;
        enum amount amount = now < role->least ? too_few : role->most > 0 && now > role->most ? too_many : enough;
        if (amount == self->said[i])
            continue;
        self->said[i] = amount;
        if (amount == too_few)
            log_warning("processes of role %s: %" PRId64 ", which is less than %" PRId64, role->name, now, role->least);
        else if (amount == too_many)
            log_warning("processes of role %s: %" PRId64 ", which is more than %" PRId64, role->name, now, role->most);
        else
            log_info("processes of role %s: %" PRId64 ", as many as there should be", role->name, now);
    }
}

/* ---- the collector ---- */

static bool run(void *context, struct failure *failure)
{
    struct processes *self = context;
    memset(self->roles, 0, sizeof self->roles);
    self->parent = (struct process){.pid = 0};
    bool good = sees_others(self, failure) && walk(self, failure);
    int64_t now_us = clock_us(CLOCK_BOOTTIME);
    for (int role = 0; role < role_COUNT; role++) {
        enum label_server server = process_role_server((enum label_role)role);
        uint32_t own = (uint32_t)(role - role_own_0);
        if (good && (server != server_COUNT ? self->shown[server] : own < self->settings->collector_processes.count))
            show(self, role, now_us);
        else
            hide(self, role);
    }
    show_limits(self);
    if (good)
        say_amounts(self);
    return good;
}

void *processes_open_at(const char *proc, const struct settings *settings, const struct tally *tally,
                        struct failure *failure)
{
    struct processes *self = calloc(1, sizeof *self);
    if (self == NULL) {
        fail(failure, EX_OSERR, "no memory to count processes");
        return NULL;
    }
    *self = (struct processes){.settings = settings, .tally = tally};
    self->proc = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->proc < 0) {
        fail(failure, EX_UNAVAILABLE, "%s cannot be opened: %s", proc, strerror(errno));
        free(self);
        return NULL;
    }
    enum label_server server = mta_server(settings);
    if (server != server_COUNT)
        self->shown[server] = true;
    return self;
}

static void *open_processes(const struct settings *settings, const struct tally *tally, struct failure *failure)
{
    return processes_open_at("/proc", settings, tally, failure);
}

static int64_t pause_ms(const void *self)
{
    (void)self;
    return PAUSE_MS;
}

static void close_processes(void *context)
{
    struct processes *self = context;
    close(self->proc);
    free(self);
}

const struct collector collect_processes = {.name = collector_processes,
                                            .deadline_ms = DEADLINE_MS + 5000,
                                            .open = open_processes,
                                            .run = run,
                                            .pause_ms = pause_ms,
                                            .close = close_processes};
