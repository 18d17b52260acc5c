/* The milter: callbacks of libmilter that hand what they see to a session. */
#ifndef MILTER_FILTER_FILTER_H
#define MILTER_FILTER_FILTER_H

#include "conf/lib/failure.h"
#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

/* Registers with libmilter on the listening socket in descriptor `listener`. `tally` must outlive the process. */
bool filter_open(int listener, const struct settings *settings, const struct tally *tally, struct failure *failure);

/* Serves until libmilter gives up; returns an exit status. */
int filter_run(void);

/* Told at the start and at each reload: what is asked of the MTA from the next session on. Any thread. */
void filter_configure(const struct settings *settings);

/* How many sessions may be observed at the same time; beyond it sessions pass unobserved and are counted. Any thread. */
void filter_limit(unsigned sessions);

/* Sessions observed now. Any thread. */
unsigned filter_sessions(void);

#endif
