/* The life of filters. */
#include "milter/supervisor/filters.h"

#include "conf/lib/log.h"
#include "milter/handover.h"
#include "milter/supervisor/milter_socket.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READY_DEADLINE_MS = 10 * 1000, /* a new filter that is not ready by then hangs */
    DEATHS_WITHIN_MS = 30 * 1000,  /* FILTERS_DEATHS in this time: the socket is closed */
    CLOSED_MS = 10 * 1000,
    DRAIN_GRACE_MS = 3 * 1000,       /* beyond milter.drain a draining filter is killed */
    FORGOTTEN_PAUSE_MS = 600 * 1000, /* between planned restarts for what libmilter has forgotten: it may do so again */
};

#define PROGRAM "milterscope-filter"

static void set_up(const struct filters *filters, bool up)
{
    tally_gauge_set(filters->kit->tally, gauge_filter_up, up);
}

static bool start_active(struct filters *filters, struct failure *failure)
{
    check_stop(&filters->check);
    check_begin(&filters->check, tally_clock_ms());
    return child_start(&filters->active, PROGRAM, filters->listener, filters->kit, failure);
}

bool filters_open(struct filters *filters, const struct child_kit *kit, struct failure *failure)
{
    *filters = (struct filters){.kit = kit, .active = CHILD_NONE, .next = CHILD_NONE};
    for (int i = 0; i < FILTERS_DRAINING; i++)
        filters->draining[i] = CHILD_NONE;
    check_begin(&filters->check, tally_clock_ms());
    set_up(filters, false);
    filters->listener = milter_socket_open(kit->settings, failure);
    if (filters->listener < 0)
        return false;
    if (start_active(filters, failure))
        return true;
    milter_socket_close(kit->settings, filters->listener);
    return false;
}

static void close_socket(struct filters *filters)
{
    check_stop(&filters->check);
    set_up(filters, false);
    if (filters->listener >= 0)
        milter_socket_close(filters->kit->settings, filters->listener);
    filters->listener = -1;
}

unsigned filters_wait(const struct filters *filters, struct pollfd *wait)
{
    unsigned count = 0;
    if (filters->check.fd >= 0)
        wait[count++] = check_wait(&filters->check);
    if (filters->active.control >= 0)
        wait[count++] = (struct pollfd){.fd = filters->active.control, .events = POLLIN};
    if (filters->next.control >= 0)
        wait[count++] = (struct pollfd){.fd = filters->next.control, .events = POLLIN};
    return count;
}

static void drain(struct filters *filters, struct child *child)
{
    for (int i = 0; i < FILTERS_DRAINING; i++) {
        if (filters->draining[i].pid != 0)
            continue;
        filters->draining[i] = *child;
        filters->draining[i].draining_since_ms = tally_clock_ms();
        filters->draining[i].told = child_send(&filters->draining[i], HANDOVER_DRAIN, -1);
        *child = CHILD_NONE;
        return;
    }
    child_kill(child); /* at a stop after so many planned restarts */
}

/* How long nothing was heard of a filter that is ready. */
static int64_t silence_ms(const struct filters *filters, const struct child *child, int64_t now_ms)
{
    int64_t heard_ms = tally_process_heartbeat(filters->kit->tally, child->process);
    return now_ms - (heard_ms > filters->awake_ms ? heard_ms : filters->awake_ms);
}

/* One that hangs has sessions that wait for it: they are not to wait until the drain time is over. */
static void step_draining(struct filters *filters, int64_t now_ms)
{
    int64_t most = filters->kit->settings->milter_drain / 1000 + DRAIN_GRACE_MS;
    for (int i = 0; i < FILTERS_DRAINING; i++) {
        struct child *child = &filters->draining[i];
        if (child->pid != 0 && !child->told)
            child->told = child_send(child, HANDOVER_DRAIN, -1);
        bool hangs = child->pid != 0 && silence_ms(filters, child, now_ms) > CHECK_DEADLINE_MS;
        if (child->pid == 0 || child->killed || !(hangs || now_ms - child->draining_since_ms > most))
            continue;
        log_warning("filter %d drains and does not %s, killed", (int)child->pid, hangs ? "answer" : "end");
        child_kill(child);
        child->killed = true;
    }
}

/* Makes the socket that was taken away anew, with a new filter behind it; the sessions of the old one go on. */
static void bind_again(struct filters *filters, int64_t now_ms)
{
    struct failure failure;
    check_stop(&filters->check);
    check_begin(&filters->check, now_ms);
    set_up(filters, false);
    int fd = milter_socket_open(filters->kit->settings, &failure);
    if (fd < 0) {
        log_error("the milter socket was taken away: %s", failure.text);
        return;
    }
    log_warning("the milter socket was taken away, and is open again");
    close(filters->listener);
    filters->listener = fd;
    filters_restart(filters);
}

