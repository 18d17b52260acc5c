/* gzip for answers. */
#ifndef EXPORTER_SERVE_COMPRESS_H
#define EXPORTER_SERVE_COMPRESS_H

#include <stddef.h>

/* The bytes as a gzip file in memory (free it); NULL where memory is short. */
char *compress_gzip(const char *bytes, size_t length, size_t *compressed_length);

#endif
