/* milter/supervisor/check.c: against a listener that answers as the test says: at once, never, garbage, by hanging up. */
#include "tests/unit/socket_folder.h"

#include "milter/supervisor/check.h"
#include "milter/supervisor/milter_socket.h"

struct listener {
    int fd;
    struct check check;
};

static void begin(struct listener *listener, const struct folder *folder, int backlog)
{
    listener->fd = folder_bind(folder, SOCK_STREAM);
    assert_int_equal(listen(listener->fd, backlog), 0);
    check_begin(&listener->check, 1000);
}

static void end(struct listener *listener)
{
    check_stop(&listener->check);
    assert_int_equal(listener->check.fd, -1);
    close(listener->fd);
}

/* What arrived at the listener's side, which must be exactly `expected`. */
static void expect_bytes(int fd, const void *expected, size_t length)
{
    char bytes[64];
    assert_int_equal(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 10000), 1);
    assert_int_equal(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), length);
    assert_memory_equal(bytes, expected, length);
}

/* Takes the check's connection, and sees that it negotiates as an MTA does: all actions, all steps, version 6. */
static int take(struct listener *listener)
{
    static const unsigned char offer[] = {0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0, 0, 0x1f, 0xff, 0xff};
    int fd = accept(listener->fd, NULL, NULL);
    assert_true(fd >= 0);
    expect_bytes(fd, offer, sizeof offer);
    return fd;
}

static const unsigned char helo[] = {0, 0, 0, 7, 'H', 'c', 'h', 'e', 'c', 'k', 0};

static void expect(struct listener *listener, int64_t now_ms, enum check_result result)
{
    assert_int_equal(check_step(&listener->check, listener->fd, now_ms), result);
}

/* Answers, and takes the second question, which comes a little later. */
static void answer(struct listener *listener, int fd, int64_t now_ms, const void *bytes, size_t length)
{
    assert_int_equal(write(fd, bytes, length), length);
    struct pollfd wait = check_wait(&listener->check);
    assert_int_equal(poll(&wait, 1, 10000), 1);
    for (int64_t later = now_ms; later < now_ms + CHECK_PAUSE_MS; later++)
        expect(listener, later, check_pending);
    assert_int_equal(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0), 0);
    assert_int_equal(check_wait(&listener->check).fd, -1);
    expect(listener, now_ms + CHECK_PAUSE_MS, check_pending);
    expect_bytes(fd, helo, sizeof helo);
}

static void test_answer(void **state)
{
    struct listener listener;
    begin(&listener, *state, 5);
    for (int64_t now = 1000; now < 5000; now += CHECK_INTERVAL_MS) {
        expect(&listener, now, check_pending);
        struct pollfd wait = check_wait(&listener.check);
        assert_int_equal(wait.fd, listener.check.fd);
        assert_int_equal(wait.events, POLLIN);
        assert_int_equal(poll(&wait, 1, 0), 0);
        int fd = take(&listener);
        expect(&listener, now + 1, check_pending);
        answer(&listener, fd, now + 1, "\0\0\0\15O\0\0\0\6\0\0\0\0\0\0\0\0", 17);
        assert_int_equal(write(fd, "\0\0\0\1c", 5), 5);
        wait = check_wait(&listener.check);
        assert_int_equal(poll(&wait, 1, 10000), 1);
        expect(&listener, now + 100, check_answered);
        assert_int_equal(listener.check.fd, -1);
        assert_int_equal(listener.check.answered_ms, now + 100);
        expect_bytes(fd, "\0\0\0\1Q", 5);
        close(fd);
        for (int64_t later = now + 101; later < now + CHECK_INTERVAL_MS; later += 100)
            expect(&listener, later, check_pending);
        assert_int_equal(listener.check.fd, -1); /* not before the interval is over */
    }
    end(&listener);
}

