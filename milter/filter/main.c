/* milterscope-filter: the process in the mail path. Started by milterscope(8) with everything it needs in descriptors 3 to 8; it links
 * libmilter and libc and nothing else, parses nothing, opens nothing. */
#include "conf/lib/log.h"
#include "milter/filter/control.h"
#include "milter/filter/current.h"
#include "milter/filter/filter.h"
#include "milter/filter/own_check.h"
#include "milter/filter/report.h"
#include "milter/handover.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { THREAD_STACK = 1024 * 1024, ARENAS = 2 };

/* Small stacks and few arenas, since libmilter makes and ends threads all the time; no signal but those of libmilter. */
static void prepare_process(void)
{
    pthread_attr_t attributes;
    struct rlimit files;
    sigset_t blocked;
    mallopt(M_ARENA_MAX, ARENAS);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0); /* memory holds addresses of people */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static bool start(int process, struct tally *tally, struct failure *failure)
{
    const struct settings *settings = settings_map(HANDOVER_SETTINGS, failure);
    if (settings == NULL || !tally_attach(HANDOVER_TALLY, process, tally, failure))
        return false;
    log_open("milterscope-filter", (enum log_level)settings->log_level, (enum log_target)settings->log_target);
    if (!tally_guard(tally, failure) || !current_replace(settings) ||
        !filter_open(HANDOVER_LISTENER, settings, tally, failure))
        return false;
    report_open(HANDOVER_MEMORY, tally);
    own_check_open(HANDOVER_CHECKS);
    tally_gauge_set(tally, gauge_sessions_active, 0);
    tally_gauge_set(tally, gauge_build_info + (unsigned)program_filter * version_COUNT, 1);
    return control_start(tally, failure);
}

int main(int argc, char **argv)
{
    static struct tally tally;
    struct failure failure = {EX_OK, ""};
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("milterscope-filter %s\n", MILTERSCOPE_VERSION) > 0 ? EX_OK : EX_IOERR;
    int process = handover_process(argc, argv);
    if (process < 0) {
        fputs("milterscope-filter is started by milterscope(8)\n", stderr);
        return EX_USAGE;
    }
    prepare_process();
    if (!start(process, &tally, &failure)) {
        log_error("%s", failure.text);
        return failure.status;
    }
    return filter_run();
}
