/* The check: connect, SMFIC_OPTNEG, any answer, SMFIC_QUIT. A refused connection or a full backlog is no answer. */
#include "milter/supervisor/check.h"

#include "milter/supervisor/milter_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Length, command 'O', version 6, all steps; no actions, which tells us from an MTA. */
static const unsigned char optneg[] = {0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0, 0, 0x1f, 0xff, 0xff};
static const unsigned char quit[] = {0, 0, 0, 1, 'Q'};

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
    return (struct pollfd){.fd = check->fd, .events = check->asked ? POLLIN : POLLOUT};
}

static void ask(struct check *check)
{
    if (send(check->fd, optneg, sizeof optneg, MSG_NOSIGNAL) == (ssize_t)sizeof optneg)
        check->asked = true;
    else if (errno != EAGAIN && errno != ENOTCONN)
        check_stop(check);
}

/* Any bytes are an answer: only a live filter sends them. */
static enum check_result listen_to(struct check *check)
{
    unsigned char reply[256];
    ssize_t length = recv(check->fd, reply, sizeof reply, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return check_pending;
    if (length > 0 && send(check->fd, quit, sizeof quit, MSG_NOSIGNAL) < 0)
        length = 1; /* it answered; what it thinks of our goodbye is no matter */
    check_stop(check);
    return length > 0 ? check_answered : check_turned_away;
}

enum check_result check_step(struct check *check, int listener, int64_t now_ms)
{
    if (check->fd < 0) {
        if (now_ms < check->next_ms)
            return check_pending;
        check->next_ms = now_ms + CHECK_INTERVAL_MS;
        check->asked = false;
        check->fd = milter_socket_connect(listener);
    }
    if (check->fd >= 0 && !check->asked)
        ask(check);
    enum check_result result = check->fd < 0 || !check->asked ? check_pending : listen_to(check);
    if (result != check_pending)
        check->answered_ms = now_ms;
    return result;
}

bool check_failed(const struct check *check, int64_t now_ms)
{
    return now_ms - check->answered_ms > CHECK_DEADLINE_MS;
}
