/* exporter/collect/log_file.c and log_position.c: every line of a log once, whatever is done to the file and whenever we are killed. */
#include "exporter/collect/log_position.h"
#include "tests/unit/log_reading.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

static char path[128];

static int begin(void **state)
{
    int status = stage_set_up(state);
    snprintf(path, sizeof path, "%s/mail.log", stage.folder);
    return status;
}

/* Without an open descriptor: each write is one of a logger that opens, appends and closes. */
static void append_bytes(const char *name, const char *text, size_t length)
{
    int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
    close(fd);
}

static void append(const char *name, const char *text)
{
    append_bytes(name, text, strlen(text));
}

static void open_at(const char *text)
{
    source = log_source_open(path, text, &stage.failure);
    assert_non_null(source);
}

static void restart(void)
{
    kill_reader();
    open_at(position);
}

static void expect_nothing(void)
{
    struct log_entry entry;
    assert_int_equal(take(&entry), log_next_none);
    assert_int_equal(take(&entry), log_next_none);
}

static void expect_lines(const char *expected)
{
    expect_entries(expected, " ", false);
}

static void expect_line(const char *expected)
{
    struct log_entry entry;
    assert_int_equal(take(&entry), log_next_entry);
    assert_string_equal(entry.text, expected);
}

/* Files get times that differ, as in life: the kernel's clock for them goes on. */
static void tick(void)
{
    struct timespec before, now, moment = {.tv_nsec = 500 * 1000};
    for (int i = 0; i < 2; i++) { /* one that comes late may not reach the time of a file that was written meanwhile */
        clock_gettime(CLOCK_REALTIME_COARSE, &before);
        do {
            nanosleep(&moment, NULL);
            clock_gettime(CLOCK_REALTIME_COARSE, &now);
        } while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec);
    }
}

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(from, "r");
    assert_non_null(in);
    size_t length = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    append_bytes(to, bytes, length);
}

static void copy_and_truncate(void)
{
    copy_file("mail.log", "mail.log.1");
    tick();
    assert_int_equal(truncate("mail.log", 0), 0);
}

/* ---- one file ---- */

static void test_first_start(void **state)
{
    (void)state;
    append("mail.log", "1\n2\nhalf");
    open_at(NULL);
    expect_nothing();
    append("mail.log", "-3\n4\n");
    expect_lines("half-3 4");
    restart();
    expect_nothing();
    append("mail.log", "5\n");
    expect_lines("5");
}

static void test_beginning(void **state)
{
    (void)state;
    append("mail.log.1", "0\n");
    tick();
    append("mail.log", "1\n2\n");
    open_at("");
    expect_line("1");
    restart();
    expect_lines("2");
}

/* One that is not there is waited for, and read from its beginning; also over a restart. */
static void test_appears(void **state)
{
    (void)state;
    append("mail.log.1", "of old\n");
    open_at(NULL);
    expect_nothing();
    restart();
    expect_nothing();
    append("mail.log", "");
    expect_nothing();
    append("mail.log", "1\n2");
    expect_lines("1");
    restart();
    append("mail.log", "\n");
    expect_lines("2");
}

static void test_partial_lines(void **state)
{
    (void)state;
    append("mail.log", "");
    open_at(NULL);
    append("mail.log", "a");
    expect_nothing();
    restart();
    append("mail.log", "b");
    expect_nothing();
    append("mail.log", "c\n\nd");
    expect_line("abc");
    expect_lines("");
    restart();
    append("mail.log", "e\n");
    expect_lines("de");
}

static void test_long_lines(void **state)
{
    static char text[3 * 65536];
    struct log_entry entry;
    (void)state;
    append("mail.log", "");
    open_at(NULL);
    memset(text, 'x', sizeof text);
    append_bytes("mail.log", text, LOG_LINE_MAX - 1);
    append("mail.log", "\n");
    append_bytes("mail.log", text, LOG_LINE_MAX);
    append("mail.log", "\n");
    append_bytes("mail.log", text, sizeof text);
    assert_int_equal(take(&entry), log_next_entry);
    assert_false(entry.is_cut);
    assert_int_equal(entry.length, LOG_LINE_MAX - 1);
    assert_int_equal(take(&entry), log_next_entry);
    assert_true(entry.is_cut);
    assert_int_equal(entry.length, LOG_LINE_MAX - 1);
    expect_nothing();
    restart(); /* in the middle of one: it is read again */
    expect_nothing();
    append("mail.log", "y\nz\n");
    assert_int_equal(take(&entry), log_next_entry);
    assert_true(entry.is_cut);
    assert_int_equal(entry.text[0], 'x');
    expect_line("z");
    restart();
    expect_nothing();
}

