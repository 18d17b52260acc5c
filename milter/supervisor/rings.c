/* Rings, by number. A ring is told to a pusher once; where its socket is full, at the next step. */
#include "milter/supervisor/rings.h"

#include "conf/lib/log.h"
#include "milter/handover.h"
#include "milter/ring.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { RINGS = 16 };

static struct {
    struct ring_header *ring; /* NULL: this number is free */
    int fd;
    pid_t told; /* the pusher that knows it */
} rings[RINGS];

int rings_add(int *fd)
{
    struct failure failure;
    *fd = -1;
    for (int i = 0; i < RINGS; i++) {
        if (rings[i].ring != NULL)
            continue;
        rings[i].fd = ring_make(&rings[i].ring, &failure);
        rings[i].told = 0;
        if (rings[i].fd < 0) {
            rings[i].ring = NULL;
            log_warning("%s; it works without", failure.text);
            return RINGS_NONE;
        }
        *fd = rings[i].fd;
        return i;
    }
    log_warning("%d rings of filters that died wait for the pusher; the new filter works without", RINGS);
    return RINGS_NONE;
}

void rings_close(int ring)
{
    if (ring != RINGS_NONE)
        atomic_store_explicit(&rings[ring].ring->closed, 1, memory_order_release);
}

/* `done` is believed only of a filter that is gone. */
static bool is_done(const struct ring_header *ring)
{
    return atomic_load_explicit(&ring->closed, memory_order_relaxed) != 0 &&
           atomic_load_explicit(&ring->done, memory_order_acquire) != 0;
}

void rings_step(const struct child *pusher)
{
    for (int i = 0; i < RINGS; i++) {
        if (rings[i].ring == NULL)
            continue;
        if (is_done(rings[i].ring)) {
            ring_detach(rings[i].ring);
            close(rings[i].fd);
            rings[i].ring = NULL;
        } else if (pusher->pid != 0 && rings[i].told != pusher->pid && child_send(pusher, HANDOVER_RING, rings[i].fd)) {
            rings[i].told = pusher->pid;
        }
    }
}

int rings_open_sets(const char *run_directory)
{
    char path[PATH_MAX];
    struct statfs place;
    struct stat status;
    if (snprintf(path, sizeof path, "%s/open-sets", run_directory) >= (int)sizeof path)
        return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && fstatfs(fd, &place) == 0 && place.f_type == TMPFS_MAGIC && fstat(fd, &status) == 0 &&
        S_ISREG(status.st_mode) && (status.st_mode & 077) == 0)
        return fd;
    if (fd >= 0) {
        unlink(path);
        close(fd);
    }
    return memfd_create("milterscope-open-sets", MFD_CLOEXEC);
}
