/* The supervisor's start, loop and end.
 *
 * SIGTERM, SIGINT: stop (again: at once). SIGUSR1, SIGHUP: reload. SIGUSR2: planned restart of filter and pusher. */
#include "milter/supervisor/supervisor.h"

#include "conf/lib/directories.h"
#include "conf/lib/log.h"
#include "conf/lib/mta_checks.h"
#include "conf/lib/notify.h"
#include "conf/lib/options.h"
#include "conf/lib/tally.h"
#include "milter/supervisor/filters.h"
#include "milter/supervisor/orphans.h"
#include "milter/supervisor/pusher_watch.h"
#include "milter/supervisor/rings.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TICK_MS = 200,
    BEAT_MS = 1000,
    STOOD_STILL_MS = 1000, /* a round that took so long: the machine was paused, or is short of memory or CPU */
    LIFE_LEAST_MS = 2000,  /* before it starts itself again: half an upgrade must not become a busy loop */
    LAST_COPY_MS = 3000,
};

static struct {
    const char *file;
    char **arguments;
    char program[PATH_MAX];   /* this executable */
    char directory[PATH_MAX]; /* where it is, and the others with it */
    struct settings settings;
    struct tally tally;
    int process; /* our block in it */
    struct child_kit kit;
    struct filters filters;
    struct pusher_watch pusher;
    int signals;
    int64_t started_ms;
    int64_t round_ms; /* when the last round of the loop began */
    int64_t beat_ms;
    bool announced; /* READY was told to systemd */
    bool stopping;
} self;

static void set_reloaded(enum label_program program, bool successful)
{
    tally_gauge_set(&self.tally, gauge_config_last_reload_successful + (unsigned)program, successful);
    tally_gauge_set(&self.tally, gauge_config_last_reload_timestamp_seconds + (unsigned)program, self.settings.read_at);
}

/* A child that could not take new settings says so. */
static void look_at_refusals(void)
{
    if (self.filters.active.refused)
        set_reloaded(program_filter, false);
    if (self.pusher.child.refused)
        set_reloaded(program_pusher, false);
    self.filters.active.refused = false;
    self.pusher.child.refused = false;
}

/* Where the counts of each domain stand is a part of the settings. */
static void place_domains(struct settings *settings)
{
    unsigned without = tally_place_domains(&self.tally, &settings->domains);
    tally_show_domains(&self.tally, &settings->domains);
    if (without > 0)
        log_warning(
            "domains: %u of them are not counted: there have been more than %d names since milterscope was started; "
            "a restart makes room",
            without, DOMAINS_MAX);
}

static void reload(void)
{
    struct settings fresh;
    struct failure failure;
    char option[64];
    notify_reloading();
    bool good = options_read(self.file, &fresh, &failure);
    int fd = -1;
    bool filter_took = false, pusher_took = false;
    if (good) {
        if (options_keep(&self.settings, &fresh, option))
            log_warning("reload: %s has changed and needs a restart; all that can be reloaded was", option);
        place_domains(&fresh);
        fd = settings_seal(&fresh, &failure);
    }
    if (fd >= 0) {
        self.settings = fresh;
        log_open("milterscope", (enum log_level)fresh.log_level, (enum log_target)fresh.log_target);
        filter_took = filters_reload(&self.filters, fd);
        pusher_took = pusher_reload(&self.pusher, fd);
        close(fd);
        log_info("configuration reloaded");
    } else {
        log_error("reload: %s; the configuration before stays in force", failure.text);
    }
    set_reloaded(program_filter, filter_took);
    set_reloaded(program_pusher, pusher_took);
    notify_ready("serving");
}

static void stop(void)
{
    log_info(self.stopping ? "stopping at once" : "stopping: open sessions get %g s",
             (double)self.settings.milter_drain / 1e6);
    notify_stopping();
    filters_stop(&self.filters, self.stopping);
    self.stopping = true;
}

