/* The life of the pusher. */
#include "milter/supervisor/pusher_watch.h"

#include "conf/lib/log.h"
#include "milter/handover.h"
#include "milter/supervisor/filters.h"

#include <sys/wait.h>

#define PROGRAM "milterscope-pusher"

enum {
    SILENT_MS = 10 * 1000,
    STOP_MS = 10 * 1000,  /* for the last push and the last copy */
    KILLED_MS = 2 * 1000, /* one that has not ended so long after SIGKILL is held by the disk */
    OLD_AGE_MS = 10 * 1000,
    DELAY_LEAST_MS = 100,
    DELAY_MOST_MS = 30 * 1000,
};

bool pusher_open(struct pusher_watch *watch, const struct child_kit *kit, struct failure *failure)
{
    *watch = (struct pusher_watch){.kit = kit, .delay_ms = DELAY_LEAST_MS};
    return child_start(&watch->child, PROGRAM, -1, kit, failure);
}

/* Its thread that copies waits for the disk, where no signal ends it. Nobody waits for that, neither a new pusher nor a stop. */
static void leave_behind(struct pusher_watch *watch, int64_t now_ms)
{
    log_error("pusher %d does not end: the disk of state_directory holds it", (int)watch->child.pid);
    child_forget(&watch->child, watch->kit->tally);
    tally_add(watch->kit->tally, SERIES_0(pusher_restarts_total), 1);
    watch->held = true;
    watch->start_ms = now_ms;
}

static void look_at(struct pusher_watch *watch, int64_t now_ms)
{
    struct child *child = &watch->child;
    int64_t asked_ms = now_ms - child->draining_since_ms;
    if (watch->asked && !child->told)
        child->told = child_send(child, watch->stopping ? HANDOVER_STOP : HANDOVER_DRAIN, -1);
    bool late = watch->asked && asked_ms > STOP_MS + watch->kit->settings->redis_timeout / 1000;
    if (child->killed && asked_ms > KILLED_MS) {
        leave_behind(watch, now_ms);
    } else if (!child->killed && (late || !pusher_healthy(watch, now_ms))) {
        log_error("pusher %d hangs, killed", (int)child->pid);
        child_kill(child);
        child->killed = true;
        child->draining_since_ms = now_ms;
    }
}

void pusher_step(struct pusher_watch *watch, int64_t now_ms)
{
    struct failure failure;
    child_listen(&watch->child);
    if (watch->child.pid != 0) {
        look_at(watch, now_ms);
    } else if (!watch->stopping && now_ms >= watch->start_ms) {
        watch->asked = false;
        watch->start_ms = now_ms + watch->delay_ms;
        if (!child_start(&watch->child, PROGRAM, -1, watch->kit, &failure))
            log_error("%s", failure.text);
    }
}

void pusher_awake(struct pusher_watch *watch, int64_t now_ms)
{
    watch->awake_ms = now_ms;
    watch->child.draining_since_ms = now_ms;
}

bool pusher_reaped(struct pusher_watch *watch, pid_t pid, int status, int64_t now_ms)
{
    char ended[64];
    if (watch->child.pid != pid)
        return false;
    bool planned = watch->asked && WIFEXITED(status) && WEXITSTATUS(status) == EX_OK;
    watch->outdated = watch->outdated || (WIFEXITED(status) && WEXITSTATUS(status) == EX_PROTOCOL);
    bool old = now_ms - watch->child.started_ms > OLD_AGE_MS;
    child_forget(&watch->child, watch->kit->tally);
    watch->clean = watch->stopping && planned && !watch->restarting;
    watch->held = false;
    if (planned || old)
        watch->delay_ms = DELAY_LEAST_MS;
    else if (watch->delay_ms < DELAY_MOST_MS)
        watch->delay_ms *= 2;
    watch->start_ms = now_ms + (planned ? 0 : watch->delay_ms);
    if (!planned) {
        log_error("pusher %d died: %s", (int)pid, filters_ended(status, ended));
        tally_add(watch->kit->tally, SERIES_0(pusher_restarts_total), 1);
    }
    return true;
}

static void ask(struct pusher_watch *watch, char message)
{
    watch->asked = watch->child.pid != 0;
    watch->child.draining_since_ms = tally_clock_ms();
    watch->child.told = child_send(&watch->child, message, -1);
}

void pusher_restart(struct pusher_watch *watch)
{
    if (!watch->asked)
        ask(watch, HANDOVER_DRAIN);
}

bool pusher_reload(const struct pusher_watch *watch, int settings)
{
    return child_send(&watch->child, HANDOVER_RELOAD, settings) || watch->child.pid == 0;
}

void pusher_stop(struct pusher_watch *watch)
{
    watch->stopping = true;
    watch->restarting = watch->asked;
    ask(watch, HANDOVER_STOP);
}

bool pusher_gone(const struct pusher_watch *watch)
{
    return watch->child.pid == 0;
}

bool pusher_healthy(const struct pusher_watch *watch, int64_t now_ms)
{
    if (watch->child.pid == 0)
        return true;
    int64_t heard_ms = tally_process_heartbeat(watch->kit->tally, watch->child.process);
    return now_ms - (heard_ms > watch->awake_ms ? heard_ms : watch->awake_ms) <= SILENT_MS;
}
