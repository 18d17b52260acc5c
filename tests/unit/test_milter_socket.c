/* milter/supervisor/milter_socket.c: the socket is made where nobody answers, with the mode and group that were asked for, and what is in
 * the way is said and left alone. */
#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>

/* The mode before it is set: until then nobody else gets in. */
static mode_t mode_before;

static int fake_chmod(const char *path, mode_t mode)
{
    struct stat status;
    if (stat(path, &status) == 0)
        mode_before = status.st_mode;
    return chmod(path, mode);
}

#define chmod fake_chmod
#include "milter/supervisor/milter_socket.c"
#undef chmod

#include "tests/unit/socket_folder.h" /* last: cmocka's fail is not ours */

static int open_socket(const struct folder *folder)
{
    struct failure failure = {EX_OK, ""};
    int fd = milter_socket_open(&folder->settings, &failure);
    if (fd < 0)
        fail_msg("%s", failure.text);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    return fd;
}

/* "milter.socket unix:… text", or with the path alone. */
static void refuse(const struct folder *folder, int status, const char *text)
{
    struct failure failure = {EX_OK, ""};
    assert_int_equal(milter_socket_open(&folder->settings, &failure), -1);
    if (failure.status != status || strstr(failure.text, text) == NULL)
        fail_msg("status %d: %s", failure.status, failure.text);
    assert_memory_equal(failure.text, "milter.socket", 13);
}

static void test_new(void **state)
{
    struct folder *folder = *state;
    struct stat status;
    int fd = open_socket(folder);
    assert_int_equal(stat(folder_socket(folder), &status), 0);
    assert_int_equal(status.st_mode, S_IFSOCK | 0660);
    int connection = milter_socket_connect(fd);
    assert_true(connection >= 0);
    assert_true(fcntl(connection, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(connection, F_GETFL) & O_NONBLOCK);
    int accepted = accept(fd, NULL, NULL);
    assert_int_equal(write(connection, "x", 1), 1);
    assert_int_equal(poll(&(struct pollfd){accepted, POLLIN, 0}, 1, 10000), 1);
    close(accepted);
    close(connection);
    milter_socket_close(&folder->settings, fd);
    assert_int_equal(stat(folder_socket(folder), &status), -1);
    assert_int_equal(errno, ENOENT);
}

/* Whatever the umask is, nobody else gets in before the mode is set, and then exactly who was meant. */
static void test_modes(void **state)
{
    static const mode_t masks[] = {0, 022, 0777};
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0};
    struct folder *folder = *state;
    mode_t before = umask(022);
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        for (size_t j = 0; j < sizeof modes / sizeof modes[0]; j++) {
            struct stat status;
            umask(masks[i]);
            folder->settings.milter_socket_mode = modes[j];
            int fd = open_socket(folder);
            assert_int_equal(umask(before), masks[i]);
            assert_int_equal(stat(folder_socket(folder), &status), 0);
            assert_int_equal(status.st_mode, S_IFSOCK | modes[j]);
            assert_int_equal(mode_before, S_IFSOCK | 0600);
            milter_socket_close(&folder->settings, fd);
        }
    }
}

static void test_group(void **state)
{
    struct folder *folder = *state;
    struct stat status;
    const struct group *own = getgrgid(getegid());
    assert_non_null(own);
    snprintf(folder->settings.milter_socket_group, sizeof folder->settings.milter_socket_group, "%s", own->gr_name);
    int fd = open_socket(folder);
    assert_int_equal(stat(folder_socket(folder), &status), 0);
    assert_int_equal(status.st_gid, getegid());
    milter_socket_close(&folder->settings, fd);
    strcpy(folder->settings.milter_socket_group, "no-such-group-here");
    refuse(folder, EX_CONFIG, "milter.socket_group no-such-group-here: there is no such group");
    assert_int_equal(stat(folder_socket(folder), &status), -1);
}

/* A group that we are no member of: root may give the socket away, others may not. */
static void test_foreign_group(void **state)
{
    struct folder *folder = *state;
    struct stat status;
    uid_t user = geteuid();
    strcpy(folder->settings.milter_socket_group, "mail");
    if (getgrnam("mail") == NULL)
        skip();
    if (user == 0) {
        int fd = open_socket(folder);
        assert_int_equal(stat(folder_socket(folder), &status), 0);
        assert_int_equal(status.st_gid, getgrnam("mail")->gr_gid);
        milter_socket_close(&folder->settings, fd);
        assert_int_equal(chmod(folder->path, 0777), 0);
        if (setegid(65534) != 0 || seteuid(65534) != 0)
            skip();
    }
    refuse(folder, EX_NOPERM,
           "cannot be given to group mail: Operation not permitted; make the account of milterscope a member");
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(user == 0 ? setegid(0) : 0, 0);
    assert_int_equal(stat(folder_socket(folder), &status), -1);
}

/* What a dead program left is taken over. */
static void test_stale(void **state)
{
    struct folder *folder = *state;
    int dead = folder_bind(folder, SOCK_STREAM);
    assert_int_equal(listen(dead, 5), 0);
    close(dead);
    int fd = open_socket(folder);
    int connection = milter_socket_connect(fd);
    assert_true(connection >= 0);
    close(connection);
    milter_socket_close(&folder->settings, fd);
}