static void reap(int64_t now_ms)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (!filters_reaped(&self.filters, pid, status, now_ms))
            pusher_reaped(&self.pusher, pid, status, now_ms);
    }
}

static void take_signals(int64_t now_ms)
{
    struct signalfd_siginfo info;
    while (read(self.signals, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
            stop();
            break;
        case SIGUSR1:
        case SIGHUP:
            reload();
            break;
        case SIGUSR2:
            filters_restart(&self.filters);
            pusher_restart(&self.pusher);
            break;
        default:
            reap(now_ms);
        }
    }
}

static bool open_signals(struct failure *failure)
{
    static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        sigaddset(&set, taken[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    self.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return self.signals >= 0 || fail(failure, EX_OSERR, "no signal descriptor: %s", strerror(errno));
}

static bool find_programs(struct failure *failure)
{
    ssize_t length = readlink("/proc/self/exe", self.program, sizeof self.program - 1);
    if (length <= 0)
        return fail(failure, EX_OSERR, "/proc/self/exe: %s; is /proc mounted?", strerror(errno));
    strcpy(self.directory, self.program);
    *strrchr(self.directory, '/') = '\0';
    return true;
}

static bool make_tally(struct failure *failure)
{
    struct failure warning;
    bool persistent;
    orphans_wait(self.settings.run_directory);
    if (!tally_make(self.settings.run_directory, self.settings.state_directory, &self.settings.domains, &self.tally,
                    &persistent, &warning, failure))
        return false;
    place_domains(&self.settings);
    if (warning.text[0] != '\0')
        log_warning("%s", warning.text);
    if (!persistent)
        log_warning("totals live in anonymous memory: they do not survive milterscope itself");
    self.process = tally_process_add(&self.tally, getpid());
    tally_use(&self.tally, self.process);
    if (!tally_guard(&self.tally, failure))
        return false;
    tally_gauge_set(&self.tally, gauge_tally_persistent, persistent);
    set_reloaded(program_filter, true);
    set_reloaded(program_pusher, true);
    return true;
}

static int copy_in_child(void)
{
    struct failure failure;
    if (!tally_copy(&self.tally, self.settings.state_directory, (struct tally_marks){.clean = true}, &failure)) {
        log_error("%s", failure.text);
        return EX_IOERR;
    }
    tally_keep_all(&self.tally);
    return EX_OK;
}

/* Where the pusher did not get to the last copy. While settling, the copy that is there is better than ours. The disk may hold whoever
 * writes to it, even against SIGKILL: it is a process of its own, and not waited for any longer than the stop may take. */
static void copy_last(void)
{
    if (self.pusher.clean || self.pusher.held || atomic_load(&self.tally.header->state) == tally_settling ||
        tally_harm(&self.tally) != NULL)
        return;
    pid_t pid = fork();
    if (pid == 0)
        _exit(copy_in_child());
    struct pollfd end = {.fd = pid < 0 ? -1 : pidfd_open(pid, 0), .events = POLLIN};
    if (end.fd >= 0 && poll(&end, 1, LAST_COPY_MS) == 1)
        return;
    log_error("the last copy of the tally is not made: %s does not go on", self.settings.state_directory);
    if (pid > 0)
        kill(pid, SIGKILL);
}

/* Without them all goes on. */
static int open_checks(void)
{
    struct failure failure;
    int fd = mta_checks_make(self.settings.run_directory, &failure);
    if (fd < 0)
        log_warning("%s", failure.text);
    return fd;
}

static bool start(struct failure *failure)
{
    if (!open_signals(failure) || !find_programs(failure) ||
        !directories_take(&self.settings, "milterscope", failure) || !make_tally(failure))
        return false;
    self.kit = (struct child_kit){self.directory, &self.settings, &self.tally,
                                  rings_open_sets(self.settings.run_directory), open_checks()};
    if (filters_open(&self.filters, &self.kit, failure)) {
        if (pusher_open(&self.pusher, &self.kit, failure))
            return true;
        filters_stop(&self.filters, true);
        while (waitpid(-1, NULL, 0) > 0)
            ;
    }
    copy_last(); /* the copy that was taken over lost its mark of a clean stop */
    return false;
}

/* Once a second: heartbeat, and the watchdog of systemd if all is well. */
static void beat(int64_t now_ms)
{
    if (now_ms - self.beat_ms < BEAT_MS)
        return;
    self.beat_ms = now_ms;
    tally_beat(&self.tally);
    if (!self.announced && self.filters.active.ready) {
        self.announced = true;
        notify_ready("serving");
        log_info("milterscope %s serves %s as instance %s", MILTERSCOPE_VERSION, self.settings.milter_socket,
                 self.settings.instance);
    }
    if (filters_healthy(&self.filters, now_ms) && pusher_healthy(&self.pusher, now_ms))
        notify_watchdog();
}

/* After a pause of our own, silence until now is held against nobody. */
static void look_at_clock(int64_t now_ms)
{
    if (now_ms - self.round_ms > STOOD_STILL_MS) {
        log_warning("stood still for %.1f s: the machine was paused, or is short of memory or CPU",
                    (double)(now_ms - self.round_ms) / 1e3);
        filters_awake(&self.filters, now_ms);
        pusher_awake(&self.pusher, now_ms);
    }
    self.round_ms = now_ms;
}

/* One round; false when all has ended. */
static bool round_of_loop(void)
{
    struct pollfd wait[FILTERS_POLLS + 1];
    wait[0] = (struct pollfd){.fd = self.signals, .events = POLLIN};
    unsigned count = 1 + filters_wait(&self.filters, wait + 1);
    poll(wait, count, TICK_MS);
    int64_t now_ms = tally_clock_ms();
    look_at_clock(now_ms);
    take_signals(now_ms);
    reap(now_ms);
    filters_step(&self.filters, now_ms);
    pusher_step(&self.pusher, now_ms);
    rings_step(&self.pusher.child);
    look_at_refusals();
    beat(now_ms);
    if (self.stopping && filters_gone(&self.filters) && !self.pusher.stopping)
        pusher_stop(&self.pusher);
    return !(self.stopping && filters_gone(&self.filters) && pusher_gone(&self.pusher));
}

static const char *why_start_again(void)
{
    static char text[64];
    if (self.filters.outdated || self.pusher.outdated)
        return "another version is installed";
    const char *harm = tally_harm(&self.tally);
    if (harm == NULL)
        return NULL;
    snprintf(text, sizeof text, "the file of the tally %s", harm);
    return text;
}

/* What cannot go on in this process: end the children and start again, as the version that is installed now. */
static void start_again(const char *why)
{
    log_warning("%s: starting again", why);
    filters_stop(&self.filters, true);
    child_kill(&self.pusher.child);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    int64_t early_ms = self.started_ms + LIFE_LEAST_MS - tally_clock_ms();
    if (early_ms > 0)
        poll(NULL, 0, (int)early_ms);
    execv(self.program, self.arguments);
    log_error("%s: %s", self.program, strerror(errno));
}

int supervisor_run(const char *file, const struct settings *settings, char **arguments)
{
    struct failure failure = {EX_OK, ""};
    self.file = file;
    self.arguments = arguments;
    self.settings = *settings;
    self.started_ms = tally_clock_ms();
    log_open("milterscope", (enum log_level)settings->log_level, (enum log_target)settings->log_target);
    if (!start(&failure)) {
        log_error("%s", failure.text);
        return failure.status;
    }
    self.round_ms = tally_clock_ms();
    while (round_of_loop()) {
        const char *why = why_start_again();
        if (why != NULL) {
            start_again(why);
            return EX_SOFTWARE;
        }
    }
    copy_last();
    tally_process_remove(&self.tally, self.process); /* readers need not wait for a heartbeat to grow old */
    log_info("stopped");
    return EX_OK;
}
