/* The log: one line an event, to standard error or to syslog.
 *
 * On standard error a line starts with `program: `, or with the priority that the journal reads (sd-daemon(3), `<N>`) where
 * standard error is the journal. Control characters are replaced, so that nothing from the network can forge a line. At most
 * LOG_BURST lines are written in LOG_SECONDS; what was suppressed is counted and said. Thread-safe. Never called from a milter
 * callback. */
#ifndef CONF_LIB_LOG_H
#define CONF_LIB_LOG_H

enum log_level { log_level_error, log_level_warning, log_level_info, log_level_debug };
enum log_target { log_to_stderr, log_to_syslog };
enum { LOG_BURST = 200, LOG_SECONDS = 10 };

/* Names the program (a literal) and sets what is written from now on; may be called again after a reload. */
void log_open(const char *program, enum log_level level, enum log_target target);

__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warning(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);

#endif
