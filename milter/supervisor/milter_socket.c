/* The milter socket: unix:/path, inet:port@host or inet6:port@host, as libmilter writes them. */
#include "milter/supervisor/milter_socket.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/* The socket file that we made last: what is at the path may be somebody else's by now. */
static struct {
    dev_t device;
    ino_t inode;
} made;

static const char *unix_path(const struct settings *settings)
{
    return strncmp(settings->milter_socket, "unix:", 5) == 0 ? settings->milter_socket + 5 : NULL;
}

static struct address unix_address(const char *path)
{
    struct address address = {.length = sizeof(struct sockaddr_un)};
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&address.storage;
    un->sun_family = AF_UNIX;
    strncpy(un->sun_path, path, sizeof un->sun_path - 1); /* the option's type has checked the length */
    return address;
}

/* inet:8899@127.0.0.1 */
static bool inet_address(const char *text, struct address *address, struct failure *failure)
{
    char port[16];
    const char *colon = strchr(text, ':');
    const char *at = strchr(text, '@');
    struct addrinfo hints = {.ai_family = colon - text == 5 ? AF_INET6 : AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    snprintf(port, sizeof port, "%.*s", (int)(at - colon - 1), colon + 1);
    int error = getaddrinfo(at + 1, port, &hints, &found);
    if (error != 0)
        return fail(failure, EX_CONFIG, "milter.socket %s: %s", text, gai_strerror(error));
    memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
    address->length = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool find_address(const struct settings *settings, struct address *address, struct failure *failure)
{
    const char *path = unix_path(settings);
    if (path == NULL)
        return inet_address(settings->milter_socket, address, failure);
    *address = unix_address(path);
    return true;
}

/* Takes away what a dead program left at the path. A socket on which somebody listens answers, or has a full backlog. */
static bool remove_stale(const char *path, struct failure *failure)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT || errno == ENOTDIR ||
               fail(failure, EX_NOPERM, "milter.socket %s: %s", path, strerror(errno));
    if (!S_ISSOCK(status.st_mode))
        return fail(failure, EX_CANTCREAT, "milter.socket %s: something that is not a socket is there; move it away",
                    path);
    struct address address = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool stale = connect(fd, (struct sockaddr *)&address.storage, address.length) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale)
        return fail(failure, EX_UNAVAILABLE,
                    "milter.socket %s: another program answers there; stop it or choose another path", path);
    return unlink(path) == 0 ||
           fail(failure, EX_NOPERM, "milter.socket %s: left by a dead program, cannot be removed: %s", path,
                strerror(errno));
}

static bool give_to_mta(const struct settings *settings, const char *path, struct failure *failure)
{
    const char *group = settings->milter_socket_group;
    if (*group != '\0') {
        const struct group *entry = getgrnam(group);
        if (entry == NULL)
            return fail(failure, EX_CONFIG, "milter.socket_group %s: there is no such group", group);
        if (chown(path, (uid_t)-1, entry->gr_gid) != 0)
            return fail(failure, EX_NOPERM,
                        "milter.socket %s cannot be given to group %s: %s; make the account of milterscope a member",
                        path, group, strerror(errno));
    }
    return chmod(path, (mode_t)settings->milter_socket_mode) == 0 ||
           fail(failure, EX_NOPERM, "milter.socket %s: %s", path, strerror(errno));
}

static bool bind_failed(const struct settings *settings, struct failure *failure)
{
    int error = errno;
    if (error == EADDRINUSE)
        return fail(failure, EX_UNAVAILABLE,
                    "milter.socket %s: in use by another program; stop it or choose another port",
                    settings->milter_socket);
    if (error == ENOENT || error == ENOTDIR)
        return fail(failure, EX_CANTCREAT,
                    "milter.socket %s: its folder does not exist; make it, owned by milterscope's account",
                    settings->milter_socket);
    return fail(failure, error == EACCES || error == EPERM ? EX_NOPERM : EX_CANTCREAT, "milter.socket %s: %s",
                settings->milter_socket, strerror(error));
}

int milter_socket_open(const struct settings *settings, struct failure *failure)
{
    struct address address = {.length = 0};
    const char *path = unix_path(settings);
    struct stat status;
    int on = 1;
    if (!find_address(settings, &address, failure) || (path != NULL && !remove_stale(path, failure)))
        return -1;
    int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (path == NULL)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    mode_t mask = umask(0177); /* nobody else until it has its mode */
    bool bound = bind(fd, (struct sockaddr *)&address.storage, address.length) == 0;
    umask(mask);
    bool good = bound ? path == NULL || give_to_mta(settings, path, failure) : bind_failed(settings, failure);
    if (good && listen(fd, SOMAXCONN) != 0)
        good = fail(failure, EX_OSERR, "milter.socket %s: %s", settings->milter_socket, strerror(errno));
    if (good && path != NULL && lstat(path, &status) == 0) {
        made.device = status.st_dev;
        made.inode = status.st_ino;
    }
    if (good)
        return fd;
    if (bound && path != NULL)
        unlink(path);
    close(fd);
    return -1;
}

bool milter_socket_is_there(const struct settings *settings)
{
    struct stat status;
    const char *path = unix_path(settings);
    return path == NULL || (lstat(path, &status) == 0 && status.st_dev == made.device && status.st_ino == made.inode);
}

void milter_socket_close(const struct settings *settings, int fd)
{
    const char *path = unix_path(settings);
    if (path != NULL && milter_socket_is_there(settings))
        unlink(path);
    close(fd);
}

int milter_socket_connect(int listener)
{
    struct address address = {.length = sizeof address.storage};
    struct sockaddr *socket_address = (struct sockaddr *)&address.storage;
    if (getsockname(listener, socket_address, &address.length) != 0)
        return -1;
    int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, socket_address, address.length) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}
