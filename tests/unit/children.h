/* Children for the tests of the supervisor that are no processes: they are numbered, and note what is done to them. To be included before the
 * file under test. */
#ifndef TESTS_UNIT_CHILDREN_H
#define TESTS_UNIT_CHILDREN_H

#include "tests/unit/tally_form.h"

#include "conf/lib/log.h"
#include "milter/handover.h"
#include "milter/supervisor/check.h"
#include "milter/supervisor/child.h"
#include "milter/supervisor/milter_socket.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

static int64_t children_now_ms; /* the clock of heartbeats */
static pid_t children_last;     /* process id of the one that was started last: 101, 102, … */
static bool children_fail;      /* the next one cannot be started */
static char children_events[4096];
static bool children_open_fails;

__attribute__((format(printf, 1, 2))) static inline void children_note(const char *format, ...)
{
    size_t length = strlen(children_events);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(children_events + length, sizeof children_events - length, format, arguments);
    va_end(arguments);
}

static inline bool fake_child_start(struct child *child, const char *program, int listener, const struct child_kit *kit,
                                    struct failure *failure)
{
    *child = CHILD_NONE;
    child->started_ms = children_now_ms;
    if (children_fail) {
        children_fail = false;
        return fail(failure, EX_OSERR, "cannot be started");
    }
    child->pid = ++children_last + 100;
    child->process = tally_process_add(kit->tally, child->pid);
    children_note("start %d %s%s\n", (int)child->pid, program, listener < 0 ? "" : " listener");
    return true;
}

static inline bool fake_child_send(const struct child *child, char message, int fd)
{
    if (child->pid != 0)
        children_note("send %d %c%s\n", (int)child->pid, message, fd < 0 ? "" : " fd");
    return child->pid != 0;
}

static inline void fake_child_listen(struct child *child)
{
    (void)child;
}

static inline void fake_child_forget(struct child *child, const struct tally *tally)
{
    tally_process_remove(tally, child->process);
    *child = CHILD_NONE;
}

static inline void fake_child_kill(const struct child *child)
{
    if (child->pid != 0)
        children_note("kill %d\n", (int)child->pid);
}

static inline int fake_socket_open(const struct settings *settings, struct failure *failure)
{
    (void)settings;
    if (children_open_fails) {
        fail(failure, EX_UNAVAILABLE, "another program answers there");
        return -1;
    }
    children_note("open\n");
    return 1000;
}

static inline void fake_socket_close(const struct settings *settings, int fd)
{
    (void)settings;
    children_note("close %d\n", fd);
}

static inline int64_t fake_clock_ms(void)
{
    return children_now_ms;
}

__attribute__((format(printf, 1, 2))) static inline void fake_log(const char *format, ...)
{
    (void)format;
}

#define child_start         fake_child_start
#define child_send          fake_child_send
#define child_listen        fake_child_listen
#define child_forget        fake_child_forget
#define child_kill          fake_child_kill
#define milter_socket_open  fake_socket_open
#define milter_socket_close fake_socket_close
#define tally_clock_ms      fake_clock_ms
#define log_error           fake_log
#define log_warning         fake_log
#define log_info            fake_log

#endif