/* Kept by its length, not by its end. */
static void test_nuls(void **state)
{
    struct log_entry entry;
    (void)state;
    append("mail.log", "");
    open_at(NULL);
    append_bytes("mail.log", "\0\0a\0b\n", 6);
    assert_int_equal(take(&entry), log_next_entry);
    assert_int_equal(entry.length, 3);
    assert_memory_equal(entry.text, "a\0b", 4);
    expect_nothing();
    restart();
    expect_nothing();
}

/* Opens the log and reads it as somebody to whom it may be closed, which it never is to root. */
static enum log_next take_as_nobody(struct log_entry *entry)
{
    const uid_t root = geteuid();
    enum { NOBODY = 65534 };
    if (root == 0)
        assert_int_equal(chmod(stage.folder, 0755) + seteuid(NOBODY), 0);
    if (source == NULL)
        open_at(position);
    enum log_next got = take(entry);
    assert_int_equal(seteuid(root), 0);
    return got;
}

static void expect_closed(void)
{
    struct log_entry entry;
    stage.failure.status = EX_OK;
    assert_int_equal(take_as_nobody(&entry), log_next_failed);
    assert_int_equal(stage.failure.status, EX_NOPERM);
    kill_reader();
}

static void expect_line_as_nobody(const char *expected)
{
    struct log_entry entry;
    assert_int_equal(take_as_nobody(&entry), log_next_entry);
    assert_string_equal(entry.text, expected);
    assert_int_equal(take_as_nobody(&entry), log_next_none);
    kill_reader();
}

/* What is closed for a while, or not there, is gone on with where it was read last: nothing is lost, and nothing is read again. */
static void test_closed_for_a_while(void **state)
{
    (void)state;
    assert_int_equal(mkdir("log", 0755), 0);
    snprintf(path, sizeof path, "%s/log/mail.log", stage.folder);
    append("log/mail.log", "1\n");
    open_at(NULL);
    append("log/mail.log", "2\n");
    expect_lines("2");
    kill_reader();
    append("log/mail.log", "3\n");
    chmod("log/mail.log", 0);
    expect_closed();
    chmod("log/mail.log", 0644);
    expect_line_as_nobody("3");
    append("log/mail.log", "4\n");
    chmod("log", 0);
    expect_closed();
    chmod("log", 0711); /* may be searched, and not be listed */
    expect_line_as_nobody("4");
    append("log/mail.log", "5\n");
    expect_line_as_nobody("5");
    chmod("log", 0755);
    rename("log", "away");
    open_at(position);
    expect_nothing();
    kill_reader();
    rename("away", "log");
    append("log/mail.log", "6\n");
    expect_line_as_nobody("6");
}

/* The file that a rotation has made is not ours to read: that is said, and is no quiet log. */
static void test_next_is_closed(void **state)
{
    (void)state;
    append("mail.log", "1\n");
    open_at(NULL);
    append("mail.log", "2\n");
    expect_lines("2");
    kill_reader();
    rename("mail.log", "mail.log.1");
    tick();
    append("mail.log", "3\n");
    chmod("mail.log", 0);
    append("mail.log.1", "late\n");
    struct log_entry entry;
    assert_int_equal(take_as_nobody(&entry), log_next_entry);
    assert_string_equal(entry.text, "late");
    expect_closed();
    chmod("mail.log", 0644);
    expect_line_as_nobody("3");
}

static void test_unreadable(void **state)
{
    struct log_entry entry;
    (void)state;
    assert_int_equal(mkdir("mail.log", 0755), 0);
    assert_null(log_source_open(path, NULL, &stage.failure));
    assert_non_null(strstr(stage.failure.text, path));
    rmdir("mail.log");
    if (geteuid() == 0)
        skip();
    append("mail.log", "1\n");
    chmod("mail.log", 0);
    assert_null(log_source_open(path, NULL, &stage.failure));
    assert_int_equal(stage.failure.status, EX_NOPERM);
    open_at("");
    assert_int_equal(take(&entry), log_next_failed);
    assert_int_equal(stage.failure.status, EX_NOPERM);
    chmod("mail.log", 0644);
    expect_lines("1");
}

/* ---- rotation by renaming ---- */

static void test_rename(void **state)
{
    (void)state;
    append("mail.log", "1\n");
    open_at(NULL);
    append("mail.log", "2\n");
    expect_lines("2");
    append("mail.log", "3\n4");
    rename("mail.log", "mail.log.1");
    expect_lines("3");
    append("mail.log", "");          /* logrotate's create */
    append("mail.log.1", "5\n6\n7"); /* syslog has not opened the new one yet */
    expect_lines("45 6");
    restart();
    tick();
    append("mail.log", "8\n");
    expect_lines("7 8");
    restart();
    expect_nothing();
    append("mail.log", "9\n");
    expect_lines("9");
}

