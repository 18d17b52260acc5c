/* A file is known by how it begins, since the first line bears a time: an inode number is given to another file soon, and a copy has
 * another one. What rotation makes of mail.log is mail.log.1, mail.log-20261120 and the like. */
#include "exporter/collect/log_position.h"

#include "conf/lib/fnv1a.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { SIBLINGS_MAX = 4096 };

/* ---- as text ---- */

void log_position_write(const struct log_position *position, char text[LOG_POSITION_BYTES])
{
    snprintf(text, LOG_POSITION_BYTES, "file1 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %016" PRIx64 " %" PRId64,
             position->device, position->inode, position->offset, position->fingerprint_bytes, position->fingerprint,
             position->modified_ns);
}

bool log_position_read(const char *text, struct log_position *position)
{
    int end = 0;
    if (strlen(text) >= LOG_POSITION_BYTES ||
        sscanf(text, "file1 %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64 " %" SCNd64 "%n",
               &position->device, &position->inode, &position->offset, &position->fingerprint_bytes,
               &position->fingerprint, &position->modified_ns, &end) != 6)
        return false;
    return text[end] == '\0' && position->offset <= INT64_MAX && position->fingerprint_bytes <= FINGERPRINT_MAX;
}

/* ---- which file ---- */

static int64_t nanoseconds(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

uint64_t log_position_hash(const char *text, size_t bytes)
{
    return fnv1a(FNV1A_BEGINS, text, bytes);
}

void log_position_of_file(struct log_position *position, const struct stat *status)
{
    position->device = (uint64_t)status->st_dev;
    position->inode = (uint64_t)status->st_ino;
    position->modified_ns = nanoseconds(status);
}

void log_position_take_fingerprint(struct log_position *position, int fd)
{
    char text[FINGERPRINT_MAX];
    ssize_t got = pread(fd, text, sizeof text, 0);
    const char *newline = got > 0 ? memchr(text, '\n', (size_t)got) : NULL;
    size_t bytes = newline != NULL ? (size_t)(newline - text) + 1 : got == FINGERPRINT_MAX ? FINGERPRINT_MAX : 0;
    position->fingerprint_bytes = bytes;
    position->fingerprint = log_position_hash(text, bytes);
}

static bool is_file(const struct log_position *position, const struct stat *status)
{
    return position->device == (uint64_t)status->st_dev && position->inode == (uint64_t)status->st_ino;
}

bool log_position_fits(const struct log_position *position, int fd, const struct stat *status)
{
    char text[FINGERPRINT_MAX];
    size_t bytes = position->fingerprint_bytes;
    if ((uint64_t)status->st_size < position->offset)
        return false;
    if (bytes == 0)
        return is_file(position, status);
    return bytes <= sizeof text && pread(fd, text, bytes, 0) == (ssize_t)bytes &&
           log_position_hash(text, bytes) == position->fingerprint;
}

/* ---- what rotation makes of a file ---- */

/* A link that root has made: whoever else owns the folder could lead us to what only we may read. -1 with errno. */
static int open_link(int folder, const char *name, int flags)
{
    char target[PATH_MAX];
    struct stat status;
    int link = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool is_ours = link >= 0 && fstat(link, &status) == 0 && S_ISLNK(status.st_mode) && status.st_uid == 0;
    ssize_t length = is_ours ? readlinkat(link, "", target, sizeof target - 1) : -1;
    if (link >= 0)
        close(link);
    if (length <= 0) {
        errno = EACCES;
        return -1;
    }
    target[length] = '\0';
    return openat(folder, target, flags);
}

int log_position_open_file(int folder, const char *name)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    const char *slash = strrchr(name, '/');
    int fd = openat(folder, name, flags | O_NOFOLLOW);
    if (fd >= 0 || errno != ELOOP || slash == NULL)
        return fd >= 0 || errno != ELOOP ? fd : open_link(folder, name, flags);
    char above[PATH_MAX];
    snprintf(above, sizeof above, "%.*s", slash == name ? 1 : (int)(slash - name), name);
    int parent = openat(folder, above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return -1;
    fd = open_link(parent, slash + 1, flags);
    int error = errno;
    close(parent);
    errno = error;
    return fd;
}

static int open_file(int folder, const char *name, struct stat *status)
{
    int fd = log_position_open_file(folder, name);
    if (fd >= 0 && (fstat(fd, status) != 0 || !S_ISREG(status->st_mode))) {
        close(fd);
        errno = EINVAL;
        fd = -1;
    }
    return fd;
}

/* The name of the log, or that with a number or a date; not one that is compressed. */
static bool is_sibling(const char *name, const char *base)
{
    size_t length = strlen(base);
    if (strncmp(name, base, length) != 0)
        return false;
    name += length;
    if (*name == '\0' || strcmp(name, ".old") == 0)
        return true;
    return (*name == '.' || *name == '-') && name[1] >= '0' && name[1] <= '9' &&
           name[strspn(name, "0123456789.-_")] == '\0';
}

/* Keeps the better of two open files: `kept` or -1. */
struct choice {
    const struct log_position *position;
    bool (*is_better)(const struct choice *choice, int fd, const struct stat *status);
    int kept;
    struct stat status;
};

static void consider(struct choice *choice, int folder, const char *name)
{
    struct stat status;
    int fd = open_file(folder, name, &status);
    if (fd < 0)
        return;
    if (!choice->is_better(choice, fd, &status)) {
        close(fd);
        return;
    }
    if (choice->kept >= 0)
        close(choice->kept);
    choice->kept = fd;
    choice->status = status;
}

static void consider_all(struct choice *choice, const char *path)
{
    char above[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    snprintf(above, sizeof above, "%.*s",
             slash == NULL   ? 1
             : slash == path ? 1
                             : (int)(slash - path),
             slash == NULL ? "." : path);
    int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (folder == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    const struct dirent *entry;
    for (int seen = 0; seen < SIBLINGS_MAX && (entry = readdir(folder)) != NULL;) {
        if (!is_sibling(entry->d_name, base))
            continue;
        seen++;
        consider(choice, fd, entry->d_name);
    }
    closedir(folder);
}

/* The very file before a copy of it. */
static bool is_ours(const struct choice *choice, int fd, const struct stat *status)
{
    return log_position_fits(choice->position, fd, status) && (choice->kept < 0 || is_file(choice->position, status));
}

int log_position_open(const struct log_position *position, const char *path)
{
    struct choice choice = {.position = position, .is_better = is_ours, .kept = -1};
    consider_all(&choice, path);
    if (choice.kept < 0) /* of a folder that may be searched and not be read */
        consider(&choice, AT_FDCWD, path);
    return choice.kept;
}

/* Not ours, nor a copy of it; written to after ours; the first of such. */
static bool is_next(const struct choice *choice, int fd, const struct stat *status)
{
    const struct log_position *position = choice->position;
    return status->st_size > 0 && nanoseconds(status) > position->modified_ns && !is_file(position, status) &&
           !log_position_fits(position, fd, status) &&
           (choice->kept < 0 || nanoseconds(status) < nanoseconds(&choice->status));
}

int log_position_open_next(const struct log_position *position, const char *path)
{
    struct choice choice = {.position = position, .is_better = is_next, .kept = -1};
    struct stat status;
    consider_all(&choice, path);
    if (choice.kept >= 0)
        return choice.kept;
    int fd = open_file(AT_FDCWD, path, &status);
    if (fd >= 0 && (status.st_size == 0 || is_file(position, &status))) {
        close(fd);
        fd = -1;
    }
    return fd;
}
