/* The walk through the directories of a queue, one file at a time. */
#include "exporter/collect/queue_scan.h"

#include "exporter/collect/clock.h"
#include "exporter/collect/collector.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_EVERY = 64 }; /* entries of a directory between two looks at the clocks */

struct scan {
    const struct queue_place *place;
    const struct queue_bounds *bounds;
    struct queue_sum *sums;
    struct failure *failure;
    int64_t now;
    int open_flags;
    bool reading;  /* there is time to read files */
    bool complete; /* nothing was left out */
    unsigned entries;
    unsigned depth;
    DIR *directories[QUEUE_DEPTH_MAX + 1];
    char head[QUEUE_HEAD_BYTES + 1];
};

/* ---- for formats ---- */

int64_t queue_number(const char *text)
{
    int64_t number = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        number = number < INT64_MAX / 100 ? number * 10 + (*text - '0') : number;
    return number;
}

int64_t queue_file_time(const struct queue_file *file)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return 0;
    return (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
}

int64_t queue_file_bytes(int directory, const char *name)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return -1;
    return status.st_size;
}

/* ---- time ---- */

struct queue_time queue_time_now(void)
{
    return (struct queue_time){.wall = clock_us(CLOCK_MONOTONIC), .cpu = clock_us(CLOCK_THREAD_CPUTIME_ID)};
}

static bool is_past(const struct queue_time *bound, const struct queue_time *now)
{
    return now->wall >= bound->wall || now->cpu >= bound->cpu;
}

/* false: the pass ends here. */
static bool has_time(struct scan *scan)
{
    if (scan->entries++ % LOOK_EVERY != 0)
        return true;
    struct queue_time now = queue_time_now();
    if (is_past(&scan->bounds->read, &now))
        scan->reading = false;
    return !is_past(&scan->bounds->end, &now) && !atomic_load_explicit(&collectors_end, memory_order_relaxed);
}

/* ---- messages ---- */

static enum label_age age_class(int64_t age)
{
    static const int64_t minutes[] = {5, 20, 60, 4 * 60, 24 * 60, 48 * 60};
    int class = 0;
    while (class < age_beyond && age > minutes[class] * 60 * 1000000)
        class ++;
    return (enum label_age) class;
}

static void add(struct scan *scan, const struct queue_message *message)
{
    const struct queue_place *place = scan->place;
    struct queue_sum *sum = &scan->sums[message->lost ? place->lost : message->apart ? place->apart : place->queue];
    int64_t age = message->arrived < scan->now ? scan->now - message->arrived : 0;
    sum->messages++;
    sum->bytes += message->bytes > 0 ? (uint64_t)message->bytes : 0;
    sum->tried += message->tried;
    sum->null_sender += message->null_sender;
    sum->ages[age_class(age)]++;
    sum->oldest = age > sum->oldest ? age : sum->oldest;
}

/* Only the owner of a file, and who has CAP_FOWNER, may leave its access time alone; where that fails it is not tried again. */
static int open_file(struct scan *scan, int directory, const char *name)
{
    int fd = openat(directory, name, scan->open_flags);
    if (fd >= 0 || errno != EPERM || (scan->open_flags & O_NOATIME) == 0)
        return fd;
    scan->open_flags &= ~O_NOATIME;
    return openat(directory, name, scan->open_flags);
}

/* A message that can be counted but not looked into, unless it is gone. */
static void add_unread(struct scan *scan, int error)
{
    if (error == ENOENT || error == ELOOP)
        return;
    scan->sums[scan->place->queue].messages++;
    if (error == EACCES || error == EPERM)
        scan->sums[scan->place->queue].unreadable++;
    else
        scan->complete = false;
}