/* The new filter of a planned restart takes over when it is ready. */
static void step_next(struct filters *filters, int64_t now_ms)
{
    struct child *next = &filters->next;
    child_listen(next);
    if (next->pid == 0)
        return;
    if (next->ready) {
        log_info("filter %d takes over from filter %d", (int)next->pid, (int)filters->active.pid);
        if (filters->active.pid != 0)
            drain(filters, &filters->active);
        filters->active = *next;
        *next = CHILD_NONE;
        check_stop(&filters->check);
        /* Not sooner: the old one might still accept the check, and hang with it. */
        check_begin(&filters->check, now_ms + CHECK_INTERVAL_MS);
    } else if (now_ms - next->started_ms > READY_DEADLINE_MS) {
        log_error("filter %d does not become ready, killed; filter %d goes on", (int)next->pid,
                  (int)filters->active.pid);
        child_kill(next);
    }
}

/* What libmilter has forgotten only a new process is rid of. */
static void replace_forgetful(struct filters *filters, int64_t now_ms)
{
    if (filters->forgotten_ms != 0 && now_ms - filters->forgotten_ms < FORGOTTEN_PAUSE_MS)
        return;
    filters->forgotten_ms = now_ms;
    log_warning("filter %d holds sessions that libmilter has forgotten: planned restart", (int)filters->active.pid);
    filters_restart(filters);
}

static void kill_active(struct filters *filters, int64_t now_ms)
{
    log_error("filter %d does not answer, killed", (int)filters->active.pid);
    set_up(filters, false);
    child_kill(&filters->active);
    filters->active.started_ms = now_ms;
    filters->active.ready = false; /* killed once; the rest is waitpid's */
}

static void step_active(struct filters *filters, int64_t now_ms)
{
    struct child *active = &filters->active;
    child_listen(active);
    if (active->pid == 0)
        return;
    if (!active->ready) {
        filters->check.answered_ms = now_ms; /* not asked before it is ready */
        if (now_ms - active->started_ms > READY_DEADLINE_MS)
            child_kill(active);
        return;
    }
    int64_t answered_ms = filters->check.answered_ms;
    enum check_result result = check_step(&filters->check, filters->listener, now_ms);
    check_progress(&filters->check, tally_process_progress(filters->kit->tally, active->process), now_ms);
    bool late = check_is_late(&filters->check, now_ms);
    if (result != check_pending || late)
        set_up(filters, result == check_answered);
    if (late && !milter_socket_is_there(filters->kit->settings))
        bind_again(filters, now_ms);
    else if (check_failed(&filters->check, now_ms) || silence_ms(filters, active, now_ms) > CHECK_DEADLINE_MS)
        kill_active(filters, now_ms);
    else if (filters->late && result == check_answered)
        log_warning("filter %d was busy: it answered after %.1f s", (int)active->pid,
                    (double)(now_ms - answered_ms) / 1e3);
    else if (active->forgetful)
        replace_forgetful(filters, now_ms);
    filters->late = late;
}

void filters_awake(struct filters *filters, int64_t now_ms)
{
    filters->awake_ms = now_ms;
    filters->check.answered_ms = now_ms;
    filters->active.started_ms = now_ms;
    filters->next.started_ms = now_ms;
}

static void reopen(struct filters *filters, int64_t now_ms)
{
    struct failure failure;
    filters->deaths = 0;
    filters->reopen_ms = now_ms + CLOSED_MS;
    filters->listener = milter_socket_open(filters->kit->settings, &failure);
    if (filters->listener < 0) {
        log_error("%s", failure.text);
    } else if (start_active(filters, &failure)) {
        log_info("milter socket open again");
    } else {
        log_error("%s", failure.text);
        close_socket(filters);
    }
}

void filters_step(struct filters *filters, int64_t now_ms)
{
    step_draining(filters, now_ms);
    if (filters->stopping)
        return;
    if (filters->listener < 0) {
        if (now_ms >= filters->reopen_ms)
            reopen(filters, now_ms);
        return;
    }
    step_next(filters, now_ms);
    step_active(filters, now_ms);
}

const char *filters_ended(int status, char *text)
{
    if (WIFSIGNALED(status))
        snprintf(text, 64, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, 64, "exit status %d", WEXITSTATUS(status));
    return text;
}

