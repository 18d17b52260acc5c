/* milter/filter/gate.c: the listening socket in its descriptor, behind the gate, and what is turned away. */
#include "milter/filter/gate.c"

#include "tests/unit/socket_folder.h" /* behind it: cmocka's fail is not ours */

#include "milter/handover.h"
#include "milter/supervisor/milter_socket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* Puts the socket where the supervisor puts it. Descriptors up to HANDOVER_CONTROL are taken, as in a filter. */
static int supervisors; /* its descriptor */

static int begin(void **state)
{
    struct failure failure;
    if (folder_set_up(state) != 0)
        return 1;
    const struct folder *folder = *state;
    for (int fd = open("/dev/null", O_RDONLY); fd <= HANDOVER_CONTROL; fd = open("/dev/null", O_RDONLY))
        ;
    supervisors = milter_socket_open(&folder->settings, &failure);
    return supervisors < 0 || dup2(supervisors, HANDOVER_LISTENER) < 0;
}

/* A filter prepares the gate once, and ends with it. */
static int end(void **state)
{
    return closedir(files) + folder_tear_down(state);
}

static bool is_readable(int fd)
{
    return poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0) == 1;
}

static bool is_hung_up_on(int fd)
{
    char byte;
    struct pollfd wait = {fd, POLLIN, 0};
    return poll(&wait, 1, 0) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static int dial(void)
{
    int fd = milter_socket_connect(supervisors);
    assert_true(fd >= 0);
    return fd;
}

static void test_gate(void **state)
{
    struct failure failure;
    const unsigned few = 10, many = 100; /* descriptors left */
    (void)state;
    assert_true(gate_prepare(&failure));
    unsigned open_files = gate_open_files();
    assert_int_equal(gate_count(gate_is_connection), 0);
    assert_int_equal(gate_wait().fd, -1);
    int first = dial();
    assert_int_equal(gate_open_files(), open_files + 1);
    assert_int_equal(gate_shed(open_files + many), 0);
    assert_true(is_readable(HANDOVER_LISTENER)); /* libmilter's to accept */
    int session = accept(HANDOVER_LISTENER, NULL, NULL);
    assert_true(session >= 0);
    assert_int_equal(gate_count(gate_is_connection), 2); /* both ends are ours here */

    int second = dial();
    open_files = gate_open_files();
    assert_int_equal(gate_shed(open_files + few), 1);
    assert_false(is_readable(HANDOVER_LISTENER));
    assert_true(is_hung_up_on(second));
    assert_false(is_hung_up_on(first)); /* sessions go on */
    assert_int_equal(gate_open_files(), open_files);
    int third = dial(), fourth = dial();
    assert_true(is_readable(gate_wait().fd));
    assert_false(is_readable(HANDOVER_LISTENER));
    open_files = gate_open_files();
    assert_int_equal(gate_shed(open_files + few + 20), 2); /* a little more room does not open it yet */
    assert_true(is_hung_up_on(third) && is_hung_up_on(fourth));
    assert_int_equal(gate_shed(open_files + few), 0);

    int fifth = dial();
    assert_int_equal(gate_shed(open_files + many), 0);
    assert_true(is_readable(HANDOVER_LISTENER)); /* it waited, and is taken */
    assert_false(is_hung_up_on(fifth));

    gate_close();
    assert_false(is_readable(HANDOVER_LISTENER));
    assert_int_equal(gate_shed(open_files), 0);
    assert_int_equal(gate_wait().fd, -1);
    assert_true(is_readable(supervisors)); /* the supervisor's: another filter takes it */
    const int all[] = {first, session, second, third, fourth, fifth, supervisors};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        close(all[i]);
}

static _Atomic pid_t thread_id;

/* Waits for a connection as libmilter does, though longer. */
static void *wait_for_connection(void *unused)
{
    (void)unused;
    thread_id = gettid();
    return poll(&(struct pollfd){HANDOVER_LISTENER, POLLIN, 0}, 1, 120 * 1000) == 1 ? &thread_id : NULL;
}

static bool thread_sleeps(void)
{
    char path[64], state = '?';
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread_id);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return false;
    int found = fscanf(in, "%*d (%*[^)]) %c", &state);
    fclose(in);
    return found == 1 && state == 'S';
}

static void wait_until_thread_sleeps(void)
{
    while (thread_id == 0 || !thread_sleeps())
        poll(NULL, 0, 10);
}

/* Libmilter waits where it was kept out. It is woken when the first connection is there for it, which is a while after it is let in. */
static void test_wake(void **state)
{
    struct failure failure;
    pthread_t thread;
    struct timespec deadline;
    void *woken = NULL;
    (void)state;
    assert_true(gate_prepare(&failure));
    assert_int_equal(gate_shed(gate_open_files()), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_connection, NULL), 0);
    wait_until_thread_sleeps();
    assert_int_equal(gate_shed(gate_open_files() + 100), 0);
    poll(NULL, 0, 100); /* whatever woke it: it sleeps again */
    wait_until_thread_sleeps();
    int fd = dial();
    struct pollfd wait = gate_wait();
    assert_int_equal(poll(&wait, 1, 0), 1);
    assert_int_equal(gate_shed(gate_open_files() + 100), 0);
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 30;
    assert_int_equal(pthread_timedjoin_np(thread, &woken, &deadline), 0);
    assert_non_null(woken);
    close(fd);
    gate_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gate, begin, end),
        cmocka_unit_test_setup_teardown(test_wake, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
