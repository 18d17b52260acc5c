/* The signals of programs with threads: one loop takes them all. */
#ifndef EXPORTER_SIGNALS_H
#define EXPORTER_SIGNALS_H

#include <signal.h>

/* Fills *signals with those that are taken by the main loop alone (sigtimedwait), and blocks them; to be called before there are threads,
 * which inherit that. SIGPIPE is ignored. */
void signals_block(sigset_t *signals);

#endif
