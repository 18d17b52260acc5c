/* The file is small, on tmpfs, and written whole. */
#include "exporter/serve/unparsed.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void unparsed_read(const struct settings *settings, pthread_mutex_t *lock, char text[UNPARSED_BYTES])
{
    char path[SETTINGS_PATH_MAX + 16], fresh[UNPARSED_BYTES] = "";
    struct stat status;
    snprintf(path, sizeof path, "%s/unparsed", settings->run_directory);
    int fd = settings->privacy ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && read(fd, fresh, sizeof fresh - 1) < 0)
        fresh[0] = '\0';
    if (fd >= 0)
        close(fd);
    pthread_mutex_lock(lock);
    memcpy(text, fresh, sizeof fresh);
    pthread_mutex_unlock(lock);
}
