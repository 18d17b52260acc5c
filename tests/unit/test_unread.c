/* milter/filter/unread.c: connections whose data is read, is read slowly, or lies there. */
enum { CONNECTIONS = 100 };
static int ours[CONNECTIONS], theirs[CONNECTIONS];
static int count;

static void fake_gate_each_connection(void (*look)(int fd))
{
    for (int i = 0; i < count; i++)
        look(ours[i]);
}
#define gate_each_connection fake_gate_each_connection
#include "milter/filter/unread.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t now_ms = 1000;

/* A second later. */
static unsigned hang_up(void)
{
    now_ms += UNREAD_LOOK_MS;
    return unread_hang_up(now_ms);
}

static void say(int i, const char *text)
{
    assert_int_equal(send(theirs[i], text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void read_byte(int i)
{
    char byte;
    assert_int_equal(recv(ours[i], &byte, 1, MSG_DONTWAIT), 1);
}

static bool is_hung_up_on(int i)
{
    char byte;
    return recv(theirs[i], &byte, 1, MSG_DONTWAIT) == 0;
}

static int connect_all(void **state)
{
    (void)state;
    for (count = 0; count < CONNECTIONS; count++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
            return 1;
        ours[count] = pair[0];
        theirs[count] = pair[1];
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    while (count-- > 0) {
        close(ours[count]);
        close(theirs[count]);
    }
    count = 0;
    hang_up(); /* no place is taken any more */
    return 0;
}

static void test_forgotten(void **state)
{
    (void)state;
    say(0, "forgotten");
    for (unsigned looks = 1; looks < UNREAD_LOOKS; looks++)
        assert_int_equal(hang_up(), 0);
    assert_false(is_hung_up_on(0));
    assert_int_equal(hang_up(), 1);
    assert_true(is_hung_up_on(0));
    assert_false(is_hung_up_on(1));
    for (unsigned looks = 0; looks < 3 * UNREAD_LOOKS; looks++)
        assert_int_equal(hang_up(), 0); /* once */
}

/* Silence is no reason, nor is a session that always has something to read. */
static void test_others(void **state)
{
    (void)state;
    say(1, "ab");
    say(2, "slow");
    for (unsigned looks = 1; looks < UNREAD_LOOKS; looks++)
        assert_int_equal(hang_up(), 0);
    read_byte(1);
    read_byte(1);
    read_byte(2);
    for (unsigned looks = 1; looks < UNREAD_LOOKS; looks++)
        assert_int_equal(hang_up(), 0);
    say(1, "ab");
    say(2, "er");
    for (unsigned looks = 1; looks < UNREAD_LOOKS; looks++)
        assert_int_equal(hang_up(), 0);
    for (int i = 0; i < count; i++)
        assert_false(is_hung_up_on(i));
}

/* As many looks in a moment as a busy thread makes, or after the machine was paused, are one. */
static void test_time(void **state)
{
    (void)state;
    say(0, "soon");
    hang_up();
    for (unsigned looks = 0; looks < 3 * UNREAD_LOOKS; looks++)
        assert_int_equal(unread_hang_up(now_ms + looks), 0);
    now_ms += 3600 * 1000;
    for (unsigned looks = 2; looks < UNREAD_LOOKS; looks++)
        assert_int_equal(hang_up(), 0);
    assert_int_equal(hang_up(), 1);
}

/* A descriptor that is used again begins anew. */
static void test_used_again(void **state)
{
    (void)state;
    say(0, "same");
    for (unsigned looks = 1; looks < UNREAD_LOOKS; looks++)
        assert_int_equal(hang_up(), 0);
    for (int i = 0; i < 4; i++)
        read_byte(0);
    assert_int_equal(hang_up(), 0);
    say(0, "same");
    for (unsigned looks = 1; looks < UNREAD_LOOKS; looks++)
        assert_int_equal(hang_up(), 0);
    assert_int_equal(hang_up(), 1);
}

/* More than there is room to remember: they take turns. */
static void test_many(void **state)
{
    unsigned hung = 0;
    (void)state;
    for (int i = 0; i < count; i++)
        say(i, "x");
    for (unsigned looks = 0; looks < UNREAD_LOOKS; looks++)
        hung += hang_up();
    assert_int_equal(hung, PLACES);
    for (unsigned looks = 0; looks <= UNREAD_LOOKS; looks++)
        hung += hang_up();
    assert_int_equal(hung, CONNECTIONS);
    for (int i = 0; i < count; i++)
        assert_true(is_hung_up_on(i));
}

#define UNREAD_TEST(test) cmocka_unit_test_setup_teardown(test, connect_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNREAD_TEST(test_forgotten),  UNREAD_TEST(test_others), UNREAD_TEST(test_time),
        UNREAD_TEST(test_used_again), UNREAD_TEST(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
