/* milter/filter/forgotten.c: which sockets are taken for forgotten, over many looks, and which are not; real sockets, a clock of our own. */
#include "tests/unit/socket_folder.h"

#include "milter/filter/forgotten.h"
#include "milter/filter/gate.h"
#include "milter/handover.h"
#include "milter/supervisor/milter_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

enum { MANY = 10000, PAIRS = MANY / 2 };

static int listener;
static int64_t now_ms = 1000;

static int begin(void **state)
{
    struct failure failure;
    if (folder_set_up(state) != 0)
        return 1;
    const struct folder *folder = *state;
    for (int fd = open("/dev/null", O_RDONLY); fd <= HANDOVER_CONTROL; fd = open("/dev/null", O_RDONLY))
        ;
    listener = milter_socket_open(&folder->settings, &failure);
    return listener < 0 || dup2(listener, HANDOVER_LISTENER) < 0 || !gate_prepare(&failure);
}

static int end(void **state)
{
    gate_close();
    close(listener);
    return folder_tear_down(state);
}

/* So many of the looks that it takes; how many were found by them. */
static unsigned look(unsigned times)
{
    unsigned found = 0;
    while (times-- > 0) {
        now_ms += FORGOTTEN_LOOK_MS;
        found += forgotten_look(now_ms);
    }
    return found;
}

static void make_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

/* Until it is closed, which a look sees. */
static void forget(int fd)
{
    close(fd);
    assert_int_equal(look(1), 0);
    assert_int_equal(forgotten_count(), 0);
}

static void test_hung_up(void **state)
{
    int open_one[2], hung_up[2];
    (void)state;
    make_pair(open_one);
    make_pair(hung_up);
    assert_int_equal(write(hung_up[1], "unread", 6), 6);
    assert_int_equal(look(FORGOTTEN_LOOKS), 0);
    close(hung_up[1]);
    assert_int_equal(look(FORGOTTEN_LOOKS - 1), 0);
    assert_int_equal(forgotten_count(), 0);
    assert_false(forgotten_is(hung_up[0]));
    assert_int_equal(look(1), 1);
    assert_true(forgotten_is(hung_up[0]));
    assert_int_equal(look(3), 0); /* found once */
    assert_int_equal(forgotten_count(), 1);
    assert_true(forgotten_is(hung_up[0]));
    assert_false(forgotten_is(open_one[0]) || forgotten_is(open_one[1]) || forgotten_is(-1));
    forget(hung_up[0]);
    assert_false(forgotten_is(hung_up[0]));
    close(open_one[0]);
    forget(open_one[1]);
}

/* The look, not the time, is what counts: after a pause libmilter may not have run yet. */
static void test_a_pause(void **state)
{
    int ends[2];
    (void)state;
    make_pair(ends);
    close(ends[1]);
    assert_int_equal(look(1), 0);
    now_ms += 3600 * 1000;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(forgotten_look(now_ms + i), 0);
    assert_int_equal(forgotten_count(), 0);
    forget(ends[0]);
}

/* A descriptor is given away again: to another session, whose MTA has hung up as well, or to one that is fine. */
static void test_another_socket(void **state)
{
    int ends[2], other[2];
    (void)state;
    make_pair(ends);
    close(ends[1]);
    assert_int_equal(look(FORGOTTEN_LOOKS - 1), 0);
    make_pair(other);
    close(other[1]);
    assert_int_equal(dup2(other[0], ends[0]), ends[0]);
    close(other[0]);
    assert_int_equal(look(FORGOTTEN_LOOKS - 1), 0);
    assert_int_equal(look(1), 1);
    make_pair(other);
    assert_int_equal(dup2(other[0], ends[0]), ends[0]);
    assert_false(forgotten_is(ends[0])); /* also before the next look */
    assert_int_equal(look(FORGOTTEN_LOOKS), 0);
    close(other[0]);
    close(other[1]);
    forget(ends[0]);
}

static int tcp(int fd, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, length), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &length), 0);
    return fd;
}

/* Of TCP: an end, and a reset. */
static void test_tcp(void **state)
{
    struct sockaddr_in address;
    int at = tcp(socket(AF_INET, SOCK_STREAM, 0), &address), ends[2][2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        ends[i][1] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(ends[i][1], (struct sockaddr *)&address, sizeof address), 0);
        ends[i][0] = accept(at, NULL, NULL);
        assert_true(ends[i][0] >= 0);
    }
    assert_int_equal(write(ends[1][0], "unread", 6), 6);
    for (int i = 0; i < 2; i++)
        close(ends[i][1]);
    assert_int_equal(look(FORGOTTEN_LOOKS), 2);
    assert_true(forgotten_is(ends[0][0]) && forgotten_is(ends[1][0]));
    close(ends[0][0]);
    close(at);
    forget(ends[1][0]);
}

/* What is no session: pipes, datagrams, the listening socket, and what the supervisor has handed over. */
static void test_no_sessions(void **state)
{
    int ends[2], ends_of_pipe[2], datagrams[2], control = dup(HANDOVER_CONTROL);
    (void)state;
    make_pair(ends);
    assert_int_equal(pipe(ends_of_pipe), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, datagrams), 0);
    assert_int_equal(dup2(ends[0], HANDOVER_CONTROL), HANDOVER_CONTROL);
    close(ends[0]);
    close(ends[1]);
    close(ends_of_pipe[1]);
    close(datagrams[1]);
    assert_int_equal(look(FORGOTTEN_LOOKS), 0);
    assert_int_equal(dup2(control, HANDOVER_CONTROL), HANDOVER_CONTROL);
    close(control);
    close(ends_of_pipe[0]);
    forget(datagrams[0]);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The cost is bounded: of time by one walk, of memory by what is kept in mind. */
static void test_many(void **state)
{
    static int ends[PAIRS][2];
    struct rlimit files, before;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    files = (struct rlimit){MANY + 100, before.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        skip(); /* this process may not open so many */
    for (int i = 0; i < PAIRS; i++)
        make_pair(ends[i]);
    double begun = seconds();
    assert_int_equal(look(1), 0);
    printf("figure: a look for forgotten sessions among %d descriptors: %.1f ms\n", MANY, 1e3 * (seconds() - begun));
    begun = seconds();
    assert_true(gate_open_files() > MANY);
    printf("figure: counting %d descriptors: %.1f ms\n", MANY, 1e3 * (seconds() - begun));
    for (int i = 0; i < PAIRS; i++)
        close(ends[i][1]);
    assert_int_equal(look(FORGOTTEN_LOOKS), FORGOTTEN_MOST);
    begun = seconds();
    look(1);
    printf("figure: a look when the MTA of %d sessions has gone: %.1f ms\n", PAIRS, 1e3 * (seconds() - begun));
    unsigned known = 0;
    for (int i = 0; i < PAIRS; i++)
        known += forgotten_is(ends[i][0]);
    assert_int_equal(known, FORGOTTEN_MOST);
    for (int i = 0; i < PAIRS; i++)
        close(ends[i][0]);
    assert_int_equal(look(1), 0);
    assert_int_equal(forgotten_count(), 0);
    setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hung_up), cmocka_unit_test(test_a_pause),     cmocka_unit_test(test_another_socket),
        cmocka_unit_test(test_tcp),     cmocka_unit_test(test_no_sessions), cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
