/* The settings in force, and those that open sessions still use: a reload must not pull them away under a callback.
 *
 * take and release are memory operations and safe from any thread; the lock between them is never held during I/O. */
#ifndef MILTER_FILTER_CURRENT_H
#define MILTER_FILTER_CURRENT_H

#include "conf/lib/settings.h"

/* The settings in force, held until current_release. NULL before the first current_replace. */
const struct settings *current_take(void);
void current_release(const struct settings *settings);

/* Puts mapped settings in force; they belong to this module from now on. false, and nothing changed, when too many older ones are
 * still in use. */
bool current_replace(const struct settings *settings);

/* Unmaps settings that are out of force and held by nobody. Not from a callback: it is a system call. */
void current_reap(void);

#endif
