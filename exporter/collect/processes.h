/* The collector of processes: how many there are of each role, how many there may be, how old the oldest is.
 *
 * Counted are processes that live, by their role (conf/tables/process_roles.def): those of the MTA, of all its instances on this host
 * together, but not those in containers, which are in a PID namespace below ours; the limits are those of the one instance whose
 * configuration mta.config names. Roles of an MTA are shown where it is the one of this host, or was seen since the collector
 * started; then a role without a process is 0. The operator's roles are always shown, and counted in containers, too. */
#ifndef EXPORTER_COLLECT_PROCESSES_H
#define EXPORTER_COLLECT_PROCESSES_H

#include "exporter/collect/collector.h"

extern const struct collector collect_processes;

/* The same over another /proc: for tests. */
void *processes_open_at(const char *proc, const struct settings *settings, const struct tally *tally,
                        struct failure *failure);

#endif
