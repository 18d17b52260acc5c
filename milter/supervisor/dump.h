/* --dump: the tallies in the text format of Prometheus, with nothing else running. */
#ifndef MILTER_SUPERVISOR_DUMP_H
#define MILTER_SUPERVISOR_DUMP_H

#include "conf/lib/settings.h"

/* Prints the tally in run_directory, or else the copy in state_directory, to standard output; returns an exit status. Totals that this
 * build does not know come last, without a type. */
int dump(const struct settings *settings);

#endif
