/* The lines of the delivery log that were not understood, from the file that the collector writes for people. */
#ifndef EXPORTER_SERVE_UNPARSED_H
#define EXPORTER_SERVE_UNPARSED_H

#include "conf/lib/settings.h"

#include <pthread.h>

enum { UNPARSED_BYTES = 8192 }; /* more than the collector writes */

/* Reads them, and puts them into `text` under the lock; nothing where there are none, or they are not to be shown: with `privacy`. For a thread that
 * may wait. */
void unparsed_read(const struct settings *settings, pthread_mutex_t *lock, char text[UNPARSED_BYTES]);

#endif
