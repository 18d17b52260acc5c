/* The gate. Descriptors are counted in /proc/self/fd, through a directory that is opened while there are free ones. */
#include "milter/filter/gate.h"

#include "milter/handover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SHED_LEFT = 16, RESUME_LEFT = 48, TURNED_AWAY_MOST = 1000 }; /* descriptors left; at a time */
enum { WAKE_MS = 6000, WAKE_STEP_MS = 10 }; /* libmilter waits 5 s for a connection, then looks anew */

static DIR *files;
static int listener = -1; /* a second descriptor of the socket, kept behind the gate */
static int never = -1;
static int spare = -1; /* given up for a moment to accept a connection that is turned away */
static bool shedding;
static int64_t opened_ms; /* when it was let in again last; 0: never */

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool gate_prepare(struct failure *failure)
{
    files = opendir("/proc/self/fd");
    never = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    listener = fcntl(HANDOVER_LISTENER, F_DUPFD_CLOEXEC, HANDOVER_CONTROL + 1);
    spare = fcntl(never, F_DUPFD_CLOEXEC, HANDOVER_CONTROL + 1);
    if (files != NULL && spare >= 0 && listener >= 0 &&
        fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) ==
            0) /* another filter may be quicker to accept */
        return true;
    return fail(failure, EX_OSERR, "descriptors for the milter socket: %s; is /proc mounted?", strerror(errno));
}

/* Puts the eventfd before libmilter, unreadable. */
static bool keep_out(void)
{
    eventfd_t value;
    eventfd_read(never, &value);
    return dup2(never, HANDOVER_LISTENER) >= 0;
}

/* Puts the socket there again. */
static bool let_in(void)
{
    opened_ms = clock_ms();
    return dup2(listener, HANDOVER_LISTENER) >= 0;
}

/* May libmilter still wait at the eventfd? Its poll(2) is woken by what stood there when it began, and looks then at what stands there
 * now: it has to be woken when the socket has something for it, and not before. */
static bool waits_behind(void)
{
    return listener >= 0 && !shedding && opened_ms != 0 && clock_ms() - opened_ms < WAKE_MS;
}

static void wake(void)
{
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    if (poll(&wait, 1, 0) == 1 && eventfd_write(never, 1) == 0)
        poll(NULL, 0, WAKE_STEP_MS); /* it may sleep over an error: no busy loop until it looks */
}

void gate_close(void)
{
    keep_out();
    if (listener >= 0)
        close(listener);
    listener = -1;
    shedding = false;
}

unsigned gate_count(bool (*counts)(int fd))
{
    unsigned count = 0;
    rewinddir(files);
    for (const struct dirent *entry; (entry = readdir(files)) != NULL;)
        count += entry->d_name[0] != '.' && counts(atoi(entry->d_name));
    return count;
}

static bool is_any(int fd)
{
    return fd >= 0;
}

bool gate_is_connection(int fd)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int type;
    socklen_t type_length = sizeof type; /* the connection to syslog is of datagrams */
    return fd > HANDOVER_CONTROL && getpeername(fd, (struct sockaddr *)&peer, &length) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) == 0 && type == SOCK_STREAM;
}

unsigned gate_open_files(void)
{
    return gate_count(is_any);
}

struct pollfd gate_wait(void)
{
    return (struct pollfd){.fd = shedding || waits_behind() ? listener : -1, .events = POLLIN};
}

/* Accepts what waits, and hangs up. */
static unsigned turn_away(void)
{
    unsigned count = 0;
    struct pollfd wait = gate_wait();
    close(spare);
    while (count < TURNED_AWAY_MOST && poll(&wait, 1, 0) == 1) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        close(fd);
        count++;
    }
    spare = fcntl(never, F_DUPFD_CLOEXEC, HANDOVER_CONTROL + 1);
    return count;
}

unsigned gate_shed(unsigned most)
{
    unsigned open_files = gate_open_files();
    if (listener < 0 || most == 0)
        return 0; /* closed for good, or no limit is known */
    if (!shedding && open_files + SHED_LEFT >= most)
        shedding = keep_out();
    else if (shedding && open_files + RESUME_LEFT < most)
        shedding = !let_in();
    if (waits_behind())
        wake();
    return shedding ? turn_away() : 0;
}
