/* The control thread: a loop over the socket pair to the supervisor, at least once a second.
 *
 * To drain, an eventfd that never becomes readable is put over the listening socket: libmilter accepts no more, open sessions go on to
 * their end, and new ones reach the filter that was started beside this one. The process then ends by _exit: libmilter's own way
 * of stopping freezes sessions for seconds. */
#include "milter/filter/control.h"

#include "conf/lib/log.h"
#include "milter/filter/current.h"
#include "milter/filter/filter.h"
#include "milter/handover.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BEAT_MS = 1000, DRAIN_STEP_MS = 50, DRAIN_LEAST_MS = 1000, SPARE_FDS = 64, DEFAULT_LIMIT = 1024 };

static const struct tally *tally;
static int64_t drain_begun_ms; /* 0: not draining */

/* One descriptor a session; some are kept for ourselves, since libmilter spins when accept finds none. */
static unsigned session_limit(const struct settings *settings)
{
    struct rlimit files;
    unsigned possible = DEFAULT_LIMIT;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 2 * (rlim_t)SPARE_FDS)
        possible = files.rlim_cur > 1000000 ? 1000000 : (unsigned)files.rlim_cur - SPARE_FDS;
    unsigned wanted = (unsigned)settings->milter_max_sessions;
    return wanted == 0 || wanted > possible ? possible : wanted;
}

static void apply(const struct settings *settings)
{
    struct rlimit files;
    unsigned sessions = session_limit(settings);
    filter_limit(sessions);
    tally_gauge_set(tally, gauge_sessions_limit, sessions);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        tally_gauge_set(tally, gauge_filter_max_fds, (int64_t)files.rlim_cur);
    log_open("milterscope-filter", (enum log_level)settings->log_level, (enum log_target)settings->log_target);
}

static void reload(int fd)
{
    struct failure failure;
    const struct settings *settings = settings_map(fd, &failure);
    close(fd);
    if (settings == NULL) {
        log_error("reload: %s", failure.text);
        return;
    }
    apply(settings);
    if (!current_replace(settings)) {
        log_error("reload: sessions still use too many older settings; reload again later");
        settings_unmap(settings);
    }
}

struct files {
    unsigned open;
    unsigned connected; /* sessions, and connections that libmilter accepted and that have not said anything yet */
};

static struct files look_at_files(void)
{
    struct files files = {0, 0};
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int fd = atoi(entry->d_name);
        files.open += entry->d_name[0] != '.';
        files.connected += fd > HANDOVER_CONTROL && getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
    }
    if (directory != NULL)
        closedir(directory);
    return files;
}

static void begin_drain(void)
{
    int never = eventfd(0, EFD_CLOEXEC);
    if (drain_begun_ms == 0 && never >= 0 && dup2(never, HANDOVER_LISTENER) >= 0)
        drain_begun_ms = tally_clock_ms();
    if (never >= 0)
        close(never);
}

/* Ends the process when it has drained. A connection may be between accept and our first look at it, hence the least time. */
static void continue_drain(void)
{
    int64_t passed = tally_clock_ms() - drain_begun_ms;
    const struct settings *settings = current_take();
    int64_t most = settings->milter_drain / 1000;
    current_release(settings);
    if (passed >= DRAIN_LEAST_MS && (passed >= most || (filter_sessions() == 0 && look_at_files().connected == 0)))
        _exit(EX_OK);
}

/* Takes one message from the supervisor. When the supervisor is gone there is nobody left to serve for. */
static void receive(void)
{
    char byte = 0;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(HANDOVER_CONTROL, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
        _exit(EX_OK);
    if (length < 0)
        return;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    if (byte == HANDOVER_RELOAD && fd >= 0)
        reload(fd);
    else if (byte == HANDOVER_DRAIN)
        begin_drain();
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        struct pollfd control = {.fd = HANDOVER_CONTROL, .events = POLLIN};
        if (poll(&control, 1, drain_begun_ms != 0 ? DRAIN_STEP_MS : BEAT_MS) > 0)
            receive();
        tally_beat(tally);
        tally_gauge_set(tally, gauge_filter_open_fds, look_at_files().open);
        current_reap();
        if (drain_begun_ms != 0)
            continue_drain();
    }
    return NULL;
}

bool control_start(const struct tally *tally_in_use, struct failure *failure)
{
    static const char ready = HANDOVER_READY;
    pthread_t thread;
    tally = tally_in_use;
    const struct settings *settings = current_take();
    apply(settings);
    current_release(settings);
    tally_beat(tally);
    int error = pthread_create(&thread, NULL, run, NULL);
    if (error != 0)
        return fail(failure, EX_OSERR, "the control thread cannot be started: %s", strerror(error));
    if (send(HANDOVER_CONTROL, &ready, 1, MSG_NOSIGNAL) != 1)
        return fail(failure, EX_OSERR, "the supervisor is gone: %s", strerror(errno));
    return true;
}