/* We are away while it is rotated, once to four times; the oldest of them was where we were. */
static void test_renamed_while_away(void **state)
{
    (void)state;
    for (int rotations = 1; rotations <= 4; rotations++) {
        char expected[64] = "2", line[8], from[32], to[32];
        append("mail.log", "1\n");
        open_at(NULL);
        append("mail.log", "2\n");
        kill_reader();
        for (int i = 0; i < rotations; i++) {
            tick();
            for (int number = i + 1; number >= 1; number--) {
                snprintf(from, sizeof from, number == 1 ? "mail.log" : "mail.log.%d", number - 1);
                snprintf(to, sizeof to, "mail.log.%d", number);
                rename(from, to);
            }
            snprintf(line, sizeof line, "%d\n", 3 + i);
            append("mail.log", line);
            snprintf(expected + strlen(expected), 8, " %d", 3 + i);
        }
        open_at(position);
        expect_lines(expected);
        expect_nothing();
        append("mail.log", "9\n");
        expect_lines("9");
        log_source_close(source);
        source = NULL;
        for (int number = 1; number <= 4; number++) {
            snprintf(from, sizeof from, "mail.log.%d", number);
            remove(from);
        }
        remove("mail.log");
        tick();
    }
}

/* Killed when it has read 2; 1 was there before it. */
static void kill_behind_2(void)
{
    append("mail.log", "1\n");
    open_at(NULL);
    append("mail.log", "2\n");
    expect_lines("2");
    kill_reader();
}

/* A date for a name; older ones and compressed ones beside it; the file of another log. */
static void test_dates(void **state)
{
    (void)state;
    append("mail.log-20261101", "old\n");
    tick();
    kill_behind_2();
    append("mail.log", "3\n");
    rename("mail.log", "mail.log-20261119");
    tick();
    append("mail.log-20261118.gz", "no\n");
    append("mail.log.err", "no\n");
    append("mail.log-20261120.tmp", "no\n");
    append("mail.log2", "no\n");
    append("mail.log", "4\n");
    open_at(position);
    expect_lines("3 4");
}

/* What we had read last has gone: what was written since is read. */
static void test_gone(void **state)
{
    (void)state;
    kill_behind_2();
    rename("mail.log", "mail.log.2.gz"); /* as if it were */
    tick();
    append("mail.log.1", "3\n");
    tick();
    append("mail.log", "4\n");
    open_at(position);
    expect_lines("3 4");
}

/* The new file has the inode number of the one before: it must not be gone on with in its middle. */
static void test_inode_reuse(void **state)
{
    struct stat before, after = {.st_ino = 0};
    (void)state;
    append("mail.log", "Nov 19 1\n");
    open_at(NULL);
    kill_reader();
    assert_int_equal(stat("mail.log", &before), 0);
    for (int i = 0; i < 50 && after.st_ino != before.st_ino; i++) {
        remove("mail.log");
        tick();
        append("mail.log", "Nov 20 1\nNov 20 2\n");
        assert_int_equal(stat("mail.log", &after), 0);
    }
    if (after.st_ino != before.st_ino) { /* a file system that does not: then the position is made to */
        struct log_position made;
        assert_true(log_position_read(position, &made));
        made.inode = (uint64_t)after.st_ino;
        log_position_write(&made, position);
    }
    open_at(position);
    expect_lines("Nov 20 1 Nov 20 2");
}

/* ---- rotation by copying and cutting ---- */

static void test_truncate(void **state)
{
    (void)state;
    append("mail.log", "Nov 19 1\n");
    open_at(NULL);
    append("mail.log", "Nov 19 2\n");
    expect_lines("Nov 19 2");
    append("mail.log", "Nov 19 3\n"); /* is in the copy alone */
    copy_and_truncate();
    expect_lines("Nov 19 3");
    append("mail.log", "Nov 20 4\n");
    expect_lines("Nov 20 4");
    restart();
    expect_nothing();
}

static void test_truncated_while_away(void **state)
{
    (void)state;
    append("mail.log", "Nov 19 1\n");
    open_at(NULL);
    append("mail.log", "Nov 19 2\nNov 19 3\n");
    expect_line("Nov 19 2");
    kill_reader();
    copy_and_truncate();
    append("mail.log", "Nov 20 4\nNov 20 5\nNov 20 6\nNov 20 7\n"); /* longer than it was */
    open_at(position);
    expect_line("Nov 19 3");
    restart();
    expect_lines("Nov 20 4 Nov 20 5 Nov 20 6 Nov 20 7");
}

