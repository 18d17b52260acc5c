/* The collector of TCP sockets: how many there are of the ports that the MTA listens on, by state.
 *
 * The ports are those of SMTP (25, 465, 587), and those of mta.listeners. They are counted in the network namespace of the collector, of all addresses of this
 * host. */
#ifndef EXPORTER_COLLECT_SOCKETS_H
#define EXPORTER_COLLECT_SOCKETS_H

#include "exporter/collect/collector.h"

extern const struct collector collect_sockets;

#endif