/* Only a live filter sends bytes, whatever they are. */
static void test_garbage(void **state)
{
    struct listener listener;
    begin(&listener, *state, 5);
    expect(&listener, 1000, check_pending);
    int fd = take(&listener);
    answer(&listener, fd, 1400, "x", 1);
    assert_int_equal(write(fd, "x", 1), 1);
    expect(&listener, 1500, check_answered);
    close(fd);
    expect(&listener, 2000, check_pending);
    fd = take(&listener);
    answer(&listener, fd, 2400, "x", 1);
    char *much = calloc(1, 100000);
    assert_true(send(fd, much, 100000, MSG_DONTWAIT) > 256);
    free(much);
    expect(&listener, 2500, check_answered);
    close(fd);
    end(&listener);
}

static void test_answer_and_gone(void **state)
{
    struct listener listener;
    begin(&listener, *state, 5);
    expect(&listener, 1000, check_pending);
    int fd = take(&listener);
    answer(&listener, fd, 1400, "x", 1);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    expect(&listener, 1500, check_answered); /* the goodbye finds nobody: no signal, and no matter */
    end(&listener);
}

/* A filter that is hung accepts, or its backlog does, and says nothing. */
static void test_no_answer(void **state)
{
    struct listener listener;
    begin(&listener, *state, 5);
    for (int64_t now = 1000; now <= 1000 + CHECK_DEADLINE_MS; now += 100) {
        expect(&listener, now, check_pending);
        assert_false(check_failed(&listener.check, now));
    }
    assert_true(check_failed(&listener.check, 1000 + CHECK_DEADLINE_MS + 1));
    int fd = take(&listener);
    expect(&listener, 9000, check_pending);
    answer(&listener, fd, 9000, "x", 1);
    assert_int_equal(write(fd, "x", 1), 1);
    expect(&listener, 9100, check_answered);
    assert_false(check_failed(&listener.check, 9100 + CHECK_DEADLINE_MS));
    assert_true(check_failed(&listener.check, 9101 + CHECK_DEADLINE_MS));
    close(fd);
    end(&listener);
}

/* A check that lies there is helped on by a connection a second that says nothing; where an answer comes there is none. */
static void test_nudge(void **state)
{
    struct listener listener;
    begin(&listener, *state, 20);
    int nudges = 0;
    expect(&listener, 1000, check_pending);
    int fd = take(&listener);
    for (int64_t now = 1100; now <= 1000 + 4 * CHECK_INTERVAL_MS; now += 100) {
        struct pollfd wait = {.fd = listener.fd, .events = POLLIN};
        expect(&listener, now, check_pending);
        if (poll(&wait, 1, 0) == 0)
            continue;
        int other = accept(listener.fd, NULL, NULL);
        expect_bytes(other, "", 0);
        close(other);
        nudges++;
    }
    assert_int_equal(nudges, 4);
    answer(&listener, fd, 5100, "x", 1);
    assert_int_equal(write(fd, "x", 1), 1);
    expect(&listener, 5200, check_answered); /* the first connection is the one that is asked */
    close(fd);
    end(&listener);
}

/* Libmilter answers the negotiation by the thread that takes the connection, and nothing more where its poll has ended. */
static void test_one_answer(void **state)
{
    struct listener listener;
    begin(&listener, *state, 5);
    expect(&listener, 1000, check_pending);
    int fd = take(&listener);
    answer(&listener, fd, 1100, "x", 1);
    for (int64_t now = 1200; now < 9000; now += 100)
        expect(&listener, now, check_pending);
    assert_true(check_failed(&listener.check, 1000 + CHECK_DEADLINE_MS + 1));
    close(fd);
    expect(&listener, 9000, check_turned_away);
    end(&listener);
}

/* Gone with the first answer: the second question finds nobody, and there is no signal. */
static void test_one_answer_and_gone(void **state)
{
    struct listener listener;
    begin(&listener, *state, 5);
    expect(&listener, 1000, check_pending);
    int fd = take(&listener);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    expect(&listener, 1100, check_pending);
    expect(&listener, 1100 + CHECK_PAUSE_MS, check_pending);
    assert_int_equal(listener.check.fd, -1);
    assert_int_equal(listener.check.answered_ms, 1000);
    end(&listener);
}

