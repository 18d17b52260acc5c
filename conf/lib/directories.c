/* Folders and lock. The lock is one of fcntl(2): it belongs to this process alone, not to its children, the kernel drops it with the
 * process, and it names its holder. */
#include "conf/lib/directories.h"

#include "conf/lib/log.h"

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

/* What disks do, and not what somebody has configured: mail is observed all the same. */
static bool is_of_the_disk(int error)
{
    return error == EROFS || error == ENOSPC || error == EDQUOT || error == EIO;
}

static bool cannot_be(const char *directory, const char *what, const char *advice, struct failure *failure)
{
    int error = errno;
    if (is_of_the_disk(error)) {
        log_warning("run_directory %s cannot be %s: %s; a second milterscope in it would not be noticed", directory,
                    what, strerror(error));
        return true;
    }
    return fail(failure, error == EACCES || error == EPERM ? EX_NOPERM : EX_CANTCREAT,
                "run_directory %s cannot be %s: %s%s", directory, what, strerror(error), advice);
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

bool directories_take(const struct settings *settings, const char *program, struct failure *failure)
{
    char path[PATH_MAX];
    const char *directory = settings->run_directory;
    make_directory(settings->state_directory); /* what is wrong with it, the copy will say */
    if (!make_directory(directory))
        return cannot_be(directory, "made", "; make it, owned by milterscope's account", failure);
    snprintf(path, sizeof path, "%s/%s.lock", directory, program);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return cannot_be(directory, "written", "", failure);
    return lock(fd, directory, failure); /* the descriptor stays open as long as we live */
}
