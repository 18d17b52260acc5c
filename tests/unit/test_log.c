/* conf/lib/log.c: one line an event, whatever is in it. Standard error is a socket that keeps each write apart; the clock and syslog are
 * the test's own. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static time_t fake_now = 1000;
static char sent[256]; /* to syslog */

static int fake_clock(struct timespec *time)
{
    *time = (struct timespec){fake_now, 0};
    return 0;
}

static void fake_syslog(int priority, const char *text)
{
    snprintf(sent, sizeof sent, "<%d>%s", priority, text);
}

static void fake_openlog(const char *program, int options, int facility)
{
    snprintf(sent, sizeof sent, "%s %d %d", program, options == LOG_PID, facility == LOG_MAIL);
}

#undef syslog /* a macro where calls are checked */
#define clock_gettime(clock, time)        fake_clock(time)
#define syslog(priority, format, message) fake_syslog(priority, message)
#define openlog(program, options, where)  fake_openlog(program, options, where)
#include "conf/lib/log.c"
#undef clock_gettime
#undef syslog
#undef openlog

#include <cmocka.h>

/* ---- standard error ---- */

enum { LINES_MAX = 512 };
static char lines[LINES_MAX][2048];
static int pair[2] = {-1, -1}, before = -1;

/* From here on what is written to standard error is kept; nothing can be asserted until take_lines. */
static void begin_lines(void)
{
    int room = 1 << 20;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
        abort();
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    before = dup(STDERR_FILENO);
    dup2(pair[0], STDERR_FILENO);
}

/* How many writes there were; their texts are in `lines`. */
static size_t take_lines(void)
{
    size_t count = 0;
    dup2(before, STDERR_FILENO);
    close(before);
    close(pair[0]);
    for (ssize_t length; (length = recv(pair[1], lines[count], sizeof lines[count] - 1, 0)) > 0; count++) {
        lines[count][length] = '\0';
        assert_true(count < LINES_MAX - 1);
    }
    close(pair[1]);
    return count;
}

static int begin(void **unused)
{
    (void)unused;
    unsetenv("JOURNAL_STREAM");
    fake_now += 2 * LOG_SECONDS;
    state.suppressed = 0;
    log_open("test", log_level_debug, log_to_stderr);
    return 0;
}

static void test_forms(void **unused)
{
    (void)unused;
    begin_lines();
    log_error("one %d", 1);
    log_warning("%s", "two");
    log_info("three");
    log_debug("four");
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_open("test", log_level_debug, log_to_stderr);
    log_error("one");
    log_warning("two");
    log_info("three");
    log_debug("four");
    assert_int_equal(take_lines(), 8);
    static const char *const expected[] = {"test: one 1\n", "test: two\n", "test: three\n", "test: four\n",
                                           "<3>one\n",      "<4>two\n",    "<6>three\n",    "<7>four\n"};
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(lines[i], expected[i]);
}

static void test_levels(void **unused)
{
    (void)unused;
    for (unsigned level = log_level_error; level <= log_level_debug; level++) {
        begin_lines();
        log_open("test", (enum log_level)level, log_to_stderr);
        log_debug("debug");
        log_info("info");
        log_warning("warning");
        log_error("error");
        assert_int_equal(take_lines(), level + 1);
        assert_string_equal(lines[level], "test: error\n");
    }
}

/* Nothing from the network forges a line, or moves the cursor. */
static void test_control_characters(void **unused)
{
    char text[256];
    (void)unused;
    for (int c = 1; c < 256; c++)
        text[c - 1] = (char)c;
    text[255] = '\0';
    begin_lines();
    log_info("%s", text);
    log_info("a\nforged: line\r\n\033[2J\t\x7f");
    log_info("%s", "100 %s %n");
    log_info("gr\xc3\xbc\xc3\x9f");
    assert_int_equal(take_lines(), 4);
    for (size_t i = 0; i < 255; i++) {
        if (text[i] < ' ' && text[i] > 0)
            text[i] = '?';
    }
    text[0x7f - 1] = '?';
    assert_memory_equal(lines[0], "test: ", 6);
    assert_memory_equal(lines[0] + 6, text, 255);
    assert_string_equal(lines[0] + 6 + 255, "\n");
    assert_string_equal(lines[1], "test: a?forged: line???[2J??\n");
    assert_string_equal(lines[2], "test: 100 %s %n\n");
    assert_string_equal(lines[3], "test: gr\xc3\xbc\xc3\x9f\n");
}

