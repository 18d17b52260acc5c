/* milterscope-collector: looks at the MTA and the host from time to time, each collector in a thread of its own, and puts what it sees into
 * the node's tally. */
#include "conf/lib/command_line.h"
#include "conf/lib/directories.h"
#include "conf/lib/exposition.h"
#include "conf/lib/log.h"
#include "conf/lib/notify.h"
#include "conf/lib/options.h"
#include "exporter/collect/baseline.h"
#include "exporter/collect/delivery_log.h"
#include "exporter/collect/host.h"
#include "exporter/collect/log_store.h"
#include "exporter/collect/mta.h"
#include "exporter/collect/names.h"
#include "exporter/collect/processes.h"
#include "exporter/collect/queue.h"
#include "exporter/collect/read_log.h"
#include "exporter/collect/runner.h"
#include "exporter/collect/sockets.h"
#include "exporter/signals.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STOP_MS = 10 * 1000 };

static const char program[] = "milterscope-collector";

static const struct collector *const collectors[] = {&collect_queue, &collect_log, &collect_processes, &collect_sockets,
                                                     &collect_host,  &collect_mta, &collect_baseline,  NULL};

/* What a run of the program holds. */
static struct {
    struct settings settings;
    const char *file;
    char program[PATH_MAX]; /* its path, which is the new one's after an upgrade */
    char **arguments;
    struct log_store *store;
    struct tally tally;
    struct runner *runner;
} self;

static void set_own_gauges(bool reload_successful)
{
    const unsigned own = program_collector;
    tally_gauge_set(&self.tally, gauge_build_info + own * (unsigned)width_build_info, 1);
    tally_gauge_set(&self.tally, gauge_config_last_reload_successful + own, reload_successful);
    tally_gauge_set(&self.tally, gauge_config_last_reload_timestamp_seconds + own, self.settings.read_at);
}

static bool start(struct failure *failure)
{
    static struct places places;
    static uint64_t totals[total_COUNT];
    struct failure warning;
    if (!directories_take(&self.settings, program, failure))
        return false;
    self.store = log_store_open(&self.settings, &warning, failure);
    if (self.store == NULL)
        return false;
    if (warning.text[0] != '\0')
        log_warning("%s", warning.text);
    delivery_log_keep_in(self.store);
    names_fill(&self.settings, &places);
    log_store_totals(self.store, totals);
    if (!tally_make_node(self.settings.run_directory, log_store_id(self.store), totals, &places, &self.tally, &warning,
                         failure))
        return false;
    set_own_gauges(true);
    catalogue_find_total("", 0); /* builds the index, before there are threads; so does the next */
    catalogue_find_gauge("", 0);
    self.runner =
        runner_start(collectors, sizeof collectors / sizeof collectors[0] - 1, &self.settings, &self.tally, failure);
    return self.runner != NULL;
}

/* What was counted is saved; the gauges go with the process. */
static void stop(void)
{
    struct failure failure;
    if (!runner_stop(self.runner, STOP_MS)) {
        log_warning("a collector hangs and is left; what was counted last is read again at the next start");
        return;
    }
    if (!log_store_save(self.store, true, &failure))
        log_warning("%s", failure.text);
}

/* A new configuration is a new run of this process: everything is read again, and the totals go on. A wrong one changes nothing. */
static void reload(void)
{
    static struct settings fresh;
    struct failure failure;
    notify_reloading();
    if (!options_read(self.file, &fresh, &failure)) {
        log_error("reload: %s; the configuration before stays in force", failure.text);
        set_own_gauges(false);
        notify_ready("collecting");
        return;
    }
    log_info("configuration read; beginning anew with it");
    stop();
    execv(self.program, self.arguments);
    log_error("reload: %s cannot be started again: %s", self.program, strerror(errno));
    _exit(EX_OSERR);
}

/* --read-log: what a log says, in text format. */
static int print_log(const char *log, const char *mta)
{
    static const char *const kinds[] = {
        [mta_kind_postfix] = "postfix", [mta_kind_sendmail] = "sendmail", [mta_kind_exim] = "exim"};
    static struct snapshot snapshot;
    struct failure failure;
    unsigned kind = mta_kind_exim;
    while (mta != NULL && kind > mta_kind_auto && strcmp(kinds[kind], mta) != 0)
        kind--;
    if (mta == NULL || kind == mta_kind_auto) {
        log_error("--read-log needs --mta postfix, sendmail or exim");
        return EX_USAGE;
    }
    if (!read_log(log, (enum mta_kind)kind, &self.settings, &snapshot, &failure)) {
        log_error("%s", failure.text);
        return failure.status;
    }
    if (snapshot.totals[SERIES_1(log_lines_total, line_used)] == 0)
        log_warning("%s: there is no line in it that says something of %s", log, mta);
    exposition_write(stdout, exposition_text, &(struct exposition_part){NULL, &snapshot}, 1);
    if (fflush(stdout) == 0)
        return EX_OK;
    log_error("standard output: %s", strerror(errno));
    return EX_IOERR;
}

static void collect(const sigset_t *signals)
{
    const struct timespec second = {.tv_sec = 1};
    log_info("collecting for instance %s", self.settings.instance);
    notify_ready("collecting");
    for (int number = 0; number != SIGTERM && number != SIGINT;) {
        number = sigtimedwait(signals, NULL, &second);
        if (number == SIGUSR1 || number == SIGHUP)
            reload();
        tally_beat(&self.tally);
        runner_watch(self.runner);
        notify_watchdog();
    }
    log_info("stopping");
    notify_stopping();
    stop();
}

int main(int argc, char **argv)
{
    static const char *log, *mta;
    static const struct command_flag flags[] = {
        {.name = "read-log",
         .value = &log,
         .argument = "FILE",
         .help = "print what a delivery log says (-: standard input), and end"},
        {.name = "mta", .value = &mta, .argument = "KIND", .help = "whose log that is: postfix, sendmail or exim"},
    };
    sigset_t signals;
    struct failure failure;
    int status = command_line(argc, argv, program,
                              "Looks at queue, log, processes and disk of a mail server; see milterscope-collector(8).",
                              flags, sizeof flags / sizeof flags[0], &self.settings, &self.file);
    if (status != COMMAND_GO_ON)
        return status;
    self.arguments = argv;
    if (readlink("/proc/self/exe", self.program, sizeof self.program - 1) < 0)
        strcpy(self.program, "/proc/self/exe");
    log_open(program, (enum log_level)self.settings.log_level, (enum log_target)self.settings.log_target);
    if (log != NULL)
        return print_log(log, mta);
    if (mta != NULL) {
        log_error("--mta is only for --read-log; what the server's MTA is says mta.kind of the configuration");
        return EX_USAGE;
    }
    signals_block(&signals);
    if (!start(&failure)) {
        log_error("%s", failure.text);
        return failure.status;
    }
    collect(&signals);
    return EX_OK;
}
