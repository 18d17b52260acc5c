/* The control thread: a loop over the socket pair to the supervisor, at least once a second. A filter ends by _exit: libmilter's own way
 * of stopping freezes sessions for seconds. */
#include "milter/filter/control.h"

#include "conf/lib/log.h"
#include "milter/filter/current.h"
#include "milter/filter/filter.h"
#include "milter/filter/forgotten.h"
#include "milter/filter/gate.h"
#include "milter/filter/own_check.h"
#include "milter/filter/working.h"
#include "milter/handover.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    BEAT_MS = 1000,
    DRAIN_STEP_MS = 50,
    DRAIN_LEAST_MS = 1000,
    SPARE_FDS = 64,
    DEFAULT_LIMIT = 1024,
    STUCK_MS = 3000
};

static const struct tally *tally;
static int64_t drain_begun_ms; /* 0: not draining */
static unsigned files_most;

/* One descriptor a session; some are kept for ourselves, since libmilter spins when accept finds none. */
static unsigned session_limit(const struct settings *settings)
{
    struct rlimit files;
    unsigned possible = DEFAULT_LIMIT;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 2 * (rlim_t)SPARE_FDS)
        possible = files.rlim_cur > 1000000 ? 1000000 : (unsigned)files.rlim_cur - SPARE_FDS;
    unsigned wanted = (unsigned)settings->milter_max_sessions;
    return wanted == 0 || wanted > possible ? possible : wanted;
}

static void apply(const struct settings *settings)
{
    struct rlimit files;
    unsigned sessions = session_limit(settings);
    filter_limit(sessions);
    filter_configure(settings);
    tally_gauge_set(tally, gauge_sessions_limit, sessions);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files_most = files.rlim_cur > UINT32_MAX ? UINT32_MAX : (unsigned)files.rlim_cur;
        tally_gauge_set(tally, gauge_filter_max_fds, files_most);
    }
    log_open("milterscope-filter", (enum log_level)settings->log_level, (enum log_target)settings->log_target);
}

static void reload(int fd)
{
    struct failure failure;
    const struct settings *settings = settings_map(fd, &failure);
    close(fd);
    if (settings != NULL && current_replace(settings)) {
        apply(settings);
        return;
    }
    if (settings != NULL) {
        settings_unmap(settings);
        fail(&failure, EX_TEMPFAIL, "sessions still use too many older settings; reload again later");
    }
    log_error("reload: %s", failure.text);
    handover_send(HANDOVER_CONTROL, HANDOVER_REFUSED, -1);
}

/* Of a connection that somebody goes on with. */
static bool is_awaited(int fd)
{
    return gate_is_connection(fd) && !forgotten_is(fd);
}

static bool has_drained(void)
{
    return filter_sessions() <= forgotten_count() && gate_count(is_awaited) == 0;
}

/* Ends the process when it has drained. A connection may be between accept and our first look at it, hence the least time. */
static void continue_drain(void)
{
    int64_t passed = tally_clock_ms() - drain_begun_ms;
    const struct settings *settings = current_take();
    int64_t most = settings->milter_drain / 1000;
    current_release(settings);
    if (passed >= DRAIN_LEAST_MS && (passed >= most || has_drained()))
        _exit(EX_OK);
}

/* Takes one message from the supervisor. When the supervisor is gone there is nobody left to serve for. */
static void receive(void)
{
    int fd;
    char message = handover_receive(HANDOVER_CONTROL, &fd);
    if (message == HANDOVER_GONE)
        _exit(EX_OK);
    if (message == HANDOVER_RELOAD && fd >= 0)
        reload(fd);
    else if (fd >= 0)
        close(fd);
    if (message == HANDOVER_DRAIN && drain_begun_ms == 0) {
        gate_close();
        drain_begun_ms = tally_clock_ms();
    }
}

/* A worker that is stuck in a callback stops the heartbeat, and the supervisor replaces the whole process. */
static bool callbacks_go_on(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t oldest_ns = working_oldest_ns();
    return oldest_ns == 0 || (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - oldest_ns < STUCK_MS * INT64_C(1000000);
}

/* They passed unobserved, from where libmilter forgot them. While they are there the supervisor is told at every turn: it knows when it can
 * do something about it. */
static void look_for_forgotten(void)
{
    unsigned found = forgotten_look(tally_clock_ms());
    tally_add(tally, SERIES_0(sessions_unobserved_total), found);
    if (found > 0)
        log_warning("sessions forgotten by libmilter, which got no thread for them: %u; their MTA has hung up", found);
    if (forgotten_count() > 0 && drain_begun_ms == 0)
        handover_send(HANDOVER_CONTROL, HANDOVER_FORGOTTEN, -1);
}

/* Not a metric, and to be seen where somebody doubts the counts. */
static void tell_checks(void)
{
    static uint64_t told;
    uint64_t count = own_check_count();
    if (count != told)
        log_debug("sessions that were checks of the collector, and are not counted: %" PRIu64 " since the start",
                  count);
    told = count;
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        struct pollfd wait[2] = {{.fd = HANDOVER_CONTROL, .events = POLLIN}, gate_wait()};
        if (poll(wait, 2, drain_begun_ms != 0 ? DRAIN_STEP_MS : BEAT_MS) > 0 && wait[0].revents != 0)
            receive();
        tally_progress(tally, working_finished());
        if (callbacks_go_on())
            tally_beat(tally);
        current_reap();
        look_for_forgotten();
        tell_checks();
        if (drain_begun_ms != 0) {
            continue_drain();
            continue;
        }
        tally_gauge_set(tally, gauge_filter_open_fds, gate_open_files());
        unsigned turned_away = gate_shed(files_most);
        tally_add(tally, SERIES_0(sessions_unobserved_total), turned_away);
    }
    return NULL;
}

bool control_start(const struct tally *tally_in_use, struct failure *failure)
{
    pthread_t thread;
    tally = tally_in_use;
    if (!gate_prepare(failure))
        return false;
    const struct settings *settings = current_take();
    apply(settings);
    current_release(settings);
    tally_beat(tally);
    int error = pthread_create(&thread, NULL, run, NULL);
    if (error != 0)
        return fail(failure, EX_OSERR, "the control thread cannot be started: %s", strerror(error));
    pthread_setname_np(thread, "control"); /* to be told from libmilter's in top -H */
    if (!handover_send(HANDOVER_CONTROL, HANDOVER_READY, -1))
        return fail(failure, EX_OSERR, "the supervisor is gone: %s", strerror(errno));
    return true;
}
