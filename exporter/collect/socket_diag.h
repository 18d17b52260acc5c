/* Counting TCP sockets of some local ports by their state. */
#ifndef EXPORTER_COLLECT_SOCKET_DIAG_H
#define EXPORTER_COLLECT_SOCKET_DIAG_H

#include "conf/lib/catalogue.h"
#include "conf/lib/failure.h"

enum { SOCKET_PORTS_MAX = 32 };

struct socket_ports {
    unsigned count;
    uint16_t list[SOCKET_PORTS_MAX];
};

/* The state of the kernel's number, as in tcp(7) and /proc/net/tcp; socket_COUNT: none that is counted (LISTEN). */
enum label_socket socket_state(unsigned number);

/* Asks the kernel (sock_diag(7)), which picks the ports itself; both families. Ends within `deadline_ms` but for what one answer takes. */
bool socket_diag_count(const struct socket_ports *ports, int64_t deadline_ms, int64_t counts[socket_COUNT],
                       struct failure *failure);

/* The same from /proc/net/tcp and tcp6 (`folder`: /proc/net), for kernels that have no diagnosis. Adds up line by line. */
bool socket_table_count(const char *folder, const struct socket_ports *ports, int64_t deadline_ms,
                        int64_t counts[socket_COUNT], struct failure *failure);

/* A line of these files: local port and state; false: it is none. */
bool socket_table_line(const char *line, uint16_t *port, unsigned *state);

#endif
