/* The children of a supervisor that was killed: the kernel kills them with it, but dying takes its time, in which they still count and still
 * hold the milter socket. */
#ifndef MILTER_SUPERVISOR_ORPHANS_H
#define MILTER_SUPERVISOR_ORPHANS_H

/* Waits until the processes that the tally in run_directory names have ended, for two seconds at most. To be called with the run
 * directory locked, before its tally is read. */
void orphans_wait(const char *run_directory);

#endif