static void look_at_file(struct scan *scan, int directory, const char *name)
{
    struct queue_file file = {.place = scan->place, .directory = directory, .name = name, .head = scan->head};
    struct queue_message message = {.arrived = 0};
    if (!scan->reading) {
        add_unread(scan, EAGAIN);
        return;
    }
    file.fd = open_file(scan, directory, name);
    ssize_t length = file.fd >= 0 ? read(file.fd, scan->head, QUEUE_HEAD_BYTES) : -1;
    int error = errno;
    if (length >= 0) {
        file.length = (size_t)length;
        scan->head[length] = '\0';
        if (scan->place->format->read(&file, &message)) {
            if (message.arrived <= 0)
                message.arrived = queue_file_time(&file);
            add(scan, &message);
        }
    } else {
        add_unread(scan, error);
    }
    if (file.fd >= 0)
        close(file.fd);
}

/* ---- directories ---- */

static bool cannot_read(struct scan *scan, int error)
{
    const bool is_closed = error == EACCES || error == EPERM;
    const char *advice = is_closed             ? "; milterscope-collector is to run as root or with CAP_DAC_READ_SEARCH"
                         : scan->place->is_own ? "; see collector.queues"
                                               : "; mta.config says where the mail server's configuration is";
    fail(scan->failure, is_closed ? EX_NOPERM : EX_OSFILE, "queue %s cannot be read: %s%s", scan->place->directory,
         strerror(error), advice);
    errno = error;
    return false;
}

/* Enters a directory. false: it cannot be read, for lack of rights or since it is not there. */
static bool enter(struct scan *scan, int from, const char *name)
{
    bool is_root = scan->depth == 0;
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | (is_root ? 0 : O_NOFOLLOW);
    if (scan->depth > QUEUE_DEPTH_MAX) {
        scan->complete = false;
        return true;
    }
    int fd = openat(from, name, flags);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    int error = errno;
    if (directory != NULL) {
        scan->directories[scan->depth++] = directory;
        return true;
    }
    if (fd >= 0)
        close(fd);
    if (is_root || error == EACCES || error == EPERM)
        return cannot_read(scan, error);
    scan->complete = scan->complete && (error == ENOENT || error == ENOTDIR || error == ELOOP);
    return true;
}

/* What an entry is, where the file system does not say it with the name. */
static unsigned char type_of(int directory, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return DT_UNKNOWN;
    return (unsigned char)IFTODT(status.st_mode);
}

static bool look_at_entry(struct scan *scan, const struct dirent *entry)
{
    const struct queue_format *format = scan->place->format;
    int directory = dirfd(scan->directories[scan->depth - 1]);
    if (format->is_message(entry->d_name)) {
        if (type_of(directory, entry) == DT_REG)
            look_at_file(scan, directory, entry->d_name);
        return true;
    }
    if (format->is_directory(scan->place, entry->d_name) && type_of(directory, entry) == DT_DIR)
        return enter(scan, directory, entry->d_name);
    return true;
}

static bool walk(struct scan *scan)
{
    while (scan->depth > 0) {
        if (!has_time(scan)) {
            scan->complete = false;
            return true;
        }
        errno = 0;
        const struct dirent *entry = readdir(scan->directories[scan->depth - 1]);
        if (entry == NULL) {
            scan->complete = scan->complete && errno == 0;
            closedir(scan->directories[--scan->depth]);
        } else if (!look_at_entry(scan, entry)) {
            return false;
        }
    }
    return true;
}

bool queue_scan(const struct queue_place *place, const struct queue_bounds *bounds, int64_t now, struct queue_sum *sums,
                bool *complete, struct failure *failure)
{
    struct scan *scan = malloc(sizeof *scan);
    if (scan == NULL)
        return fail(failure, EX_OSERR, "no memory to scan the queue %s", place->directory);
    *scan = (struct scan){.place = place,
                          .bounds = bounds,
                          .sums = sums,
                          .failure = failure,
                          .now = now,
                          .open_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME,
                          .reading = true,
                          .complete = true};
    bool good = enter(scan, AT_FDCWD, place->directory) && walk(scan);
    int error = errno;
    while (scan->depth > 0)
        closedir(scan->directories[--scan->depth]);
    *complete = *complete && scan->complete;
    free(scan);
    errno = error;
    return good;
}
