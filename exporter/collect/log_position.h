/* Where in a log file we are, so that the place is found again: in the same file, in the one that it was renamed or copied to, or not at
 * all; and the files that a rotation makes of one. */
#ifndef EXPORTER_COLLECT_LOG_POSITION_H
#define EXPORTER_COLLECT_LOG_POSITION_H

#include "exporter/collect/log_source.h"

#include <sys/stat.h>

enum { FINGERPRINT_MAX = 1024 };

struct log_position {
    uint64_t device, inode; /* 0: there was no file yet */
    uint64_t offset;
    uint64_t fingerprint_bytes; /* of the beginning of the file, to the end of its first line; 0: not known */
    uint64_t fingerprint;
    int64_t modified_ns; /* when the file was written to last, as far as we saw */
};

void log_position_write(const struct log_position *position, char text[LOG_POSITION_BYTES]);
bool log_position_read(const char *text, struct log_position *position);

/* Of the first `bytes` of a file, at most FINGERPRINT_MAX. */
uint64_t log_position_hash(const char *text, size_t bytes);

/* Takes over which file this is, not where in it we are. */
void log_position_of_file(struct log_position *position, const struct stat *status);

/* The same from what the file begins with; none where its first line is not complete. */
void log_position_take_fingerprint(struct log_position *position, int fd);

/* Does the file begin as the one of the position did? Where that is not known: is it the same file? */
bool log_position_fits(const struct log_position *position, int fd, const struct stat *status);

/* Opens a log for reading, `name` as for openat(2). Not through a link that somebody else than root has made: EACCES. -1 with errno. */
int log_position_open_file(int folder, const char *name);

/* Opens the file that the position is in, be it `path` or one that a rotation has made of it; -1: there is none. */
int log_position_open(const struct log_position *position, const char *path);

/* Opens the file that was written after the one of the position: of those that rotations have left the oldest, else `path` itself. -1: there
 * is none, or nothing in it yet. */
int log_position_open_next(const struct log_position *position, const char *path);

#endif
