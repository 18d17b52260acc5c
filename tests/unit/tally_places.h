/* A run and a state directory for a test, and tallies made in them by conf/lib/tally_make.c and tally_copy.c, in which calls of the system can be made to
 * fail. Includes those files, and cmocka after it. */
#ifndef TESTS_UNIT_TALLY_PLACES_H
#define TESTS_UNIT_TALLY_PLACES_H

#include "tests/unit/tally_form.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What is to go wrong. Each counts down: n calls fail from now on, with errno `error`. */
static struct {
    int error;
    int posix_fallocate, mmap, memfd_create, write, fsync, pwrite, rename;
    bool short_writes; /* few bytes at a time, with signals between */
    bool run_on_disk, no_dev_shm;
} faults;

static inline bool fails(int *times)
{
    if (*times == 0)
        return false;
    --*times;
    errno = faults.error;
    return true;
}

/* /dev/shm is looked at; every other directory is on tmpfs or not as the test says. */
static inline int fake_statfs(const char *path, struct statfs *file_system)
{
    bool is_dev_shm = strcmp(path, "/dev/shm") == 0;
    if (statfs(path, file_system) != 0)
        return -1;
    if (!is_dev_shm)
        file_system->f_type = faults.run_on_disk ? EXT4_SUPER_MAGIC : TMPFS_MAGIC;
    else if (faults.no_dev_shm)
        file_system->f_type = EXT4_SUPER_MAGIC;
    return 0;
}

static inline ssize_t fake_write(int fd, const void *bytes, size_t count)
{
    static unsigned turn;
    if (fails(&faults.write))
        return -1;
    if (!faults.short_writes)
        return write(fd, bytes, count);
    if (++turn % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return write(fd, bytes, count < 1000 ? count : 1000);
}

#define statfs(path, file_system) fake_statfs(path, file_system)
#define posix_fallocate(fd, at, length)                                                                                \
    (fails(&faults.posix_fallocate) ? faults.error : posix_fallocate(fd, at, length))
#define mmap(at, length, protection, flags, fd, offset)                                                                \
    (fails(&faults.mmap) ? MAP_FAILED : mmap(at, length, protection, flags, fd, offset))
#define memfd_create(name, flags)    (fails(&faults.memfd_create) ? -1 : memfd_create(name, flags))
#define write(fd, bytes, count)      fake_write(fd, bytes, count)
#define fsync(fd)                    (fails(&faults.fsync) ? -1 : fsync(fd))
#define pwrite(fd, bytes, count, at) (fails(&faults.pwrite) ? -1 : pwrite(fd, bytes, count, at))
#define rename(from, to)             (fails(&faults.rename) ? -1 : rename(from, to))
#include "conf/lib/tally_copy.c"
#include "conf/lib/tally_make.c"
#undef statfs
#undef posix_fallocate
#undef mmap
#undef memfd_create
#undef write
#undef fsync
#undef pwrite
#undef rename

#include <cmocka.h> /* last: its fail is not ours */

struct made {
    char run[64], state[64];
    struct own_domains own; /* those that are configured */
    struct tally tally;
    bool persistent;
    struct failure warning, failure;
};

static inline const char *path_in(const char *directory)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", directory, TALLY_FILE);
    return path;
}

static inline void forget_tally(struct made *made)
{
    if (made->tally.header == NULL)
        return;
    munmap((void *)made->tally.header, made->tally.header->bytes);
    close(made->tally.fd);
    made->tally = (struct tally){.header = NULL};
}

/* Makes the tally of a new run; the one before is forgotten as if its process had died. */
static inline bool try_make(struct made *made)
{
    struct tally before = made->tally;
    bool good =
        tally_make(made->run, made->state, &made->own, &made->tally, &made->persistent, &made->warning, &made->failure);
    struct tally after = good ? made->tally : (struct tally){.header = NULL};
    made->tally = before;
    forget_tally(made);
    made->tally = after;
    return good;
}

static inline void make(struct made *made)
{
    assert_true(try_make(made));
    assert_null(tally_file_check(made->tally.header, made->tally.header->bytes));
}

static inline uint64_t total_of(const struct made *made, unsigned total)
{
    return atomic_load(&made->tally.totals[total]);
}

static inline void put_file(const char *directory, const void *bytes, size_t count)
{
    unlink(path_in(directory)); /* the one that is there may be mapped */
    int fd = open(path_in(directory), O_WRONLY | O_CREAT | O_EXCL, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    close(fd);
}

/* The copy as it is on the disk, sound; valid until the next call. */
static inline struct tally_header *load_copy(const struct made *made)
{
    static _Alignas(64) char copy[1 << 19];
    int fd = open(path_in(made->state), O_RDONLY);
    assert_true(fd >= 0);
    ssize_t length = read(fd, copy, sizeof copy);
    close(fd);
    struct tally_header *header = (struct tally_header *)(void *)copy;
    assert_null(tally_file_check(header, (size_t)length));
    assert_int_equal(tally_file_copy_checksum(header), header->copy_checksum);
    return header;
}

static inline unsigned files_in(const char *path)
{
    unsigned count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static inline void remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory != NULL)
        closedir(directory);
    rmdir(path);
}

/* The folder on /dev/shm that belongs to the run directory. */
static inline const char *shm_folder(const struct made *made)
{
    static char path[128];
    struct stat run;
    if (stat(made->run, &run) != 0)
        return "";
    snprintf(path, sizeof path, "/dev/shm/milterscope-%ju-%jx-%jx", (uintmax_t)geteuid(), (uintmax_t)run.st_dev,
             (uintmax_t)run.st_ino);
    return path;
}

static inline int places_set_up(void **state)
{
    static struct made made;
    memset(&faults, 0, sizeof faults);
    faults.error = ENOSPC;
    made = (struct made){.run = "/tmp/milterscope-run-XXXXXX", .state = "/tmp/milterscope-state-XXXXXX"};
    *state = &made;
    return mkdtemp(made.run) == NULL || mkdtemp(made.state) == NULL;
}

static inline int places_tear_down(void **state)
{
    struct made *made = *state;
    memset(&faults, 0, sizeof faults);
    forget_tally(made);
    remove_directory(shm_folder(made));
    remove_directory(made->run);
    remove_directory(made->state);
    return 0;
}

#define PLACES_TEST(test) cmocka_unit_test_setup_teardown(test, places_set_up, places_tear_down)

#endif
