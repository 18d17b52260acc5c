/* Settings on their way between processes: a memfd that is sealed, so that the reader need not trust the writer's manners. */
#include "conf/lib/settings.h"

#include "conf/lib/fnv1a.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

int settings_seal(const struct settings *settings, struct failure *failure)
{
    int fd = memfd_create("milterscope-settings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && write(fd, settings, sizeof *settings) == (ssize_t)sizeof *settings &&
        fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return fd;
    fail(failure, EX_OSERR, "settings cannot be put into memory: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

const struct settings *settings_map(int fd, struct failure *failure)
{
    struct stat status;
    struct settings expected;
    settings_stamp(&expected);
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &status) != 0 ||
        status.st_size != (off_t)sizeof(struct settings)) {
        fail(failure, EX_PROTOCOL, "descriptor %d does not hold sealed settings of this version", fd);
        return NULL;
    }
    void *map = mmap(NULL, sizeof(struct settings), PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        fail(failure, EX_OSERR, "settings in descriptor %d: %s", fd, strerror(errno));
        return NULL;
    }
    const struct settings *settings = map;
    if (settings->size != expected.size || settings->version != expected.version) {
        munmap(map, sizeof(struct settings));
        fail(failure, EX_PROTOCOL, "settings in descriptor %d are of another version; restart milterscope", fd);
        return NULL;
    }
    return settings;
}

void settings_unmap(const struct settings *settings)
{
    munmap((void *)(uintptr_t)settings, sizeof *settings);
}

void settings_stamp(struct settings *settings)
{
    static const char version[] = MILTERSCOPE_VERSION;
    settings->size = sizeof *settings;
    settings->version = fnv1a(FNV1A_BEGINS, version, sizeof version - 1);
}

void settings_listener_text(const struct listeners *listeners, uint32_t number, char *text)
{
    char address[64];
    network_text(&listeners->list[number].address, address);
    snprintf(text, 64, strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u", address, listeners->list[number].port);
}

bool settings_is_name(const char *text, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\0' || strchr(allowed, text[i]) == NULL)
            return false;
    }
    return length > 0 && length < SETTINGS_NAME_MAX;
}
