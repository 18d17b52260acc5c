/* conf/lib/notify.c: the datagrams that systemd gets, in files and in the abstract namespace; and nothing where nobody asked. */
#include "tests/unit/socket_folder.h"

#include "conf/lib/notify.h"

#include <poll.h>

static const char *received(int fd)
{
    static char text[1024];
    ssize_t length = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[length > 0 ? length : 0] = '\0';
    return text;
}

static void expect_all(int fd)
{
    long long micros;
    notify_ready("serving");
    assert_string_equal(received(fd), "READY=1\nSTATUS=serving");
    notify_stopping();
    assert_string_equal(received(fd), "STOPPING=1");
    notify_watchdog();
    assert_string_equal(received(fd), "WATCHDOG=1");
    notify_reloading();
    assert_int_equal(sscanf(received(fd), "RELOADING=1\nMONOTONIC_USEC=%lld", &micros), 1);
    assert_true(micros > 0);
    assert_string_equal(received(fd), "");
}

static void test_path(void **state)
{
    const struct folder *folder = *state;
    int fd = folder_bind(folder, SOCK_DGRAM);
    setenv("NOTIFY_SOCKET", folder_socket(folder), 1);
    expect_all(fd);
    char status[2000];
    memset(status, 'x', sizeof status - 1);
    status[sizeof status - 1] = '\0';
    notify_ready(status);
    assert_int_equal(strlen(received(fd)), 511);
    close(fd);
}

static void test_abstract(void **state)
{
    const struct folder *folder = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[100];
    snprintf(name, sizeof name, "@%s", folder->path);
    strcpy(address.sun_path + 1, folder->path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, length), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    expect_all(fd);
    close(fd);
}

/* No address, one that is none, one that is too long, one where nobody is: nothing happens, and no descriptor is left open. */
static void test_nobody(void **state)
{
    static char longest[200];
    static const char *const addresses[] = {NULL, "", "/", "@", "relative", "/nonexistent/socket", longest};
    int next = dup(STDIN_FILENO);
    (void)state;
    close(next);
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        if (addresses[i] == NULL)
            unsetenv("NOTIFY_SOCKET");
        else
            setenv("NOTIFY_SOCKET", addresses[i], 1);
        notify_ready("x");
        notify_watchdog();
        assert_int_equal(dup(STDIN_FILENO), next);
        close(next);
    }
}

/* A systemd that does not read does not stop us. */
static void test_full(void **state)
{
    const struct folder *folder = *state;
    int fd = folder_bind(folder, SOCK_DGRAM);
    setenv("NOTIFY_SOCKET", folder_socket(folder), 1);
    for (int i = 0; i < 5000; i++)
        notify_watchdog();
    assert_string_equal(received(fd), "WATCHDOG=1");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {FOLDER_TEST(test_path), FOLDER_TEST(test_abstract), FOLDER_TEST(test_nobody),
                                       FOLDER_TEST(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
