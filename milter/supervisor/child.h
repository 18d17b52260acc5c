/* A process that the supervisor starts: in a process group of its own, killed by the kernel when the supervisor dies, with its descriptors
 * and its block in the tally (see milter/handover.h). */
#ifndef MILTER_SUPERVISOR_CHILD_H
#define MILTER_SUPERVISOR_CHILD_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

struct child {
    pid_t pid;   /* 0: none */
    int process; /* block in the tally */
    int control; /* our end of the socket pair */
    int ring;    /* of a filter, see rings.h */
    bool ready;
    bool refused;   /* it could not take the settings of a reload */
    bool forgetful; /* a filter: it holds sessions that libmilter has forgotten */
    bool told;      /* that it is to end */
    bool killed;    /* SIGKILL was sent: waitpid will tell of it */
    int64_t started_ms;
    int64_t draining_since_ms; /* 0: not draining */
};

#define CHILD_NONE ((struct child){.process = -1, .control = -1, .ring = -1})

/* What every child is started with. */
struct child_kit {
    const char *directory; /* where the programs are */
    const struct settings *settings;
    const struct tally *tally;
    int sets;   /* memory of the pusher's open sets; -1: none */
    int checks; /* the file of the collector's checks, for filters; -1: none */
};

/* Starts `program` ("milterscope-filter"); `listener` is -1 for a program that needs none. */
bool child_start(struct child *child, const char *program, int listener, const struct child_kit *kit,
                 struct failure *failure);

/* Sends a message of handover.h; `fd` goes with it, -1: none. false when the child is gone. */
bool child_send(const struct child *child, char message, int fd);

/* Reads what the child says: sets `ready`, `refused`, `forgetful`. */
void child_listen(struct child *child);

/* Forgets a child that has ended or never was. */
void child_forget(struct child *child, const struct tally *tally);

/* SIGKILL: for one that hangs. It is reaped by the caller. */
void child_kill(const struct child *child);

#endif