/* Hung up on without an answer: alive, but not well. */
static void test_hung_up(void **state)
{
    struct listener listener;
    begin(&listener, *state, 5);
    expect(&listener, 1000, check_pending);
    close(take(&listener));
    expect(&listener, 1500, check_turned_away);
    assert_int_equal(listener.check.fd, -1);
    assert_int_equal(listener.check.answered_ms, 1500);
    expect(&listener, 1999, check_pending);
    expect(&listener, 2000, check_pending); /* the next one */
    int fd = accept(listener.fd, NULL, NULL);
    assert_true(fd >= 0);
    close(fd); /* with our question unread: a reset, not an end */
    expect(&listener, 2500, check_turned_away);
    end(&listener);
}

static void test_refused(void **state)
{
    const struct folder *folder = *state;
    struct listener listener;
    begin(&listener, folder, 5);
    assert_int_equal(unlink(folder_socket(folder)), 0);
    for (int64_t now = 1000; now <= 4000; now += 500) {
        expect(&listener, now, check_pending);
        assert_int_equal(listener.check.fd, -1);
    }
    assert_true(check_failed(&listener.check, 4001));
    end(&listener);
}

/* A full backlog is no answer. */
static void test_full_backlog(void **state)
{
    struct listener listener;
    int waiting[8], count = 0;
    begin(&listener, *state, 0);
    while (count < 8 && (waiting[count] = milter_socket_connect(listener.fd)) >= 0)
        count++;
    assert_true(count < 8);
    expect(&listener, 1000, check_pending);
    assert_int_equal(listener.check.fd, -1);
    close(accept(listener.fd, NULL, NULL));
    expect(&listener, 1999, check_pending);
    assert_int_equal(listener.check.fd, -1);
    expect(&listener, 2000, check_pending); /* there is room again */
    assert_true(listener.check.fd >= 0);
    while (count > 0)
        close(waiting[--count]);
    end(&listener);
}

/* A filter that is busy has longer to answer, as long as it goes on. */
static void test_progress(void **state)
{
    const int64_t begun = 1000, late = begun + CHECK_DEADLINE_MS, most = begun + CHECK_BUSY_MS;
    struct check check;
    (void)state;
    check_begin(&check, begun);
    check_progress(&check, 0, begun); /* idle */
    assert_false(check_is_late(&check, late) || check_failed(&check, late));
    assert_true(check_is_late(&check, late + 1) && check_failed(&check, late + 1));
    for (int64_t now = begun; now <= most; now += CHECK_STILL_MS) {
        check_progress(&check, (uint64_t)now, now);
        check_progress(&check, (uint64_t)now, now + 200);
        assert_int_equal(check_is_late(&check, now), now > late);
        assert_false(check_failed(&check, now));
    }
    assert_true(check_failed(&check, most + 1));
    check_begin(&check, begun);
    check_progress(&check, 7, late - CHECK_STILL_MS / 2);
    check_progress(&check, 7, late);
    assert_false(check_failed(&check, late + CHECK_STILL_MS / 2));
    assert_true(check_failed(&check, late + CHECK_STILL_MS / 2 + 1));
}

static void test_stop(void **state)
{
    struct listener listener;
    begin(&listener, *state, 5);
    check_stop(&listener.check);
    expect(&listener, 1000, check_pending);
    int fd = take(&listener);
    check_stop(&listener.check);
    expect_bytes(fd, "", 0);
    close(fd);
    check_begin(&listener.check, 7000);
    assert_false(check_failed(&listener.check, 7000 + CHECK_DEADLINE_MS));
    end(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_answer),    FOLDER_TEST(test_garbage),       FOLDER_TEST(test_answer_and_gone),
        FOLDER_TEST(test_no_answer), FOLDER_TEST(test_one_answer),    FOLDER_TEST(test_one_answer_and_gone),
        FOLDER_TEST(test_hung_up),   FOLDER_TEST(test_refused),       FOLDER_TEST(test_full_backlog),
        FOLDER_TEST(test_stop),      cmocka_unit_test(test_progress), FOLDER_TEST(test_nudge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
