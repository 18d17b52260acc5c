/* The check: connect, SMFIC_OPTNEG, any answer, SMFIC_HELO, any answer, SMFIC_QUIT. A refused connection or a full backlog is no
 * answer. */
#include "milter/supervisor/check.h"

#include "milter/supervisor/milter_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Length, command 'O', version 6, all steps; no actions, which no MTA offers: libmilter makes those of version 1 of it. */
static const unsigned char optneg[] = {0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0, 0, 0x1f, 0xff, 0xff};
static const unsigned char helo[] = {0, 0, 0, 7, 'H', 'c', 'h', 'e', 'c', 'k', '\0'};
static const unsigned char quit[] = {0, 0, 0, 1, 'Q'};

/* The first command of a connection is read by the thread that takes it, one that follows some milliseconds later only where libmilter's
 * poll goes on, too. */
static const struct {
    const unsigned char *bytes;
    size_t length;
} questions[] = {{optneg, sizeof optneg}, {helo, sizeof helo}};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

void check_begin(struct check *check, int64_t now_ms)
{
    *check = (struct check){.fd = -1, .next_ms = now_ms, .answered_ms = now_ms};
}

void check_stop(struct check *check)
{
    if (check->fd >= 0)
        close(check->fd);
    check->fd = -1;
}

struct pollfd check_wait(const struct check *check)
{
    bool pauses = check->answers > 0 && !check->asked;
    return (struct pollfd){.fd = pauses ? -1 : check->fd, .events = check->asked ? POLLIN : POLLOUT};
}

static void ask(struct check *check)
{
    size_t length = questions[check->answers].length;
    if (send(check->fd, questions[check->answers].bytes, length, MSG_NOSIGNAL) == (ssize_t)length)
        check->asked = true;
    else if (errno != EAGAIN && errno != ENOTCONN)
        check_stop(check);
}

/* Any bytes are an answer: only a live filter sends them. */
static enum check_result listen_to(struct check *check, int64_t now_ms)
{
    unsigned char reply[256];
    ssize_t length = recv(check->fd, reply, sizeof reply, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return check_pending;
    if (length > 0 && ++check->answers < QUESTIONS) {
        check->asked = false;
        check->ask_ms = now_ms + CHECK_PAUSE_MS;
        return check_pending;
    }
    if (length > 0 && send(check->fd, quit, sizeof quit, MSG_NOSIGNAL) < 0)
        length = 1; /* it answered; what it thinks of our goodbye is no matter */
    check_stop(check);
    return length > 0 ? check_answered : check_turned_away;
}

/* Libmilter may count on one idle worker for two sessions. The second one, which may be ours, then lies there until a worker has nothing else
 * to do, which may be long in a flood. Another connection makes it start a worker, and that takes what lies there, too. */
static void nudge(int listener)
{
    int fd = milter_socket_connect(listener);
    if (fd >= 0)
        close(fd);
}

enum check_result check_step(struct check *check, int listener, int64_t now_ms)
{
    if (check->fd < 0) {
        if (now_ms < check->next_ms)
            return check_pending;
        check->next_ms = now_ms + CHECK_INTERVAL_MS;
        check->asked = false;
        check->answers = 0;
        check->ask_ms = now_ms;
        check->fd = milter_socket_connect(listener);
    } else if (now_ms >= check->next_ms) {
        check->next_ms = now_ms + CHECK_INTERVAL_MS;
        nudge(listener);
    }
    if (check->fd >= 0 && !check->asked && now_ms >= check->ask_ms)
        ask(check);
    enum check_result result = check->fd < 0 || !check->asked ? check_pending : listen_to(check, now_ms);
    if (result != check_pending)
        check->answered_ms = now_ms;
    return result;
}

void check_progress(struct check *check, uint64_t finished, int64_t now_ms)
{
    if (finished != check->progress)
        check->moved_ms = now_ms;
    check->progress = finished;
}

bool check_is_late(const struct check *check, int64_t now_ms)
{
    return now_ms - check->answered_ms > CHECK_DEADLINE_MS;
}

bool check_failed(const struct check *check, int64_t now_ms)
{
    bool busy = check->moved_ms != 0 && now_ms - check->moved_ms <= CHECK_STILL_MS;
    return now_ms - check->answered_ms > (busy ? CHECK_BUSY_MS : CHECK_DEADLINE_MS);
}
