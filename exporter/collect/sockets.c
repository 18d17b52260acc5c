/* The kernel is asked by sock_diag, and its table is read where that fails; where both do, nothing is shown. A table of many sockets takes
 * time: it is looked at less often then, so that looking takes 2 % of the time at most. */
#include "exporter/collect/sockets.h"

#include "exporter/collect/clock.h"
#include "exporter/collect/socket_diag.h"

#include <stdlib.h>

enum { PAUSE_MS = 15 * 1000, DEADLINE_MS = 10 * 1000, SHARE = 50 };

struct sockets {
    const struct tally *tally;
    struct socket_ports ports;
    int64_t took_ms;
};

static void add_port(struct socket_ports *ports, uint16_t port)
{
    for (unsigned i = 0; i < ports->count; i++) {
        if (ports->list[i] == port)
            return;
    }
    if (ports->count < SOCKET_PORTS_MAX)
        ports->list[ports->count++] = port;
}

static void *open_sockets(const struct settings *settings, const struct tally *tally, struct failure *failure)
{
    static const uint16_t usual[] = {25, 465, 587};
    struct sockets *self = calloc(1, sizeof *self);
    if (self == NULL) {
        fail(failure, EX_OSERR, "no memory to count sockets");
        return NULL;
    }
    self->tally = tally;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        add_port(&self->ports, usual[i]);
    for (uint32_t i = 0; i < settings->mta_listeners.count; i++)
        add_port(&self->ports, settings->mta_listeners.list[i].port);
    return self;
}

static bool run(void *context, struct failure *failure)
{
    struct sockets *self = context;
    int64_t counts[socket_COUNT], begin = clock_ms();
    bool good = socket_diag_count(&self->ports, DEADLINE_MS, counts, failure) ||
                socket_table_count("/proc/net", &self->ports, DEADLINE_MS, counts, failure);
    for (unsigned state = 0; state < socket_COUNT; state++)
        tally_gauge_set(self->tally, (unsigned)gauge_smtp_sockets + state, good ? counts[state] : GAUGE_ABSENT);
    self->took_ms = clock_ms() - begin;
    return good;
}

static int64_t pause_ms(const void *context)
{
    const struct sockets *self = context;
    int64_t stretched = self->took_ms * (SHARE - 1);
    return stretched > PAUSE_MS ? stretched : PAUSE_MS;
}

const struct collector collect_sockets = {.name = collector_sockets,
                                          .deadline_ms = 2 * DEADLINE_MS + 10 * 1000,
                                          .open = open_sockets,
                                          .run = run,
                                          .pause_ms = pause_ms,
                                          .close = free};