/* Notes a death; true when there were too many of late. */
static bool too_many_deaths(struct filters *filters, int64_t now_ms)
{
    filters->deaths_ms[filters->deaths++ % FILTERS_DEATHS] = now_ms;
    return filters->deaths >= FILTERS_DEATHS &&
           now_ms - filters->deaths_ms[filters->deaths % FILTERS_DEATHS] < DEATHS_WITHIN_MS;
}

static void replace_active(struct filters *filters, int64_t now_ms)
{
    struct failure failure;
    tally_add(filters->kit->tally, SERIES_0(filter_restarts_total), 1);
    if (too_many_deaths(filters, now_ms)) {
        log_error("%d filters died within %d s: milter socket closed for %d s, mail passes unobserved", FILTERS_DEATHS,
                  DEATHS_WITHIN_MS / 1000, CLOSED_MS / 1000);
        close_socket(filters);
        filters->reopen_ms = now_ms + CLOSED_MS;
        child_kill(&filters->next);
    } else if (filters->next.pid != 0) {
        filters->active = filters->next;
        filters->next = CHILD_NONE;
        check_stop(&filters->check);
        check_begin(&filters->check, now_ms);
    } else if (!start_active(filters, &failure)) {
        log_error("%s", failure.text);
        close_socket(filters);
        filters->reopen_ms = now_ms + CLOSED_MS;
    }
}

bool filters_reaped(struct filters *filters, pid_t pid, int status, int64_t now_ms)
{
    char ended[64];
    for (int i = 0; i < FILTERS_DRAINING; i++) {
        if (filters->draining[i].pid == pid) {
            log_info("filter %d has drained: %s", (int)pid, filters_ended(status, ended));
            child_forget(&filters->draining[i], filters->kit->tally);
            return true;
        }
    }
    struct child *child = filters->active.pid == pid ? &filters->active : &filters->next;
    if (child->pid != pid)
        return false;
    child_forget(child, filters->kit->tally);
    filters->outdated = filters->outdated || (WIFEXITED(status) && WEXITSTATUS(status) == EX_PROTOCOL);
    if (filters->stopping)
        return true;
    log_error("filter %d died: %s", (int)pid, filters_ended(status, ended));
    if (child == &filters->active && !filters->outdated && filters->listener >= 0)
        replace_active(filters, now_ms);
    return true;
}

/* Is there a place for one more that drains? */
static bool has_room(const struct filters *filters)
{
    int draining = 0;
    for (int i = 0; i < FILTERS_DRAINING; i++)
        draining += filters->draining[i].pid != 0;
    return draining < FILTERS_DRAINING;
}

void filters_restart(struct filters *filters)
{
    struct failure failure;
    if (filters->stopping)
        return;
    if (filters->listener < 0)
        log_info("planned restart: the milter socket is closed; a new filter starts with it");
    else if (filters->next.pid != 0)
        log_info("planned restart: one is under way");
    else if (!has_room(filters))
        log_warning("planned restart: %d filters drain still; the filter goes on", FILTERS_DRAINING);
    else if (!child_start(&filters->next, PROGRAM, filters->listener, filters->kit, &failure))
        log_error("planned restart: %s; the filter goes on", failure.text);
}

bool filters_reload(const struct filters *filters, int settings)
{
    bool sent = child_send(&filters->active, HANDOVER_RELOAD, settings);
    child_send(&filters->next, HANDOVER_RELOAD, settings);
    for (int i = 0; i < FILTERS_DRAINING; i++)
        child_send(&filters->draining[i], HANDOVER_RELOAD, settings);
    return sent || filters->active.pid == 0; /* the next one starts with them */
}

void filters_stop(struct filters *filters, bool at_once)
{
    close_socket(filters);
    if (!filters->stopping && filters->active.pid != 0)
        drain(filters, &filters->active);
    if (!filters->stopping && filters->next.pid != 0)
        drain(filters, &filters->next);
    filters->stopping = true;
    for (int i = 0; at_once && i < FILTERS_DRAINING; i++)
        child_kill(&filters->draining[i]);
}

bool filters_gone(const struct filters *filters)
{
    bool gone = filters->active.pid == 0 && filters->next.pid == 0;
    for (int i = 0; i < FILTERS_DRAINING; i++)
        gone = gone && filters->draining[i].pid == 0;
    return gone;
}

bool filters_healthy(const struct filters *filters, int64_t now_ms)
{
    return filters->listener < 0 || !check_failed(&filters->check, now_ms);
}
