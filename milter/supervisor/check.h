/* Does the filter answer? A negotiation over the milter socket (SMFIC_OPTNEG), as the MTA makes it at the start of a session, and one
 * command more, never blocking. Without a CONNECT nothing is counted.
 *
 * Libmilter may leave a check lying while it is busy with sessions. A filter whose callbacks go on is not hung: it has longer to answer.
 * Not as long as it likes, since sessions that begin may have to wait with the check. And it is nudged: with another connection a second
 * that says nothing. */
#ifndef MILTER_SUPERVISOR_CHECK_H
#define MILTER_SUPERVISOR_CHECK_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CHECK_INTERVAL_MS = 1000,
    CHECK_PAUSE_MS = 20,
    CHECK_DEADLINE_MS = 3000,
    CHECK_BUSY_MS = 10 * 1000, /* the deadline of a filter that is busy: callbacks were finished within the last … */
    CHECK_STILL_MS = 2000,     /* … which it tells every second: one that hangs is still found in CHECK_DEADLINE_MS */
};

struct check {
    int fd;              /* of the check under way, or -1 */
    unsigned answers;    /* that came in it */
    bool asked;          /* the next question */
    int64_t ask_ms;      /* not before */
    int64_t next_ms;     /* when the next one begins, or the one under way is helped on */
    int64_t answered_ms; /* when the last answer came, or since when an answer is waited for */
    uint64_t progress;   /* callbacks finished */
    int64_t moved_ms;    /* when that number was seen to grow last; 0: never */
};

/* Begins to wait for answers now (milliseconds on the clock of heartbeats). */
void check_begin(struct check *check, int64_t now_ms);

/* Ends the check under way, if any. */
void check_stop(struct check *check);

/* What to wait for. */
struct pollfd check_wait(const struct check *check);

enum check_result {
    check_pending,
    check_answered,
    check_turned_away, /* hung up on: the filter lives, but has no descriptor left for us (see milter/filter/gate.h) */
};

/* Goes on without waiting; `listener` is the milter socket. */
enum check_result check_step(struct check *check, int listener, int64_t now_ms);

/* Takes note of how many callbacks the filter has finished, at every step. */
void check_progress(struct check *check, uint64_t finished, int64_t now_ms);

/* Has no answer come in time? */
bool check_is_late(const struct check *check, int64_t now_ms);

/* Has none come for too long, so that the filter hangs? */
bool check_failed(const struct check *check, int64_t now_ms);

#endif
