/* Fuzzes the configuration file: the input is the file. What is wrong must be said; what is right must come out of --print-config so that it
 * is read as the same. */
#include "conf/lib/options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[32];
static int fd = -1;

static bool read_file(const void *bytes, size_t size, struct settings *settings)
{
    struct failure failure = {EX_OK, ""};
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool good = options_read(path, settings, &failure);
    if (good != (failure.status == EX_OK) || good != (failure.text[0] == '\0'))
        abort();
    return good;
}

/* The settings as they are printed (free it). */
static char *print(const struct settings *settings)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        abort();
    options_print(out, settings);
    fclose(out);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings first, second;
    char option[64];
    if (!read_file(data, size, &first))
        return 0;
    char *text = print(&first);
    if (!read_file(text, strlen(text), &second))
        abort();
    char *again = print(&second);
    if (strcmp(text, again) != 0 || options_keep(&first, &second, option))
        abort();
    free(text);
    free(again);
    return 0;
}
