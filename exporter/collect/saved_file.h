/* Files that are written whole: under another name first, so that at any moment, and after any kill, there is one that is whole. */
#ifndef EXPORTER_COLLECT_SAVED_FILE_H
#define EXPORTER_COLLECT_SAVED_FILE_H

#include "conf/lib/failure.h"

#include <sys/uio.h>

/* Makes directory/name of the parts, in their order, with mode 0640. `to_disk`: it is there after a power failure, too, and waited for. false
 * with *failure; the file before is still there then. */
bool saved_file_write(const char *directory, const char *name, const struct iovec *parts, int count, bool to_disk,
                      struct failure *failure);

#endif
