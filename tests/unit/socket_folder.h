/* A folder of its own for a test of sockets, and settings that name a Unix socket in it. */
#ifndef TESTS_UNIT_SOCKET_FOLDER_H
#define TESTS_UNIT_SOCKET_FOLDER_H

#include "conf/lib/settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct folder {
    char path[64];
    struct settings settings; /* milter.socket is unix:<path>/s, mode 0660, no group */
};

static inline int folder_set_up(void **state)
{
    static struct folder folder;
    folder = (struct folder){.path = "/tmp/milterscope-socket-XXXXXX"};
    if (mkdtemp(folder.path) == NULL)
        return 1;
    snprintf(folder.settings.milter_socket, sizeof folder.settings.milter_socket, "unix:%s/s", folder.path);
    folder.settings.milter_socket_mode = 0660;
    *state = &folder;
    return 0;
}

static inline int folder_tear_down(void **state)
{
    struct folder *folder = *state;
    DIR *directory = opendir(folder->path);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory != NULL)
        closedir(directory);
    return rmdir(folder->path);
}

/* The path of the socket. */
static inline const char *folder_socket(const struct folder *folder)
{
    return folder->settings.milter_socket + strlen("unix:");
}

static inline struct sockaddr_un folder_address(const struct folder *folder)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, folder_socket(folder));
    return address;
}

/* A socket of any type at the path, as another program would bind it. */
static inline int folder_bind(const struct folder *folder, int type)
{
    struct sockaddr_un address = folder_address(folder);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, folder_set_up, folder_tear_down)

#endif
