/* Running another program. Its standard output is read through a pipe until it ends, its standard error afterwards from a file. */
#include "milter/supervisor/doctor_command.h"

#include "conf/lib/tally.h"
#include "milter/handover.h"
#include "milter/supervisor/doctor_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1 << 20, ERRORS_MAX = 4096, STEP_MS = 10, CLEAR_OF_HANDOVER = 16 };

const char *command_find(const char *name)
{
    const char *paths = getenv("PATH");
    paths = memory_print("%s:/usr/sbin:/usr/local/sbin:/sbin", paths != NULL ? paths : "");
    for (const char *at = paths; *at != '\0';) {
        size_t length = strcspn(at, ":");
        const char *path = memory_print("%.*s/%s", (int)length, at, name);
        if (*at == '/' && access(path, X_OK) == 0)
            return path;
        at += length + (at[length] == ':');
    }
    return NULL;
}

/* In the child. */
static void become(const struct command *command, int out, int err)
{
    char *const *arguments = (char *const *)(uintptr_t)command->arguments;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    out = fcntl(out, F_DUPFD_CLOEXEC, CLEAR_OF_HANDOVER);
    err = fcntl(err, F_DUPFD_CLOEXEC, CLEAR_OF_HANDOVER);
    if (dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(EX_OSERR);
    if (command->descriptor >= 0 && command->descriptor != HANDOVER_SETTINGS)
        dup2(command->descriptor, HANDOVER_SETTINGS);
    if (command->descriptor == HANDOVER_SETTINGS)
        fcntl(HANDOVER_SETTINGS, F_SETFD, 0);
    if (command->as == NULL || account_become(command->as, NULL, NULL))
        execv(arguments[0], arguments);
    dprintf(STDERR_FILENO, "%s\n", strerror(errno));
    _exit(EX_OSFILE);
}

/* Reads until the end; false when that does not come in time, or too late. */
static bool read_all(int fd, char *text, int64_t until_ms)
{
    size_t length = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left_ms = until_ms - tally_clock_ms();
        if (left_ms <= 0 || (poll(&wait, 1, (int)left_ms) < 0 && errno != EINTR))
            return false;
        if (wait.revents == 0)
            continue;
        ssize_t got = read(fd, text + length, OUTPUT_MAX - length);
        if (got == 0)
            return true;
        if (got > 0)
            length += (size_t)got;
        if ((got < 0 && errno != EINTR) || length == OUTPUT_MAX)
            return false;
    }
}

static bool ended(pid_t pid, int64_t until_ms, int *status)
{
    while (waitpid(pid, status, WNOHANG) == 0) {
        if (tally_clock_ms() >= until_ms)
            return false;
        poll(NULL, 0, STEP_MS);
    }
    return true;
}

static const char *last_line(int fd)
{
    char *text = memory_take(ERRORS_MAX + 1);
    off_t size = lseek(fd, 0, SEEK_END);
    off_t from = size > ERRORS_MAX ? size - ERRORS_MAX : 0;
    ssize_t length = pread(fd, text, ERRORS_MAX, from);
    while (length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    const char *begin = strrchr(text, '\n');
    return begin != NULL ? begin + 1 : text;
}

static bool wait_for(pid_t pid, int out, const struct command *command, char *text, int *status,
                     struct failure *failure)
{
    int64_t until_ms = tally_clock_ms() + command->deadline_ms;
    if (read_all(out, text, until_ms) && ended(pid, until_ms, status))
        return true;
    kill(pid, SIGKILL);
    waitpid(pid, status, 0);
    return fail(failure, EX_UNAVAILABLE, "%s did not end within %d s, or said too much", command->arguments[0],
                command->deadline_ms / 1000);
}

bool command_run(const struct command *command, struct command_result *result, struct failure *failure)
{
    int out[2], status = 0;
    char *text = memory_take(OUTPUT_MAX + 1);
    int err = memfd_create("doctor", MFD_CLOEXEC);
    if (err < 0 || pipe2(out, O_CLOEXEC) != 0) {
        if (err >= 0)
            close(err);
        return fail(failure, EX_OSERR, "%s cannot be run: %s", command->arguments[0], strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0)
        become(command, out[1], err);
    close(out[1]);
    bool good = pid > 0 ? wait_for(pid, out[0], command, text, &status, failure)
                        : fail(failure, EX_OSERR, "%s cannot be run: %s", command->arguments[0], strerror(errno));
    if (good && !WIFEXITED(status))
        good = fail(failure, EX_UNAVAILABLE, "%s was ended by signal %d", command->arguments[0], WTERMSIG(status));
    *result = (struct command_result){WEXITSTATUS(status), text, last_line(err)};
    close(out[0]);
    close(err);
    return good;
}
