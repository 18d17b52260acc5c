/* Making the tally of a run: from the tally before, from the copy in the state directory, or from nothing.
 *
 * What the totals are worth decides. The file on tmpfs holds all that was counted since the machine started. The copy holds all of it
 * only if it was made at a clean stop; else it may be some seconds old, and the pusher has to settle with Redis first. */
#include "conf/lib/tally_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* Adds a sentence to what is already there. */
__attribute__((format(printf, 2, 3))) static void warn(struct failure *warning, const char *format, ...)
{
    size_t length = strlen(warning->text);
    va_list arguments;
    if (length > 0 && length + 3 < sizeof warning->text) {
        strcpy(warning->text + length, "; ");
        length += 2;
    }
    va_start(arguments, format);
    vsnprintf(warning->text + length, sizeof warning->text - length, format, arguments);
    va_end(arguments);
}

/* Reads a whole file into memory (free it); NULL with errno. */
static void *read_file(const char *path, size_t *bytes)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *content = NULL;
    size_t at = 0;
    errno = EINVAL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size < INT_MAX)
        content = calloc(1, (size_t)status.st_size + 1);
    while (content != NULL && at < (size_t)status.st_size) {
        ssize_t n = read(fd, content + at, (size_t)status.st_size - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    close(fd);
    *bytes = at;
    return content;
}

static void move_aside(const char *path, const char *wrong, struct failure *warning)
{
    char aside[PATH_MAX], real[PATH_MAX];
    if (realpath(path, real) != NULL)
        path = real; /* the file, not the link that leads to it */
    time_t now = time(NULL);
    struct tm tm;
    char date[32];
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    if (snprintf(aside, sizeof aside, "%s.damaged-%s", path, date) < (int)sizeof aside && rename(path, aside) == 0)
        warn(warning, "%s: %s; moved to %s", path, wrong, aside);
    else
        warn(warning, "%s: %s, and it cannot be moved aside: %s", path, wrong, strerror(errno));
}

/* The sound tally in directory/TALLY_FILE (free it), or NULL. A damaged one is moved aside. */
static struct tally_header *load(const char *directory, bool is_copy, struct failure *warning)
{
    char path[PATH_MAX];
    size_t bytes = 0;
    if (snprintf(path, sizeof path, "%s/%s", directory, TALLY_FILE) >= (int)sizeof path)
        return NULL;
    struct tally_header *header = read_file(path, &bytes);
    if (header == NULL) {
        if (errno != ENOENT)
            warn(warning, "%s: %s", path, strerror(errno));
        return NULL;
    }
    const char *wrong = tally_file_check(header, bytes);
    if (wrong == NULL && is_copy && header->copy_checksum != tally_file_copy_checksum(header))
        wrong = "its checksum is wrong";
    if (wrong == NULL)
        return header;
    free(header);
    move_aside(path, wrong, warning);
    return NULL;
}

static bool is_of_boot(const struct tally_header *header, const char *boot_id)
{
    return header != NULL && strcmp(header->boot_id, boot_id) == 0;
}

/* What the new tally takes over; frees nothing: inheritance->from is the caller's to free. The file of this boot has it all, unless a
 * later run could not replace it (a run directory that was read-only) and left only its copy. */
static struct tally_inheritance inherit(const char *run_directory, const char *state_directory, struct failure *warning)
{
    char boot_id[40];
    tally_file_boot_id(boot_id);
    struct tally_header *run = load(run_directory, false, warning);
    struct tally_header *copy = load(state_directory, true, warning);
    bool left_behind = is_of_boot(run, boot_id) && is_of_boot(copy, boot_id) && copy->starts > run->starts;
    if (left_behind)
        warn(warning, "the totals in %s are older than their copy, which is taken", run_directory);
    if (is_of_boot(run, boot_id) && !left_behind) {
        bool settling = atomic_load(&run->state) == tally_settling, clean = copy != NULL && copy->clean == 1;
        free(copy);
        return (struct tally_inheritance){
            .from = run, .settling = settling, .of_this_boot = true, .copy_is_clean = clean};
    }
    free(run); /* of an earlier boot: the run directory was not on tmpfs, the copy is better */
    if (copy != NULL && copy->clean == 0 && atomic_load(&copy->ahead) != tally_kept_only) {
        warn(warning,
             "more of the totals was shown than their copy holds, since Redis was away: a new tally begins at 0");
        free(copy);
        copy = NULL;
    }
    bool clean = copy != NULL && copy->clean == 1;
    return (struct tally_inheritance){.from = copy, .settling = copy != NULL && !clean, .copy_is_clean = clean};
}

static bool is_tmpfs(const char *directory)
{
    struct statfs file_system;
    return statfs(directory, &file_system) == 0 &&
           (file_system.f_type == TMPFS_MAGIC || file_system.f_type == RAMFS_MAGIC);
}

/* Where the file is made: run_directory itself if it is on tmpfs, else a folder of our own on /dev/shm that belongs to this run
 * directory. false: nowhere. */
static bool choose_place(const char *run_directory, char *place, size_t size)
{
    struct stat run, own;
    if (is_tmpfs(run_directory))
        return snprintf(place, size, "%s", run_directory) < (int)size;
    if (!is_tmpfs("/dev/shm") || stat(run_directory, &run) != 0)
        return false;
    snprintf(place, size, "/dev/shm/milterscope-%ju-%jx-%jx", (uintmax_t)geteuid(), (uintmax_t)run.st_dev,
             (uintmax_t)run.st_ino);
    if (mkdir(place, 0750) != 0 && errno != EEXIST)
        return false;
    return lstat(place, &own) == 0 && S_ISDIR(own.st_mode) && own.st_uid == geteuid() && (own.st_mode & 022) == 0;
}

static const char *file_name(const struct tally_inheritance *inheritance)
{
    return inheritance->node == NULL ? TALLY_FILE : TALLY_NODE_FILE;
}

/* Makes the file of that name in run_directory a link to the one in another place. */
static bool link_from(const char *run_directory, const char *name, const char *target)
{
    char path[PATH_MAX], fresh[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/%s", run_directory, name);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    unlink(fresh);
    return symlink(target, fresh) == 0 && rename(fresh, path) == 0;
}

/* Space is allocated up front: a store into a hole of a full file system would be a SIGBUS in the mail path. */
static struct tally_header *map_new(int fd, size_t bytes)
{
    int error = posix_fallocate(fd, 0, (off_t)bytes);
    if (error != 0) {
        errno = error;
        return NULL;
    }
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    return map == MAP_FAILED ? NULL : map;
}

/* The new tally as the file `path` in `place`; -1 with errno. */
static int try_file(const char *run_directory, const char *place, const char *path,
                    const struct tally_inheritance *inheritance, struct tally_header **header)
{
    char fresh[PATH_MAX + 8];
    size_t bytes = tally_file_bytes(inheritance);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    unlink(fresh);
    int fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    *header = fd < 0 ? NULL : map_new(fd, bytes);
    if (*header != NULL) {
        tally_file_build(*header, inheritance);
        if (rename(fresh, path) == 0 &&
            (strcmp(place, run_directory) == 0 || link_from(run_directory, file_name(inheritance), path)))
            return fd;
    }
    int error = errno;
    if (*header != NULL)
        munmap(*header, bytes);
    if (fd >= 0)
        close(fd);
    unlink(fresh);
    errno = error;
    return -1;
}

/* The new tally as a file that replaces the one before; -1 with *warning. What the one before held is in memory by now: where there is
 * no room beside it, it has to go first, and in no case may it stay and be taken for the totals later. */
static int make_file(const char *run_directory, const struct tally_inheritance *inheritance,
                     struct tally_header **header, struct failure *warning)
{
    char place[128 + SERIES_TEXT_MAX], path[PATH_MAX];
    if (!choose_place(run_directory, place, sizeof place)) {
        warn(warning, "run_directory %s is not on tmpfs, and no folder of our own is to be had on /dev/shm",
             run_directory);
        return -1;
    }
    snprintf(path, sizeof path, "%s/%s", place, file_name(inheritance));
    int fd = try_file(run_directory, place, path, inheritance, header);
    int error = errno;
    if (fd < 0 && unlink(path) == 0) {
        fd = try_file(run_directory, place, path, inheritance, header);
        error = errno;
    }
    if (fd < 0)
        warn(warning, "%s cannot be made: %s", path, strerror(error));
    return fd;
}

static int make_anonymous(const struct tally_inheritance *inheritance, struct tally_header **header,
                          struct failure *failure)
{
    int fd = memfd_create("milterscope-tally", MFD_CLOEXEC);
    *header = fd < 0 ? NULL : map_new(fd, tally_file_bytes(inheritance));
    if (*header == NULL) {
        fail(failure, EX_OSERR, "no memory for the tally: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    tally_file_build(*header, inheritance);
    (*header)->anonymous = 1;
    return fd;
}

/* From now on the copy is older than what will be counted. Where it cannot be told that, it would be gone on with after a power failure,
 * as if nothing had been counted since: so what is counted now is another tally's. */
static void age_copy(const char *state_directory, struct tally_inheritance *inheritance, struct failure *warning)
{
    struct failure unmarked;
    if (!inheritance->copy_is_clean ||
        tally_file_set_mark(state_directory, offsetof(struct tally_header, clean), 0, &unmarked))
        return;
    warn(warning, "%s; it cannot be gone on with: a new tally begins at 0", unmarked.text);
    free((void *)(uintptr_t)inheritance->from);
    inheritance->from = NULL;
    inheritance->settling = inheritance->of_this_boot = false;
}

bool tally_make(const char *run_directory, const char *state_directory, const struct own_domains *own,
                struct tally *tally, bool *persistent, struct failure *warning, struct failure *failure)
{
    struct tally_header *header;
    warning->text[0] = '\0';
    struct tally_inheritance inheritance = inherit(run_directory, state_directory, warning);
    age_copy(state_directory, &inheritance, warning);
    tally_domains_plan(&inheritance, own);
    int fd = make_file(run_directory, &inheritance, &header, warning);
    *persistent = fd >= 0;
    if (fd < 0)
        fd = make_anonymous(&inheritance, &header, failure);
    free((void *)(uintptr_t)inheritance.from);
    if (fd < 0)
        return false;
    tally_file_bind(header, tally);
    tally->fd = fd;
    return true;
}

bool tally_make_node(const char *run_directory, const uint64_t id[2], const uint64_t *totals,
                     const struct places *places, struct tally *tally, struct failure *warning, struct failure *failure)
{
    struct tally_header *header;
    const struct tally_beginning node = {id, totals, places};
    const struct tally_inheritance inheritance = {.node = &node};
    warning->text[0] = '\0';
    int fd = make_file(run_directory, &inheritance, &header, warning);
    if (fd < 0)
        return fail(failure, EX_CANTCREAT, "%s", warning->text);
    tally_file_bind(header, tally);
    tally->fd = fd;
    tally_use(tally, tally_process_add(tally, getpid()));
    return true;
}
