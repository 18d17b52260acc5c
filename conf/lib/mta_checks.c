/* The file of the checks: made, written and read. */
#include "conf/lib/mta_checks.h"

#include "conf/lib/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MODE = 0660 }; /* the collector is in the group */

static const char *path_in(const char *run_directory)
{
    static _Thread_local char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", run_directory, MTA_CHECKS_FILE);
    return path;
}

uint64_t mta_checks_mark(uint16_t port)
{
    return (uint64_t)tally_clock_ms() << 16 | port;
}

/* ---- supervisor ---- */

/* NULL, or what is wrong with it. */
static const char *prepare(int fd)
{
    struct statfs place;
    struct stat status;
    if (fstatfs(fd, &place) != 0 || place.f_type != TMPFS_MAGIC)
        return "not on tmpfs";
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1)
        return "not a file of our own";
    if ((status.st_mode & 07777) != MODE && fchmod(fd, MODE) != 0)
        return strerror(errno);
    /* The pages are there from now on: a store to one that a full tmpfs does not have would be a signal. */
    if (ftruncate(fd, sizeof(struct mta_checks)) != 0 || fallocate(fd, 0, 0, sizeof(struct mta_checks)) != 0)
        return strerror(errno);
    return NULL;
}

int mta_checks_make(const char *run_directory, struct failure *failure)
{
    const char *path = path_in(run_directory);
    const char *wrong = NULL;
    for (int i = 0; i < 2; i++) { /* what is there and is not right is put away */
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, MODE);
        wrong = fd < 0 ? strerror(errno) : prepare(fd);
        if (wrong == NULL)
            return fd;
        if (fd >= 0)
            close(fd);
        unlink(path);
    }
    fail(failure, EX_CANTCREAT, "%s: %s; whether the MTA asks the filter will not be known", path, wrong);
    return -1;
}

/* ---- collector ---- */

int mta_checks_open(const char *run_directory, struct failure *failure)
{
    struct stat status;
    const char *path = path_in(run_directory);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    bool is_missing = fd < 0 && errno == ENOENT;
    fail(failure, is_missing ? EX_NOINPUT : EX_NOPERM, "%s: %s", path, fd < 0 ? strerror(errno) : "not a file");
    if (fd >= 0)
        close(fd);
    return -1;
}

static off_t offset_of(unsigned place)
{
    return (off_t)(offsetof(struct mta_checks, list) + place * sizeof(struct mta_check));
}

/* Never beyond its end: only the supervisor gives it its size. */
static bool write_place(int fd, unsigned place, const struct mta_check *check)
{
    struct stat status;
    return fd >= 0 && place < LISTENERS_MAX && fstat(fd, &status) == 0 &&
           status.st_size == (off_t)sizeof(struct mta_checks) &&
           pwrite(fd, check, sizeof *check, offset_of(place)) == (ssize_t)sizeof *check;
}

uint64_t mta_checks_tell(int fd, unsigned place, const uint8_t *address, uint16_t port)
{
    uint64_t words[2];
    struct mta_check check = {.mark = 0};
    uint64_t mark = mta_checks_mark(port);
    memcpy(words, address, sizeof words);
    for (int i = 0; i < 2; i++)
        atomic_init(&check.address[i], words[i]);
    atomic_init(&check.mark, mark);
    return write_place(fd, place, &check) ? mark : 0;
}

int mta_checks_seen(int fd, unsigned place, uint64_t mark, char version[MTA_CHECKS_VERSION_BYTES])
{
    struct mta_check check;
    uint64_t words[MTA_CHECKS_VERSION_BYTES / 8];
    version[0] = '\0';
    if (fd < 0 || mark == 0 || place >= LISTENERS_MAX ||
        pread(fd, &check, sizeof check, offset_of(place)) != (ssize_t)sizeof check || atomic_load(&check.mark) != mark)
        return -1;
    if (atomic_load(&check.seen) != mark)
        return 0;
    for (int i = 0; i < MTA_CHECKS_VERSION_BYTES / 8; i++)
        words[i] = atomic_load(&check.version[i]);
    memcpy(version, words, sizeof words);
    version[MTA_CHECKS_VERSION_BYTES - 1] = '\0';
    return 1;
}

void mta_checks_end(int fd, unsigned place)
{
    const struct mta_check none = {.mark = 0};
    write_place(fd, place, &none);
}
