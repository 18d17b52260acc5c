/* The copy of a tally in the state directory: writing it, and marking it in place. */
#include "conf/lib/tally_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All bytes to the disk, or false with errno. */
static bool write_all(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t n = write(fd, at, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        count -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* Fills `copy`, zeroed, with all but the processes. Others count meanwhile: totals are read one by one, and the names of what was counted
 * after them. */
static void copy_values(const struct tally *tally, struct tally_header *copy)
{
    const struct tally_header *header = &tally->form;
    struct tally target;
    memcpy((void *)copy, tally->header, sizeof *header);
    memcpy((void *)copy, header, offsetof(struct tally_header, id));
    tally_file_bind(copy, &target);
    for (unsigned i = 0; i < header->total_count; i++)
        atomic_store_explicit(&target.totals[i], atomic_load_explicit(&tally->totals[i], memory_order_relaxed),
                              memory_order_relaxed);
    const struct tally_domains *domains = tally_domains_of(header, tally->header);
    if (domains != NULL)
        memcpy((void *)tally_domains_of(header, copy), (const void *)domains, sizeof *domains);
    memcpy((char *)copy + header->names_at, (const char *)tally->header + header->names_at,
           header->bytes - header->names_at);
}

bool tally_file_set_mark(const char *state_directory, size_t offset, uint32_t value, struct failure *failure)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", state_directory, TALLY_FILE);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd < 0 ? errno == ENOENT
                       : pwrite(fd, &value, sizeof value, (off_t)offset) == (ssize_t)sizeof value && fsync(fd) == 0;
    if (!done)
        fail(failure, EX_IOERR, "%s cannot be written: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return done;
}

bool tally_mark_ahead(const char *state_directory, struct failure *failure)
{
    return tally_file_set_mark(state_directory, offsetof(struct tally_header, ahead), tally_is_ahead, failure);
}

bool tally_copy(const struct tally *tally, const char *state_directory, struct tally_marks marks,
                struct failure *failure)
{
    char path[PATH_MAX], fresh[PATH_MAX + 8];
    size_t bytes = tally->form.bytes;
    struct tally_header *copy = calloc(1, bytes);
    if (copy == NULL)
        return fail(failure, EX_OSERR, "no memory for a copy of the tally");
    copy_values(tally, copy);
    const char *wrong = tally_file_check(copy, bytes);
    if (wrong != NULL) {
        free(copy);
        return fail(failure, EX_DATAERR, "the tally is not copied: %s", wrong);
    }
    copy->clean = marks.clean;
    atomic_store(&copy->ahead, marks.ahead ? tally_is_ahead : tally_kept_only);
    copy->copy_checksum = tally_file_copy_checksum(copy);
    snprintf(path, sizeof path, "%s/%s", state_directory, TALLY_FILE);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    bool done = fd >= 0 && write_all(fd, copy, bytes) && rename(fresh, path) == 0;
    if (!done)
        fail(failure, EX_IOERR, "%s cannot be written: %s; the totals of this run would not survive a power failure",
             path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && !done)
        unlink(fresh);
    int directory = done ? open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (directory >= 0) {
        fsync(directory);
        close(directory);
    }
    free(copy);
    return done;
}
