/* The filters: one that serves, one that may be starting to take its place, some that drain.
 *
 * One that dies is started again on the same socket; one that does not answer (see check.h) is killed and replaced, one that is busy only
 * after a longer time; one that holds sessions which libmilter has forgotten gets a planned restart. When filters die again and again the
 * socket is closed, so that the MTA is refused at once instead of waiting, and opened again after a while. */
#ifndef MILTER_SUPERVISOR_FILTERS_H
#define MILTER_SUPERVISOR_FILTERS_H

#include "milter/supervisor/check.h"
#include "milter/supervisor/child.h"

enum { FILTERS_DRAINING = 8, FILTERS_DEATHS = 5, FILTERS_POLLS = 3 };

struct filters {
    const struct child_kit *kit;
    int listener; /* -1: closed */
    struct check check;
    struct child active;
    struct child next; /* of a planned restart */
    struct child draining[FILTERS_DRAINING];
    int64_t deaths_ms[FILTERS_DEATHS]; /* the last ones, as a ring */
    unsigned deaths;
    int64_t reopen_ms;    /* when a closed socket is opened again */
    int64_t awake_ms;     /* silence of filters counts from here on, see filters_awake */
    int64_t forgotten_ms; /* when one was replaced last for sessions that libmilter has forgotten; 0: never */
    bool late;            /* the answer to the check that is under way */
    bool stopping;
    bool outdated; /* a filter of another version was started: the supervisor must start again as that version */
};

/* Opens the socket and starts the first filter. `kit` must outlive *filters. */
bool filters_open(struct filters *filters, const struct child_kit *kit, struct failure *failure);

/* Descriptors to wait for, at most FILTERS_POLLS. Returns how many. */
unsigned filters_wait(const struct filters *filters, struct pollfd *wait);

/* Everything that is due now. */
void filters_step(struct filters *filters, int64_t now_ms);

/* The supervisor itself stood still until now: that it heard nothing meanwhile is no filter's fault. */
void filters_awake(struct filters *filters, int64_t now_ms);

/* A child ended; false when it is none of the filters. */
bool filters_reaped(struct filters *filters, pid_t pid, int status, int64_t now_ms);

/* A planned restart: starts a new filter, and drains the old one when the new one is ready. */
void filters_restart(struct filters *filters);

/* Sends new settings (a sealed memfd) to every filter; false when the one that serves cannot be reached. */
bool filters_reload(const struct filters *filters, int settings);

/* Closes the socket and drains all filters; again, or `at_once`: kills them. */
void filters_stop(struct filters *filters, bool at_once);
bool filters_gone(const struct filters *filters);

/* Did the last checks go well? For the watchdog. */
bool filters_healthy(const struct filters *filters, int64_t now_ms);

/* "signal 9 (Killed)", "exit status 70": how a process ended, in a buffer of at least 64 bytes. */
const char *filters_ended(int status, char *text);

#endif