static void test_live(void **state)
{
    struct folder *folder = *state;
    struct stat before, after;
    int live = folder_bind(folder, SOCK_STREAM);
    assert_int_equal(listen(live, 0), 0);
    assert_int_equal(stat(folder_socket(folder), &before), 0);
    refuse(folder, EX_UNAVAILABLE, "another program answers there; stop it or choose another path");
    int waiting[4];
    for (int i = 0; i < 4; i++) /* until its backlog is full: it is still somebody's */
        waiting[i] = milter_socket_connect(live);
    assert_int_equal(waiting[3], -1);
    refuse(folder, EX_UNAVAILABLE, "another program answers there");
    for (int i = 0; i < 3; i++) {
        if (waiting[i] >= 0)
            close(waiting[i]);
    }
    assert_int_equal(stat(folder_socket(folder), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    close(live);
}

static void test_something_else(void **state)
{
    struct folder *folder = *state;
    int datagrams = folder_bind(folder, SOCK_DGRAM);
    refuse(folder, EX_UNAVAILABLE, "another program answers there");
    close(datagrams);
    assert_int_equal(unlink(folder_socket(folder)), 0);
    assert_int_equal(close(creat(folder_socket(folder), 0600)), 0);
    refuse(folder, EX_CANTCREAT, "something that is not a socket is there; move it away");
    assert_int_equal(unlink(folder_socket(folder)), 0);
    assert_int_equal(symlink("/dev/null", folder_socket(folder)), 0);
    refuse(folder, EX_CANTCREAT, "something that is not a socket is there");
    assert_int_equal(unlink(folder_socket(folder)), 0);
}

static void test_no_folder(void **state)
{
    struct folder *folder = *state;
    snprintf(folder->settings.milter_socket, sizeof folder->settings.milter_socket, "unix:%s/missing/s", folder->path);
    refuse(folder, EX_CANTCREAT, "/missing/s: its folder does not exist; make it, owned by milterscope's account");
    snprintf(folder->settings.milter_socket, sizeof folder->settings.milter_socket, "unix:%s/file/s", folder->path);
    char file[128];
    snprintf(file, sizeof file, "%s/file", folder->path);
    assert_int_equal(close(creat(file, 0600)), 0);
    refuse(folder, EX_CANTCREAT, "/file/s: its folder does not exist");
}

static void test_not_allowed(void **state)
{
    struct folder *folder = *state;
    uid_t user = geteuid();
    assert_int_equal(chmod(folder->path, 0500), 0);
    if (user == 0 && seteuid(65534) != 0)
        skip();
    refuse(folder, EX_NOPERM, "Permission denied");
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(chmod(folder->path, 0700), 0);
}

/* A port of 127.0.0.1 that is free now. */
static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void test_tcp(void **state)
{
    struct folder *folder = *state;
    int port = free_port();
    snprintf(folder->settings.milter_socket, sizeof folder->settings.milter_socket, "inet:%d@127.0.0.1", port);
    int fd = open_socket(folder);
    int connection = milter_socket_connect(fd);
    assert_true(connection >= 0);
    int accepted = accept(fd, NULL, NULL);
    assert_true(accepted >= 0);
    refuse(folder, EX_UNAVAILABLE, ": in use by another program; stop it or choose another port");
    close(accepted); /* our side first: the port is left in TIME_WAIT, and must be free for the next start */
    close(connection);
    milter_socket_close(&folder->settings, fd);
    fd = open_socket(folder);
    milter_socket_close(&folder->settings, fd);
    strcpy(folder->settings.milter_socket, "inet:25000@no-such-host.invalid");
    refuse(folder, EX_CONFIG, "milter.socket inet:25000@no-such-host.invalid: ");
    strcpy(folder->settings.milter_socket, "inet6:25000@127.0.0.1");
    refuse(folder, EX_CONFIG, "milter.socket inet6:25000@127.0.0.1: ");
    snprintf(folder->settings.milter_socket, sizeof folder->settings.milter_socket, "inet:%d@192.0.2.1", port);
    refuse(folder, EX_CANTCREAT, "@192.0.2.1: Cannot assign requested address");
}

static void test_connect_refused(void **state)
{
    struct folder *folder = *state;
    int closed = open_socket(folder);
    assert_int_equal(unlink(folder_socket(folder)), 0);
    assert_int_equal(milter_socket_connect(closed), -1); /* nothing at the path */
    close(closed);
    assert_int_equal(milter_socket_connect(closed), -1); /* no socket at all */
    assert_int_equal(milter_socket_connect(-1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_new),
        FOLDER_TEST(test_modes),
        FOLDER_TEST(test_group),
        FOLDER_TEST(test_foreign_group),
        FOLDER_TEST(test_stale),
        FOLDER_TEST(test_live),
        FOLDER_TEST(test_something_else),
        FOLDER_TEST(test_no_folder),
        FOLDER_TEST(test_not_allowed),
        FOLDER_TEST(test_tcp),
        FOLDER_TEST(test_connect_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
