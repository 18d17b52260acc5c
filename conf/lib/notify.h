/* Telling systemd how a program is: the datagrams of sd_notify(3). Where nobody asked to be told (no NOTIFY_SOCKET) nothing is sent, and
 * what cannot be sent is lost: no program depends on it. Thread-safe. */
#ifndef CONF_LIB_NOTIFY_H
#define CONF_LIB_NOTIFY_H

/* The program serves, after its start or a reload; `status` is one line for people. */
void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);

/* The program is well; to be said more often than the unit's WatchdogSec asks. */
void notify_watchdog(void);

#endif
