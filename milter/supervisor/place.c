/* Folders and lock. The lock is one of fcntl(2): it belongs to this process alone, not to its children, the kernel drops it with the
 * process, and it names its holder. */
#include "milter/supervisor/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool make_directory(const char *path)
{
    return mkdir(path, 0750) == 0 || errno == EEXIST;
}

static bool lock(int fd, const char *directory, struct failure *failure)
{
    struct flock request = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &request) == 0)
        return true;
    int error = errno;
    if ((error == EACCES || error == EAGAIN) && fcntl(fd, F_GETLK, &request) == 0 && request.l_type != F_UNLCK)
        return fail(failure, EX_TEMPFAIL,
                    "the tally in %s is held by process %d; stop that first, or set another run_directory", directory,
                    (int)request.l_pid);
    return fail(failure, EX_TEMPFAIL, "the tally in %s cannot be locked: %s", directory, strerror(error));
}

bool place_take(const struct settings *settings, struct failure *failure)
{
    char path[PATH_MAX];
    const char *directory = settings->run_directory;
    make_directory(settings->state_directory); /* what is wrong with it, the copy will say */
    if (!make_directory(directory))
        return fail(failure, errno == EACCES || errno == EPERM ? EX_NOPERM : EX_CANTCREAT,
                    "run_directory %s cannot be made: %s; make it, owned by milterscope's account", directory,
                    strerror(errno));
    snprintf(path, sizeof path, "%s/milterscope.lock", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return fail(failure, errno == EACCES || errno == EPERM ? EX_NOPERM : EX_CANTCREAT,
                    "run_directory %s cannot be written: %s", directory, strerror(errno));
    return lock(fd, directory, failure); /* the descriptor stays open as long as we live */
}
