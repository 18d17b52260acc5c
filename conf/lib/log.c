/* The log. The line is put together in a buffer of its own and written with one call, so that lines of several processes on one
 * standard error do not mix. */
#include "conf/lib/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

static struct {
    pthread_mutex_t lock;
    const char *program;
    enum log_level level;
    enum log_target target;
    bool journal;
    time_t period; /* start of the period in which `written` lines were written */
    unsigned written;
    unsigned suppressed;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .program = "milterscope", .level = log_level_info};

static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

void log_open(const char *program, enum log_level level, enum log_target target)
{
    pthread_mutex_lock(&state.lock);
    state.program = program;
    state.level = level;
    state.target = target;
    state.journal = getenv("JOURNAL_STREAM") != NULL;
    if (target == log_to_syslog)
        openlog(program, LOG_PID, LOG_MAIL);
    pthread_mutex_unlock(&state.lock);
}

static void put(enum log_level level, const char *message)
{
    char line[LINE_MAX_BYTES + 64];
    if (state.target == log_to_syslog) {
        syslog(priorities[level], "%s", message);
        return;
    }
    int length = state.journal ? snprintf(line, sizeof line, "<%d>%s\n", priorities[level], message)
                               : snprintf(line, sizeof line, "%s: %s\n", state.program, message);
    /* A log that cannot be written must not stop anything: where a pipe is full, the line is lost. */
    struct pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&writable, 1, 0) != 1 || (writable.revents & POLLOUT) == 0) {
        state.suppressed++;
        return;
    }
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    (void)ignored;
}

static bool within_burst(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - state.period >= LOG_SECONDS || state.period == 0) {
        if (state.suppressed > 0) {
            char message[64];
            snprintf(message, sizeof message, "%u log lines suppressed", state.suppressed);
            put(log_level_warning, message);
        }
        state.period = now.tv_sec;
        state.written = 0;
        state.suppressed = 0;
    }
    if (state.written >= LOG_BURST) {
        state.suppressed++;
        return false;
    }
    state.written++;
    return true;
}

__attribute__((format(printf, 2, 0))) static void write_line(enum log_level level, const char *format,
                                                             va_list arguments)
{
    char message[LINE_MAX_BYTES];
    vsnprintf(message, sizeof message, format, arguments);
    for (char *c = message; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    pthread_mutex_lock(&state.lock);
    if (level <= state.level && within_burst())
        put(level, message);
    pthread_mutex_unlock(&state.lock);
}

#define LOG_FUNCTION(level)                                                                                            \
    void log_##level(const char *format, ...)                                                                          \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        write_line(log_level_##level, format, arguments);                                                              \
        va_end(arguments);                                                                                             \
    }
LOG_FUNCTION(error)
LOG_FUNCTION(warning)
LOG_FUNCTION(info)
LOG_FUNCTION(debug)
