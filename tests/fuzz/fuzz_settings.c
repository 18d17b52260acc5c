/* Fuzzes the descriptor in which a child gets its settings: the input is two bytes, for the seals and the size, and what is in it. Only
 * sealed settings of this very build are taken, as they are. */
#include "conf/lib/settings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE, WHOLE = 1, STAMPED = 2 };

static void write_at(int fd, const void *bytes, size_t size)
{
    if (size > 0 && pwrite(fd, bytes, size, 0) != (ssize_t)size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings right;
    struct failure failure = {EX_OK, ""};
    if (size < 2)
        return 0;
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING), seals = data[0] & ALL_SEALS;
    size_t length = size - 2 < sizeof right ? size - 2 : sizeof right;
    settings_stamp(&right);
    write_at(fd, data + 2, length);
    if ((data[1] & STAMPED) != 0)
        write_at(fd, &right, offsetof(struct settings, read_at));
    if ((data[1] & WHOLE) != 0 && ftruncate(fd, sizeof right) != 0)
        abort();
    if (fcntl(fd, F_ADD_SEALS, seals) != 0)
        abort();
    const struct settings *settings = settings_map(fd, &failure);
    close(fd);
    if ((settings == NULL) != (failure.status != EX_OK) || (settings == NULL) != (failure.text[0] != '\0'))
        abort();
    if (settings == NULL)
        return 0;
    if (seals != ALL_SEALS || settings->size != right.size || settings->version != right.version ||
        (length > offsetof(struct settings, read_at) &&
         memcmp(&settings->read_at, data + 2 + offsetof(struct settings, read_at),
                length - offsetof(struct settings, read_at)) != 0))
        abort();
    settings_unmap(settings);
    return 0;
}
