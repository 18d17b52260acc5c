/* The folders of a run: made if they are missing, and taken, so that no second program of the same name works in them. */
#ifndef CONF_LIB_DIRECTORIES_H
#define CONF_LIB_DIRECTORIES_H

#include "conf/lib/settings.h"

/* Makes state_directory and run_directory (the last component only), and locks run_directory for `program` until this process ends. Status:
 * EX_TEMPFAIL a live process holds it (its id is said), EX_CANTCREAT, EX_NOPERM. A state directory that cannot be made, or a run
 * directory that is full or read-only, is a warning: milterscope runs without copies, or without lock and file. */
bool directories_take(const struct settings *settings, const char *program, struct failure *failure);

#endif
