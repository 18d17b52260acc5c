/* milter/handover.c: messages and descriptors over the socket pair. */
#include "milter/handover.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

static int begin(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int end(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static void test_messages(void **state)
{
    static const char messages[] = {HANDOVER_READY, HANDOVER_RELOAD, HANDOVER_DRAIN, HANDOVER_STOP, HANDOVER_FORGOTTEN};
    int fd = 7;
    (void)state;
    assert_int_equal(handover_receive(pair[1], &fd), HANDOVER_NOTHING);
    assert_int_equal(fd, -1);
    for (size_t i = 0; i < sizeof messages; i++)
        assert_true(handover_send(pair[0], messages[i], -1));
    for (size_t i = 0; i < sizeof messages; i++) {
        assert_int_equal(handover_receive(pair[1], &fd), messages[i]);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(handover_receive(pair[1], &fd), HANDOVER_NOTHING);
    assert_true(handover_send(pair[1], HANDOVER_READY, -1)); /* and the other way */
    assert_int_equal(handover_receive(pair[0], &fd), HANDOVER_READY);
}

static void test_descriptors(void **state)
{
    struct stat sent, received;
    int null = open("/dev/null", O_RDONLY), fd;
    (void)state;
    assert_true(handover_send(pair[0], HANDOVER_RELOAD, null));
    assert_true(handover_send(pair[0], HANDOVER_DRAIN, -1));
    assert_int_equal(handover_receive(pair[1], &fd), HANDOVER_RELOAD);
    assert_true(fd >= 0 && fd != null);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fstat(null, &sent) + fstat(fd, &received), 0);
    assert_int_equal(sent.st_rdev, received.st_rdev);
    close(fd);
    assert_int_equal(handover_receive(pair[1], &fd), HANDOVER_DRAIN);
    assert_int_equal(fd, -1);
    close(null);
    assert_false(handover_send(pair[0], HANDOVER_RELOAD, null)); /* a descriptor that is none */
    assert_int_equal(handover_receive(pair[1], &fd), HANDOVER_NOTHING);
}

/* A peer that is gone, or does not listen, is no signal and no wait. */
static void test_gone(void **state)
{
    int fd;
    (void)state;
    assert_true(handover_send(pair[0], HANDOVER_STOP, -1));
    assert_int_equal(shutdown(pair[0], SHUT_RDWR), 0);
    assert_int_equal(handover_receive(pair[1], &fd), HANDOVER_STOP); /* what was said before its end counts */
    assert_int_equal(handover_receive(pair[1], &fd), HANDOVER_GONE);
    assert_false(handover_send(pair[1], HANDOVER_READY, -1));
    assert_false(handover_send(-1, HANDOVER_READY, -1));
    assert_int_equal(handover_receive(-1, &fd), HANDOVER_GONE);
}

static void test_full(void **state)
{
    unsigned sent = 0, received = 0;
    int fd;
    (void)state;
    while (handover_send(pair[0], HANDOVER_READY, -1) && sent < 1000000)
        sent++;
    assert_true(sent > 0 && sent < 1000000);
    while (handover_receive(pair[1], &fd) == HANDOVER_READY)
        received++;
    assert_int_equal(sent, received);
}

static void test_process(void **state)
{
    static const struct {
        const char *words[3];
        int process;
    } rows[] = {
        {{"p", "0"}, 0},   {{"p", "15"}, 15}, {{"p"}, -1},           {{"p", ""}, -1},       {{"p", "-1"}, -1},
        {{"p", "1x"}, -1}, {{"p", " 1"}, -1}, {{"p", "1", "2"}, -1}, {{"p", "--help"}, -1},
    };
    (void)state;
    assert_int_equal(dup2(STDIN_FILENO, HANDOVER_CONTROL), HANDOVER_CONTROL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *arguments[4] = {NULL};
        int count = 0;
        for (; count < 3 && rows[i].words[count] != NULL; count++)
            arguments[count] = (char *)(uintptr_t)rows[i].words[count];
        assert_int_equal(handover_process(count, arguments), rows[i].process);
    }
    char *arguments[] = {(char[]){"p"}, (char[]){"0"}, NULL};
    close(HANDOVER_CONTROL); /* started by hand */
    assert_int_equal(handover_process(2, arguments), -1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_messages), TEST(test_descriptors), TEST(test_gone), TEST(test_full), TEST(test_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
