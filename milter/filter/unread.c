/* What lies unread on the connections, from one look to the next. Libmilter reads what arrives at once: what stays the same is forgotten.
 * The socket is libmilter's, so it is shut down and not closed. */
#include "milter/filter/unread.h"

#include "milter/filter/gate.h"

#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { PLACES = 64 };

static struct place {
    int fd;
    int bytes; /* 0: the place is free */
    unsigned looks;
    bool seen; /* in this look */
} places[PLACES];
static unsigned hung_up;

static struct place *find(int fd)
{
    struct place *found = NULL;
    for (size_t i = 0; i < PLACES; i++) {
        if (places[i].bytes != 0 && places[i].fd == fd)
            return &places[i];
        if (places[i].bytes == 0)
            found = &places[i];
    }
    return found;
}

static bool is_hung_up(int fd)
{
    struct pollfd state = {.fd = fd};
    return poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0;
}

static void look(int fd)
{
    int bytes = 0;
    if (ioctl(fd, FIONREAD, &bytes) != 0 || bytes == 0 || is_hung_up(fd))
        return;
    struct place *place = find(fd);
    if (place == NULL)
        return;
    if (place->fd != fd || place->bytes != bytes)
        *place = (struct place){.fd = fd, .bytes = bytes};
    place->seen = true;
    if (++place->looks >= UNREAD_LOOKS && shutdown(fd, SHUT_RDWR) == 0)
        hung_up++;
}

unsigned unread_hang_up(int64_t now_ms)
{
    static int64_t next_ms;
    if (now_ms < next_ms)
        return 0;
    next_ms = now_ms + UNREAD_LOOK_MS;
    hung_up = 0;
    gate_each_connection(look);
    for (size_t i = 0; i < PLACES; i++) {
        if (!places[i].seen)
            places[i].bytes = 0;
        places[i].seen = false;
    }
    return hung_up;
}
