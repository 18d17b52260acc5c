/* Listening sockets for exporter.listen. */
#ifndef EXPORTER_SERVE_LISTEN_H
#define EXPORTER_SERVE_LISTEN_H

#include "conf/lib/failure.h"

/* Listens on "127.0.0.1:19154" or "[::1]:19154"; -1 with *failure: EX_UNAVAILABLE where it is taken, EX_NOPERM where it is not
 * allowed. */
int listen_on(const char *address, struct failure *failure);

#endif
