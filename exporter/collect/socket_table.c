/* /proc/net/tcp and tcp6, for kernels without sock_diag: a line a socket, in which only the local port and the state are read. */
#include "exporter/collect/socket_diag.h"

#include "exporter/collect/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 512, LOOK_AT_CLOCK = 1024 };

/* `digits` hexadecimal ones and no other behind them; false: something else. */
static bool read_hexadecimal(const char **at, size_t digits, unsigned long *value)
{
    char *end;
    if (strspn(*at, "0123456789ABCDEFabcdef") != digits)
        return false;
    *value = strtoul(*at, &end, 16);
    *at = end;
    return true;
}

/*    0: 0100007F:0019 00000000:0000 0A …: number, local address and port, remote ones, state. */
bool socket_table_line(const char *line, uint16_t *port, unsigned *state)
{
    unsigned long number, remote, kind;
    line += strspn(line, " ");
    size_t digits = strspn(line, "0123456789");
    if (digits == 0 || line[digits] != ':' || line[digits + 1] != ' ')
        return false;
    line += digits + 2;
    size_t address = strspn(line, "0123456789ABCDEFabcdef");
    if ((address != 8 && address != 32) || line[address] != ':')
        return false;
    line += address + 1;
    if (!read_hexadecimal(&line, 4, &number) || *line++ != ' ')
        return false;
    if (strspn(line, "0123456789ABCDEFabcdef") != address || line[address] != ':')
        return false;
    line += address + 1;
    if (!read_hexadecimal(&line, 4, &remote) || *line++ != ' ' || !read_hexadecimal(&line, 2, &kind))
        return false;
    *port = (uint16_t)number;
    *state = (unsigned)kind;
    return true;
}

static bool is_ours(const struct socket_ports *ports, uint16_t port)
{
    for (unsigned i = 0; i < ports->count; i++) {
        if (ports->list[i] == port)
            return true;
    }
    return false;
}

static bool count_file(const char *path, const struct socket_ports *ports, int64_t end, int64_t counts[socket_COUNT],
                       struct failure *failure)
{
    char line[LINE_BYTES];
    uint16_t port;
    unsigned state, lines = 0;
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return fail(failure, EX_UNAVAILABLE, "%s: %s", path, strerror(errno));
    bool good = true;
    while (good && fgets(line, sizeof line, in) != NULL) {
        if (++lines % LOOK_AT_CLOCK == 0 && clock_ms() > end)
            good = fail(failure, EX_UNAVAILABLE, "%s has more sockets than can be read in time", path);
        if (!socket_table_line(line, &port, &state) || !is_ours(ports, port))
            continue;
        enum label_socket label = socket_state(state);
        if (label != socket_COUNT)
            counts[label]++;
    }
    if (good && ferror(in) != 0)
        good = fail(failure, EX_UNAVAILABLE, "%s: %s", path, strerror(errno));
    fclose(in);
    return good;
}

bool socket_table_count(const char *folder, const struct socket_ports *ports, int64_t deadline_ms,
                        int64_t counts[socket_COUNT], struct failure *failure)
{
    char path[256];
    int64_t end = clock_ms() + deadline_ms;
    memset(counts, 0, socket_COUNT * sizeof counts[0]);
    snprintf(path, sizeof path, "%s/tcp", folder);
    if (!count_file(path, ports, end, counts, failure))
        return false;
    snprintf(path, sizeof path, "%s/tcp6", folder);
    bool no_ipv6 = access(path, F_OK) != 0;
    return no_ipv6 || count_file(path, ports, end, counts, failure);
}
