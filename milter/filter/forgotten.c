/* Sockets whose peer has hung up, from one look to the next. A look is one walk through the descriptors, in ascending order, and a poll(2)
 * for many of them at a time. */
#include "milter/filter/forgotten.h"

#include "milter/filter/gate.h"
#include "milter/handover.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { BATCH = 512 };

struct socket {
    int fd;
    unsigned looks; /* in which its peer had hung up, one after the other */
    ino_t inode;    /* another one: the descriptor was closed, and given away again */
};

static struct list {
    unsigned count;
    struct socket sockets[FORGOTTEN_MOST];
} lists[2], *before = &lists[0], *now = &lists[1]; /* of the last look and of the one under way; ascending */
static unsigned passed;                            /* of the last one: sockets that the walk is beyond */
static struct pollfd batch[BATCH];
static unsigned batched;
static unsigned forgotten;

/* Its inode; 0: it is none of a stream. */
static ino_t inode_of_stream(int fd)
{
    int type, listens;
    socklen_t length = sizeof type, listens_length = sizeof listens;
    struct stat status;
    bool is_stream = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM &&
                     getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_length) == 0 && listens == 0;
    return is_stream && fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void note_hung_up(int fd)
{
    ino_t inode = inode_of_stream(fd);
    if (inode == 0 || now->count == FORGOTTEN_MOST)
        return;
    while (passed < before->count && before->sockets[passed].fd < fd)
        passed++;
    const struct socket *same = &before->sockets[passed];
    bool is_same = passed < before->count && same->fd == fd && same->inode == inode;
    now->sockets[now->count++] = (struct socket){.fd = fd, .inode = inode, .looks = is_same ? same->looks + 1 : 1};
}

static void sift(void)
{
    int left = poll(batch, batched, 0);
    for (unsigned i = 0; i < batched && left > 0; i++) {
        left -= batch[i].revents != 0;
        if ((batch[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
            note_hung_up(batch[i].fd);
    }
    batched = 0;
}

static bool collect(int fd)
{
    if (fd > HANDOVER_CONTROL)
        batch[batched++] = (struct pollfd){.fd = fd, .events = POLLRDHUP};
    if (batched == BATCH)
        sift();
    return false;
}

unsigned forgotten_look(int64_t now_ms)
{
    static int64_t next_ms;
    unsigned found = 0;
    if (now_ms < next_ms)
        return 0;
    next_ms = now_ms + FORGOTTEN_LOOK_MS;
    struct list *last = before;
    before = now;
    now = last;
    now->count = passed = 0;
    gate_count(collect);
    sift();
    forgotten = 0;
    for (unsigned i = 0; i < now->count; i++) {
        found += now->sockets[i].looks == FORGOTTEN_LOOKS;
        forgotten += now->sockets[i].looks >= FORGOTTEN_LOOKS;
    }
    return found;
}

unsigned forgotten_count(void)
{
    return forgotten;
}

static int compare(const void *fd, const void *other)
{
    return *(const int *)fd - ((const struct socket *)other)->fd;
}

bool forgotten_is(int fd)
{
    const struct socket *known = bsearch(&fd, now->sockets, now->count, sizeof now->sockets[0], compare);
    return known != NULL && known->looks >= FORGOTTEN_LOOKS && inode_of_stream(fd) == known->inode;
}
