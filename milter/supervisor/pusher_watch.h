/* The pusher: started again when it dies, killed when its heartbeat stops. Nobody in the mail path notices. */
#ifndef MILTER_SUPERVISOR_PUSHER_WATCH_H
#define MILTER_SUPERVISOR_PUSHER_WATCH_H

#include "milter/supervisor/child.h"

struct pusher_watch {
    const struct child_kit *kit;
    struct child child;
    int64_t start_ms; /* when it is started next, while there is none */
    int64_t delay_ms; /* before the next start; grows while it dies young */
    int64_t awake_ms; /* its silence counts from here on, see pusher_awake */
    bool outdated;    /* one of another version was started: the supervisor must start again as that version */
    bool asked;       /* it was told to end */
    bool stopping;
    bool restarting; /* it was told to end before the stop, and may do so without the last copy */
    bool clean;      /* it ended after its last copy */
    bool held;       /* one was killed and did not end: the disk holds its copy, and would hold ours */
};

bool pusher_open(struct pusher_watch *watch, const struct child_kit *kit, struct failure *failure);
void pusher_step(struct pusher_watch *watch, int64_t now_ms);

/* The supervisor itself stood still until now: that it heard nothing meanwhile is not the pusher's fault. */
void pusher_awake(struct pusher_watch *watch, int64_t now_ms);

/* A child ended; false when it is not the pusher. */
bool pusher_reaped(struct pusher_watch *watch, pid_t pid, int status, int64_t now_ms);

/* A planned restart. */
void pusher_restart(struct pusher_watch *watch);
/* false when it cannot be reached. */
bool pusher_reload(const struct pusher_watch *watch, int settings);

/* All is counted: last push, last copy with the mark of a clean stop. */
void pusher_stop(struct pusher_watch *watch);
bool pusher_gone(const struct pusher_watch *watch);
bool pusher_healthy(const struct pusher_watch *watch, int64_t now_ms);

#endif
