/* Does the filter answer? A negotiation over the milter socket (SMFIC_OPTNEG), as the MTA makes it at the start of a session, and one
 * command more, never blocking. Without a CONNECT nothing is counted. */
#ifndef MILTER_SUPERVISOR_CHECK_H
#define MILTER_SUPERVISOR_CHECK_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum { CHECK_INTERVAL_MS = 1000, CHECK_PAUSE_MS = 20, CHECK_DEADLINE_MS = 3000 };

struct check {
    int fd;              /* of the check under way, or -1 */
    unsigned answers;    /* that came in it */
    bool asked;          /* the next question */
    int64_t ask_ms;      /* not before */
    int64_t next_ms;     /* when the next one begins */
    int64_t answered_ms; /* when the last answer came, or since when an answer is waited for */
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

/* Has no answer come for too long? */
bool check_failed(const struct check *check, int64_t now_ms);

#endif
