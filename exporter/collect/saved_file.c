/* Write, fsync, rename, fsync. */
#include "exporter/collect/saved_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static bool write_file(const char *path, const struct iovec *parts, int count, bool to_disk)
{
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += parts[i].iov_len;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return false;
    errno = ENOSPC; /* what a short count means */
    bool good = writev(fd, parts, count) == (ssize_t)length && (!to_disk || fsync(fd) == 0);
    int error = errno;
    close(fd);
    errno = error;
    return good;
}

/* Else a power failure may bring back the file that was replaced. Not every file system can do it. */
static void sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

bool saved_file_write(const char *directory, const char *name, const struct iovec *parts, int count, bool to_disk,
                      struct failure *failure)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path ||
        snprintf(fresh, sizeof fresh, "%s/%s.new", directory, name) >= (int)sizeof fresh)
        return fail(failure, EX_CANTCREAT, "%s is too long", directory);
    if (!write_file(fresh, parts, count, to_disk) || rename(fresh, path) != 0) {
        fail(failure, EX_IOERR, "%s cannot be written: %s", path, strerror(errno));
        unlink(fresh); /* what there is of it takes room that may be all that is missing */
        return false;
    }
    if (to_disk)
        sync_directory(directory);
    return true;
}
