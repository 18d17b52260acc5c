/* The socket on which the MTA reaches the filter. It belongs to the supervisor, so that it stays when a filter dies. */
#ifndef MILTER_SUPERVISOR_MILTER_SOCKET_H
#define MILTER_SUPERVISOR_MILTER_SOCKET_H

#include "conf/lib/settings.h"

/* Binds and listens as `milter.socket` says; returns the descriptor, or -1 with *failure. A Unix socket that a dead program left is taken
 * over after a connect test, and gets socket_mode and socket_group. Status: EX_UNAVAILABLE another program answers there,
 * EX_CANTCREAT it cannot be made, EX_NOPERM not allowed, EX_CONFIG no such address or group. */
int milter_socket_open(const struct settings *settings, struct failure *failure);

/* Closes it and takes a Unix socket out of the file system, if it is still ours: the MTA is refused at once. */
void milter_socket_close(const struct settings *settings, int fd);

/* Does its path still lead to it? Somebody may have removed a Unix socket, or put another one there. */
bool milter_socket_is_there(const struct settings *settings);

/* A non-blocking connection to the socket that listens in `listener`, under way or established; -1 when refused or when the backlog is
 * full. */
int milter_socket_connect(int listener);

#endif
