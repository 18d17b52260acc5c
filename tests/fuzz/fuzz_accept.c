/* Fuzz target: Accept and Accept-Encoding headers. */
#include "exporter/serve/accept.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = malloc(size + 1);
    if (header == NULL)
        return 0;
    memcpy(header, data, size);
    header[size] = '\0';
    accept_format(header);
    accept_gzip(header);
    free(header);
    return 0;
}
