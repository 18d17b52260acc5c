/* The form of the file, and its reading. */
#include "conf/lib/node_sets.h"

#include "conf/lib/fnv1a.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { VERSION = 1 };

static const enum top_set sets_of[NODE_SETS] = {top_deferred_domain, top_refusing_provider};

void node_sets_describe(struct node_sets_head *head, const struct node_sets *sets)
{
    static const char magic[8] = {'m', 's', 'n', 'o', 'd', 'e', '\r', '\n'};
    memcpy(head->magic, magic, sizeof magic);
    head->version = VERSION;
    head->bytes = sizeof *sets;
    head->checksum = fnv1a(FNV1A_BEGINS, sets, sizeof *sets);
}

enum top_set node_sets_of(unsigned table)
{
    return sets_of[table / NODE_SETS_HOURS];
}

static bool is_same(const struct node_sets_stamp *stamp, const struct stat *status)
{
    return stamp->device == status->st_dev && stamp->inode == status->st_ino &&
           stamp->written.tv_sec == status->st_mtim.tv_sec && stamp->written.tv_nsec == status->st_mtim.tv_nsec;
}

static bool read_whole(int fd, struct node_sets *sets)
{
    struct node_sets_head head, expected;
    const struct iovec parts[] = {{&head, sizeof head}, {sets, sizeof *sets}};
    if (readv(fd, parts, 2) != (ssize_t)(sizeof head + sizeof *sets))
        return false;
    node_sets_describe(&expected, sets);
    return memcmp(&head, &expected, sizeof head) == 0;
}

bool node_sets_read(const char *run_directory, struct node_sets_stamp *stamp, struct node_sets *sets)
{
    char path[SETTINGS_PATH_MAX + sizeof NODE_SETS_FILE + 1];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", run_directory, NODE_SETS_FILE);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool other = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && !is_same(stamp, &status);
    if (other)
        *stamp = (struct node_sets_stamp){status.st_dev, status.st_ino, status.st_mtim};
    bool good = other && read_whole(fd, sets);
    close(fd);
    return good;
}