/* A line is cut, never broken. */
static void test_long_lines(void **unused)
{
    static char text[100000];
    (void)unused;
    memset(text, 'x', sizeof text - 1);
    static const size_t lengths[] = {LINE_MAX_BYTES - 2, LINE_MAX_BYTES - 1, LINE_MAX_BYTES, sizeof text - 1};
    begin_lines();
    for (size_t i = 0; i < 4; i++)
        log_info("%.*s", (int)lengths[i], text);
    assert_int_equal(take_lines(), 4);
    for (size_t i = 0; i < 4; i++) {
        size_t kept = lengths[i] < LINE_MAX_BYTES ? lengths[i] : LINE_MAX_BYTES - 1;
        assert_int_equal(strlen(lines[i]), 6 + kept + 1);
        assert_string_equal(lines[i] + 6 + kept, "\n");
    }
}

static void test_burst(void **unused)
{
    (void)unused;
    begin_lines();
    for (int i = 0; i < LOG_BURST + 50; i++)
        log_info("line %d", i);
    fake_now += LOG_SECONDS - 1;
    log_error("still too many");
    fake_now += 1;
    log_info("again");
    log_info("and again");
    fake_now += LOG_SECONDS;
    log_info("later");
    assert_int_equal(take_lines(), LOG_BURST + 4);
    assert_string_equal(lines[LOG_BURST - 1], "test: line 199\n");
    assert_string_equal(lines[LOG_BURST], "test: 51 log lines suppressed\n");
    assert_string_equal(lines[LOG_BURST + 1], "test: again\n");
    assert_string_equal(lines[LOG_BURST + 2], "test: and again\n");
    assert_string_equal(lines[LOG_BURST + 3], "test: later\n");
}

/* What is below the level does not use up the burst. */
static void test_burst_of_what_is_written(void **unused)
{
    (void)unused;
    log_open("test", log_level_info, log_to_stderr);
    begin_lines();
    for (int i = 0; i < 2 * LOG_BURST; i++)
        log_debug("unseen");
    log_info("seen");
    assert_int_equal(take_lines(), 1);
    assert_string_equal(lines[0], "test: seen\n");
}

static void test_syslog(void **unused)
{
    (void)unused;
    begin_lines();
    log_open("test", log_level_info, log_to_syslog);
    size_t count = take_lines();
    assert_string_equal(sent, "test 1 1");
    begin_lines();
    log_warning("100 %s %%n\n", "%s");
    count += take_lines();
    assert_int_equal(count, 0);
    assert_string_equal(sent, "<4>100 %s %n?");
    log_error("x");
    assert_string_equal(sent, "<3>x");
}

/* A standard error that is gone stops nothing. */
static void test_nobody_reads(void **unused)
{
    (void)unused;
    begin_lines();
    close(STDERR_FILENO);
    log_error("into nothing");
    assert_int_equal(take_lines(), 0);
}

enum { THREADS = 4, EACH = 100 };

static void *write_many(void *context)
{
    for (int i = 0; i < EACH; i++) {
        log_info("thread %d line %03d", *(const int *)context, i);
        if (i % 10 == 0)
            log_open("test", log_level_info, log_to_stderr); /* as a reload does */
    }
    return NULL;
}

static void test_threads(void **unused)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    (void)unused;
    begin_lines();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, write_many, &numbers[i]) != 0)
            abort();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(take_lines(), LOG_BURST);
    for (int i = 0; i < LOG_BURST; i++) {
        int thread, line;
        assert_int_equal(sscanf(lines[i], "test: thread %d line %d\n", &thread, &line), 2);
        assert_int_equal(strlen(lines[i]), strlen("test: thread 0 line 000\n"));
    }
    assert_int_equal(state.suppressed, THREADS * EACH - LOG_BURST);
}

#define TEST(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_forms),      TEST(test_levels),       TEST(test_control_characters),
        TEST(test_long_lines), TEST(test_burst),        TEST(test_burst_of_what_is_written),
        TEST(test_syslog),     TEST(test_nobody_reads), TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
