/* Trying to reach a socket or a folder as another account. The child says over a pipe how far it came. */
#include "milter/supervisor/doctor_reach.h"

#include "conf/lib/tally.h"
#include "milter/supervisor/check.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_SECONDS = 10 };

static struct reached ends_with(int error, size_t at)
{
    enum reach_end end = error == 0                              ? reach_good
                         : error == EACCES || error == EPERM     ? reach_closed
                         : error == ENOENT || error == ENOTDIR   ? reach_missing
                         : error == ECONNREFUSED                 ? reach_refused
                         : error == EAGAIN || error == ETIMEDOUT ? reach_silent
                                                                 : reach_other;
    return (struct reached){end, error, at};
}

/* ---- in the child ---- */

/* Can every folder on the way be entered? The first that cannot is what *at leads to. */
static int walk(const char *path, size_t *at)
{
    char folder[PATH_MAX];
    *at = 0;
    if (strlen(path) >= sizeof folder)
        return ENAMETOOLONG;
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *at = (size_t)(slash - path);
        memcpy(folder, path, *at);
        folder[*at] = '\0';
        if (access(folder, X_OK) != 0)
            return errno;
    }
    *at = strlen(path);
    return 0;
}

/* Asks over a connection, until an answer or the deadline comes. */
static int ask(int fd)
{
    struct check check;
    check_begin(&check, tally_clock_ms());
    check.fd = fd;
    for (;;) {
        enum check_result result = check_step(&check, -1, tally_clock_ms());
        if (result == check_answered)
            return 0;
        if (result != check_pending || check.fd < 0 || check_failed(&check, tally_clock_ms()))
            return ETIMEDOUT;
        struct pollfd wait = check_wait(&check);
        poll(&wait, 1, CHECK_INTERVAL_MS / 10);
    }
}

static int connect_to(const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int error = connect(fd, address, length) == 0 || errno == EINPROGRESS ? 0 : errno;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    socklen_t size = sizeof error;
    if (error == 0 && poll(&wait, 1, CHECK_DEADLINE_MS) == 1)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0)
        return ask(fd); /* which closes it */
    close(fd);
    return error;
}

static struct reached try_socket(const void *argument)
{
    const struct reach *reach = argument;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t at;
    int error = walk(reach->path, &at);
    if (error == 0 && strlen(reach->path) >= sizeof address.sun_path)
        error = ENAMETOOLONG;
    if (error != 0)
        return ends_with(error, at);
    strcpy(address.sun_path, reach->path);
    return ends_with(connect_to((const struct sockaddr *)&address, sizeof address), at);
}

static struct reached try_folder(const void *argument)
{
    const struct reach *reach = argument;
    struct stat status;
    size_t at;
    int error = walk(reach->path, &at);
    if (error == 0 && access(reach->path, R_OK | W_OK | X_OK) != 0)
        error = errno;
    if (error == 0 && stat(reach->path, &status) == 0 && !S_ISDIR(status.st_mode))
        error = ENOTDIR;
    return ends_with(error, at);
}

/* inet:port@host, inet6:port@host. */
static struct reached try_port(const void *argument)
{
    const struct reach *reach = argument;
    char port[16];
    const char *colon = strchr(reach->path, ':'), *at = strchr(reach->path, '@');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    snprintf(port, sizeof port, "%.*s", (int)(at - colon - 1), colon + 1);
    if (getaddrinfo(at + 1, port, &hints, &found) != 0)
        return ends_with(EADDRNOTAVAIL, 0);
    struct reached reached = ends_with(connect_to(found->ai_addr, found->ai_addrlen), 0);
    freeaddrinfo(found);
    return reached;
}

/* ---- */

static bool in_child(const struct reach *reach, struct reached (*attempt)(const void *argument),
                     struct reached *reached, struct failure *failure)
{
    int said[2], status;
    if (!account_allowed(reach->account, reach->root))
        return fail(failure, EX_NOPERM, "%s cannot be tried as account %s: run this as root", reach->path,
                    reach->account->name);
    if (pipe(said) != 0)
        return fail(failure, EX_OSERR, "%s cannot be tried: %s", reach->path, strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        *reached = account_become(reach->account, reach->root, reach->folder) ? attempt(reach)
                                                                              : (struct reached){reach_other, errno, 0};
        _exit(write(said[1], reached, sizeof *reached) == (ssize_t)sizeof *reached ? 0 : EX_OSERR);
    }
    close(said[1]);
    bool good = pid > 0 && read(said[0], reached, sizeof *reached) == (ssize_t)sizeof *reached;
    close(said[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    return good || fail(failure, EX_OSERR, "%s cannot be tried as account %s: no answer within %d s", reach->path,
                        reach->account->name, CHILD_SECONDS);
}

bool reach_socket(const struct reach *reach, struct reached *reached, struct failure *failure)
{
    return in_child(reach, try_socket, reached, failure);
}

bool reach_folder(const struct reach *reach, struct reached *reached, struct failure *failure)
{
    return in_child(reach, try_folder, reached, failure);
}

bool reach_port(const char *socket, struct reached *reached, struct failure *failure)
{
    struct account self;
    account_numbered(geteuid(), &self);
    return in_child(&(struct reach){&self, NULL, NULL, socket}, try_port, reached, failure);
}