/* A copy is there, and the file is not cut yet: it is still the one that is followed. */
static void test_copies(void **state)
{
    (void)state;
    append("mail.log", "Nov 19 1\n");
    copy_file("mail.log", "mail.log.0");
    open_at(NULL);
    expect_nothing();
    for (int i = 1; i < 6; i++) {
        char copy[32];
        snprintf(copy, sizeof copy, "mail.log.%d", i);
        copy_file("mail.log", copy);
    }
    kill_reader();
    append("mail.log", "Nov 19 2\n");
    open_at(position);
    expect_lines("Nov 19 2");
    append("mail.log", "Nov 19 3\n");
    expect_lines("Nov 19 3");
}

/* A copy of the file that we come from is not the one that comes next. */
static void test_copy_of_rotated(void **state)
{
    (void)state;
    append("mail.log", "Nov 19 1\n");
    open_at(NULL);
    append("mail.log", "Nov 19 2\n");
    expect_lines("Nov 19 2");
    rename("mail.log", "mail.log.1");
    tick();
    copy_file("mail.log.1", "mail.log.2");
    tick();
    append("mail.log", "Nov 20 3\n");
    expect_lines("Nov 20 3");
}

/* The very first start, just after a rotation: the log of yesterday, which was still written to, is not read. */
static void test_first_start_after_rotation(void **state)
{
    (void)state;
    append("mail.log", "");
    tick();
    append("mail.log.1", "Nov 19 1\n");
    tick();
    open_at(NULL);
    append("mail.log", "Nov 20 1\n");
    expect_lines("Nov 20 1");
}

/* Written anew beyond where we were, between two looks, and no copy is left. */
static void test_rewritten(void **state)
{
    (void)state;
    append("mail.log", "Nov 19 1\n");
    open_at(NULL);
    expect_nothing();
    assert_int_equal(truncate("mail.log", 0), 0);
    append("mail.log", "Nov 20 1\nNov 20 2\nNov 20 3\n");
    expect_lines("Nov 20 1 Nov 20 2 Nov 20 3");
    assert_int_equal(truncate("mail.log", 0), 0);
    expect_nothing();
    restart();
    expect_nothing();
    append("mail.log", "4\n");
    expect_lines("4");
}

/* A writer that does not append goes on where it was: a hole is before its line. */
static void test_hole(void **state)
{
    (void)state;
    int fd = open("mail.log", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "1\n2\n", 4), 4);
    assert_int_equal(ftruncate(fd, 300000), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 300000);
    assert_int_equal(write(fd, "3\n", 2), 2);
    open_at("");
    expect_lines("1 2 3");
    assert_int_equal(ftruncate(fd, 0), 0);
    expect_nothing();
    assert_int_equal(write(fd, "4\n", 2), 2);
    expect_lines("4");
    restart();
    assert_int_equal(write(fd, "5\n", 2), 2);
    expect_lines("5");
    close(fd);
}

/* ---- anything ---- */

static unsigned dice(unsigned *seed, unsigned sides)
{
    return (unsigned)rand_r(seed) / 7 % sides;
}

/* What a day does to a log: lines in pieces, rotations of both kinds, kills. Every line comes once and in order. */
static void play(unsigned seed, bool copies)
{
    unsigned written = 0, read = 0;
    char line[32], from[32], to[32];
    struct log_entry entry;
    append("mail.log", "");
    open_at(NULL);
    for (int act = 0; act < 300; act++) {
        unsigned what = dice(&seed, 20);
        if (what < 9) {
            snprintf(line, sizeof line, "line %u\n", ++written);
            size_t half = dice(&seed, 3) == 0 ? dice(&seed, 5) : 0;
            append_bytes("mail.log", line, half);
            if (half > 0)
                while (take(&entry) == log_next_entry)
                    assert_int_equal(atoi(entry.text + 5), ++read);
            append("mail.log", line + half);
        } else if (what < 14) {
            for (unsigned i = dice(&seed, 4); i > 0 && take(&entry) == log_next_entry; i--)
                assert_int_equal(atoi(entry.text + 5), ++read);
        } else if (what < 17) {
            restart();
        } else if (what == 17) {
            tick();
            for (int number = 9; number >= (copies ? 2 : 1); number--) {
                snprintf(from, sizeof from, number == 1 ? "mail.log" : "mail.log.%d", number - 1);
                snprintf(to, sizeof to, "mail.log.%d", number);
                rename(from, to);
            }
            if (copies)
                copy_and_truncate();
            tick();
            append("mail.log", "");
        } else if (what == 18) {
            tick();
        }
        if (copies) /* between two rotations we look: of what was cut away twice there is no mark */
            while (what == 17 && take(&entry) == log_next_entry)
                assert_int_equal(atoi(entry.text + 5), ++read);
    }
    while (take(&entry) == log_next_entry)
        assert_int_equal(atoi(entry.text + 5), ++read);
    assert_int_equal(read, written);
    log_source_close(source);
    source = NULL;
}

