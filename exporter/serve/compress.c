/* One call of zlib, with a gzip header around what it makes. */
#include "exporter/serve/compress.h"

#include <stdlib.h>
#include <zlib.h>

enum { LEVEL = 3, GZIP_WINDOW = MAX_WBITS + 16, MEMORY_LEVEL = 8 };

char *compress_gzip(const char *bytes, size_t length, size_t *compressed_length)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    uLong bound = deflateBound(&stream, (uLong)length);
    char *compressed = malloc(bound);
    if (compressed != NULL) {
        stream.next_in = (Bytef *)(size_t)bytes; /* zlib leaves out a const that it means */
        stream.avail_in = (uInt)length;
        stream.next_out = (Bytef *)compressed;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {
            free(compressed);
            compressed = NULL;
        }
        *compressed_length = stream.total_out;
    }
    deflateEnd(&stream);
    return compressed;
}
