/* Starting children. The program is looked up by its path at each start, so that a restart runs what is installed now. */
#include "milter/supervisor/child.h"

#include "milter/handover.h"
#include "milter/supervisor/rings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLEAR_OF_HANDOVER = 16 }; /* descriptors are first moved beyond all handover numbers, then put there */

/* The descriptors of a child by their numbers; -1: it has none. */
struct handed {
    int fds[HANDOVER_END];
};

/* In the child: puts each at its number, without close-on-exec, and closes all else. */
static bool place(const struct handed *handed)
{
    int fds[HANDOVER_END];
    for (int i = HANDOVER_LISTENER; i < HANDOVER_END; i++)
        fds[i] = handed->fds[i] < 0 ? -1 : fcntl(handed->fds[i], F_DUPFD, CLEAR_OF_HANDOVER);
    for (int i = HANDOVER_LISTENER; i < HANDOVER_END; i++) {
        if (fds[i] < 0)
            close(i);
        else if (dup2(fds[i], i) != i)
            return false;
    }
    return close_range(HANDOVER_END, ~0u, 0) == 0;
}

/* In the child, between fork and exec. */
static void become(const char *path, const struct handed *handed, char *process)
{
    char *arguments[] = {(char *)(uintptr_t)path, process, NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (place(handed))
        execv(path, arguments);
    dprintf(STDERR_FILENO, "%s cannot be started: %s\n", path, strerror(errno));
    _exit(EX_OSFILE);
}

static bool start_with(struct child *child, const char *path, int listener, int settings, const struct child_kit *kit,
                       struct failure *failure)
{
    const struct tally *tally = kit->tally;
    int pair[2];
    struct handed handed = {{[HANDOVER_LISTENER] = listener,
                             [HANDOVER_SETTINGS] = settings,
                             [HANDOVER_TALLY] = tally->fd,
                             [HANDOVER_MEMORY] = kit->sets,
                             [HANDOVER_CHECKS] = listener >= 0 ? kit->checks : -1}};
    char process[12];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return fail(failure, EX_OSERR, "no socket pair for %s: %s", path, strerror(errno));
    child->control = pair[0];
    handed.fds[HANDOVER_CONTROL] = pair[1];
    child->process = tally_process_add(tally, getpid());
    if (listener >= 0)
        child->ring = rings_add(&handed.fds[HANDOVER_MEMORY]);
    snprintf(process, sizeof process, "%d", child->process);
    pid_t pid = child->process < 0 ? -1 : fork();
    if (pid == 0)
        become(path, &handed, process);
    int error = child->process < 0 ? EAGAIN : errno;
    close(pair[1]);
    if (pid < 0) {
        child_forget(child, tally);
        return fail(failure, EX_OSERR, "%s cannot be started: %s", path, strerror(error));
    }
    child->pid = pid;
    tally_process_set_pid(tally, child->process, pid);
    return true;
}

bool child_start(struct child *child, const char *program, int listener, const struct child_kit *kit,
                 struct failure *failure)
{
    char path[PATH_MAX];
    *child = CHILD_NONE;
    child->started_ms = tally_clock_ms();
    if (snprintf(path, sizeof path, "%s/%s", kit->directory, program) >= (int)sizeof path || access(path, X_OK) != 0)
        return fail(failure, EX_OSFILE, "%s/%s: %s; it belongs beside milterscope", kit->directory, program,
                    strerror(errno));
    int settings = settings_seal(kit->settings, failure);
    if (settings < 0)
        return false;
    bool started = start_with(child, path, listener, settings, kit, failure);
    close(settings);
    return started;
}

bool child_send(const struct child *child, char message, int fd)
{
    return handover_send(child->control, message, fd);
}

void child_listen(struct child *child)
{
    int fd;
    while (child->control >= 0) {
        char message = handover_receive(child->control, &fd);
        child->ready = child->ready || message == HANDOVER_READY;
        child->refused = child->refused || message == HANDOVER_REFUSED;
        child->forgetful = child->forgetful || message == HANDOVER_FORGOTTEN;
        if (fd >= 0)
            close(fd);
        if (message == HANDOVER_GONE) { /* it is ending: waitpid will say how */
            close(child->control);
            child->control = -1;
        }
        if (message == HANDOVER_NOTHING)
            return;
    }
}

void child_forget(struct child *child, const struct tally *tally)
{
    tally_process_remove(tally, child->process);
    if (child->control >= 0)
        close(child->control);
    rings_close(child->ring);
    *child = CHILD_NONE;
}

void child_kill(const struct child *child)
{
    if (child->pid > 0)
        kill(child->pid, SIGKILL);
}