static void play_all(void **state, bool copies)
{
    enum { SEEDS = 6 };
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        if (seed > 1)
            begin(state);
        play(seed, copies);
        if (seed < SEEDS)
            reading_tear_down(state);
    }
}

static void test_any_renames(void **state)
{
    play_all(state, false);
}

static void test_any_copies(void **state)
{
    play_all(state, true);
}

/* Where the log is, on a host of which we know no more than what Postfix says. */
static void test_auto(void **state)
{
    static const struct {
        const char *main_cf, *expected; /* NULL: what this host has otherwise */
    } rows[] = {
        {"maillog_file = /srv/maillog\n", "/srv/maillog"},
        {"maillog_file = $queue_directory/log\n", NULL},
        {"maillog_file = /dev/stdout\n", NULL},
        {"maillog_file =\n", NULL},
        {"", NULL},
    };
    struct log_places places;
    (void)state;
    strcpy(stage.settings.mta_config, stage.folder);
    stage.settings.collector_logs.automatic = 1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stage_put("main.cf", rows[i].main_cf);
        log_source_choose(&stage.settings, &places);
        assert_int_equal(places.count + (uint32_t)places.journal, 1);
        if (rows[i].expected != NULL)
            assert_string_equal(places.files[0], rows[i].expected);
        else if (!places.journal)
            assert_memory_equal(places.files[0], "/var/log/mail", 13);
    }
    stage.settings.collector_logs = (struct log_places){.journal = 1, .count = 1, .files = {"/a"}};
    log_source_choose(&stage.settings, &places);
    assert_memory_equal(&places, &stage.settings.collector_logs, sizeof places);
}

static void test_positions(void **state)
{
    static const char *const wrong[] = {"",
                                        "file1",
                                        "file1 1 2 3 4 5",
                                        "file1 1 2 3 0 5 6 ",
                                        "file2 1 2 3 0 5 6",

                                        "file1 1 2 99999999999999999999 0 5 6",
                                        "file1 1 2 2000 1025 5 6",
                                        "s=aaecd73822254ca9960462e8c180d351;i=1"};
    struct log_position one = {1, 2, 3, 3, 0xfedcba9876543210u, -7}, other;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(log_position_read(wrong[i], &other));
    log_position_write(&one, position);
    assert_true(log_position_read(position, &other));
    assert_memory_equal(&one, &other, sizeof one);
    append("mail.log", "1\n");
    open_at("garbage"); /* as none */
    expect_nothing();
    append("mail.log", "2\n");
    expect_lines("2");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, reading_tear_down)

/* A link of root's leads to the log; one of anybody else's could lead to what only we may read. */
static void test_links(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    append("elsewhere", "1\n");
    assert_int_equal(symlink("elsewhere", "mail.log"), 0);
    open_at("");
    expect_line("1");
    log_source_close(source);
    source = NULL;
    assert_int_equal(lchown("mail.log", 65534, 65534), 0);
    struct failure failure;
    struct log_entry entry;
    source = log_source_open(path, "", &failure);
    assert_non_null(source);
    assert_int_equal(log_source_next(source, &entry, &failure), log_next_failed);
    assert_non_null(strstr(failure.text, "Permission denied"));
    log_source_close(source);
    source = log_source_open(path, NULL, &failure);
    assert_null(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_start),
        TEST(test_beginning),
        TEST(test_appears),
        TEST(test_partial_lines),
        TEST(test_long_lines),
        TEST(test_nuls),
        TEST(test_unreadable),
        TEST(test_closed_for_a_while),
        TEST(test_next_is_closed),
        TEST(test_rename),
        TEST(test_renamed_while_away),
        TEST(test_dates),
        TEST(test_gone),
        TEST(test_inode_reuse),
        TEST(test_truncate),
        TEST(test_truncated_while_away),
        TEST(test_rewritten),
        TEST(test_copies),
        TEST(test_copy_of_rotated),
        TEST(test_first_start_after_rotation),
        TEST(test_hole),
        TEST(test_links),
        TEST(test_any_renames),
        TEST(test_any_copies),
        TEST(test_positions),
        TEST(test_auto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
