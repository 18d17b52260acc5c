/* exporter/collect/log_journal.c: real journals, which systemd-journal-remote writes from its export format. */
#include "tests/unit/log_reading.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WRITER "usr/lib/systemd/systemd-journal-remote"

static char writer[PATH_MAX];

/* The program lies among the unpacked servers, which are beside the tree's build, wherever that is. */
static bool find_writer(void)
{
    static const char *const places[] = {"build/servers/journal/" WRITER,
                                         "build/servers/journal/lib/systemd/systemd-journal-remote", "/" WRITER,
                                         "/lib/systemd/systemd-journal-remote"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], X_OK) == 0)
            return realpath(places[i], writer) != NULL;
    }
    return false;
}

static int begin(void **state)
{
    int status = stage_set_up(state);
    mkdir("journal", 0755);
    return status;
}

static void need_writer(void **state)
{
    (void)state;
    if (writer[0] == '\0' ||
        access("/etc/machine-id", F_OK) != 0) /* without one it adds to no file that is there (252) */
        skip();
}

static unsigned written;

/* Entries separated by "--" lines, each of lines FIELD=value, go to a file of the journal. */
static void write_journal(const char *file, const char *const *entries)
{
    char command[PATH_MAX + 128], path[64];
    snprintf(path, sizeof path, "journal/%s.journal", file);
    snprintf(command, sizeof command, "%s -o %s - >remote.log 2>&1", writer, path);
    FILE *out = popen(command, "w");
    assert_non_null(out);
    for (; *entries != NULL; entries++) {
        written++;
        fprintf(
            out,
            "__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=%u\n_BOOT_ID=ebd4d0b6ca5d4a4e8b9b1f0f1a2b3c4d\n%s\n\n",
            1404101101000000ULL + written, 1000 + written, *entries);
    }
    assert_int_equal(pclose(out), 0);
}

#define ENTRIES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define MAIL         "SYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postfix/smtpd\nSYSLOG_PID=12\n_PID=13\nMESSAGE="
#define OTHER        "SYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=cron\nMESSAGE="

static void open_at(const char *text)
{
    source = log_journal_open_at("journal", text, &stage.failure);
    if (source == NULL)
        fail_msg("%s", stage.failure.text);
}

static void restart(void)
{
    kill_reader();
    open_at(position);
}

static void expect_lines(const char *expected)
{
    expect_entries(expected, ",", true);
}

static void test_fields(void **state)
{
    struct log_entry entry;
    need_writer(state);
    write_journal("a", ENTRIES(MAIL "one", OTHER "no",
                               "_SYSTEMD_UNIT=postfix@-.service\nSYSLOG_FACILITY=16\n_COMM=qmgr\n_PID=14\nMESSAGE=two",
                               "SYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=x",
                               "_SOURCE_REALTIME_TIMESTAMP=1404101100500000\n" MAIL "three", MAIL "four"));
    open_at("");
    assert_int_equal(take(&entry), log_next_entry);
    assert_string_equal(entry.text, "one");
    assert_string_equal(entry.program, "postfix/smtpd");
    assert_int_equal(entry.pid, 12);
    assert_int_equal(entry.time_us / 1000000, 1404101101);
    assert_int_equal(entry.lost, 0);
    assert_int_equal(take(&entry), log_next_entry);
    assert_string_equal(entry.text, "two");
    assert_string_equal(entry.program, "qmgr");
    assert_int_equal(entry.pid, 14);
    assert_int_equal(take(&entry), log_next_entry);
    assert_string_equal(entry.text, "three");
    assert_int_equal(entry.time_us, 1404101100500000);
    expect_lines("four");
}

/* At the very first start nothing of before; then all, also what comes to another file, and over restarts. */
static void test_positions(void **state)
{
    need_writer(state);
    write_journal("a", ENTRIES(MAIL "1", OTHER "no", MAIL "2"));
    open_at(NULL);
    expect_lines("");
    write_journal("a", ENTRIES(MAIL "3", MAIL "4", OTHER "no"));
    expect_lines("3,4");
    restart();
    expect_lines("");
    write_journal("b", ENTRIES(MAIL "5", MAIL "6"));
    expect_lines("5,6");
    restart();
    write_journal("b", ENTRIES(OTHER "no", MAIL "7"));
    write_journal("c", ENTRIES(MAIL "8"));
    struct log_entry entry;
    assert_int_equal(take(&entry), log_next_entry);
    assert_string_equal(entry.text, "7");
    restart();
    expect_lines("8");
}

static void test_empty(void **state)
{
    need_writer(state);
    open_at(NULL);
    expect_lines("");
    restart();
    write_journal("a", ENTRIES(MAIL "1"));
    expect_lines("1");
    restart();
    expect_lines("");
    log_source_close(source);
    open_at("no cursor"); /* as none */
    expect_lines("");
    write_journal("a", ENTRIES(MAIL "2"));
    expect_lines("2");
}

/* The file that we were in has gone, as journald removes the oldest: what was written since is read. */
static void test_vacuumed(void **state)
{
    need_writer(state);
    write_journal("a", ENTRIES(MAIL "1", MAIL "2"));
    write_journal("b", ENTRIES(MAIL "3", MAIL "4"));
    open_at("");
    struct log_entry entry;
    assert_int_equal(take(&entry), log_next_entry);
    assert_int_equal(take(&entry), log_next_entry);
    assert_string_equal(entry.text, "2");
    kill_reader();
    assert_int_equal(remove("journal/a.journal"), 0);
    open_at(position);
    expect_lines("3,4");
}

/* journald moves the journal from memory to the disk: other files, other places in them, the same entries. */
static void test_copied(void **state)
{
    struct log_entry entry;
    need_writer(state);
    written = 0;
    write_journal("a", ENTRIES(MAIL "1", MAIL "2"));
    open_at("");
    assert_int_equal(take(&entry), log_next_entry);
    assert_int_equal(take(&entry), log_next_entry);
    assert_string_equal(entry.text, "2");
    kill_reader();
    assert_int_equal(remove("journal/a.journal"), 0);
    written = 0;
    write_journal("b", ENTRIES(OTHER "0", MAIL "2", MAIL "3"));
    written = 1;
    write_journal("c", ENTRIES(MAIL "2", MAIL "3", MAIL "4"));
    open_at(position);
    expect_lines("3,4");
}

/* What journald did not take of the MTA, and what it did not take of others. */
static void test_suppressed(void **state)
{
    struct log_entry entry;
    need_writer(state);
#define FORGED  "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e\nSYSLOG_IDENTIFIER=systemd-journald\nMESSAGE="
#define DROPPED "_TRANSPORT=driver\n" FORGED
    write_journal("a",
                  ENTRIES(DROPPED "Suppressed 17 messages from postfix@-.service",
                          DROPPED "Suppressed 18 messages from cron.service", DROPPED "Suppressed x messages from exim",
                          FORGED "Suppressed 19 messages from exim4.service",
                          DROPPED "Suppressed 3 messages from /system.slice/exim4.service",
                          DROPPED "Suppressed 99999999999999999999 messages from exim4.service",
                          "SYSLOG_IDENTIFIER=cron\nMESSAGE=Suppressed 5 messages from sendmail.service", MAIL "1"));
    open_at("");
    assert_int_equal(take(&entry), log_next_entry);
    assert_int_equal(entry.lost, 17);
    assert_int_equal(entry.length, 0);
    restart();
    assert_int_equal(take(&entry), log_next_entry);
    assert_int_equal(entry.lost, 3);
    expect_lines("1");
}

/* Binary fields in the export format: a length, and bytes with line feeds and NULs. */
static void test_hostile(void **state)
{
    static char text[100000];
    struct log_entry entry;
    need_writer(state);
    memset(text, 'x', sizeof text - 1);
    memcpy(text, MAIL, strlen(MAIL));
    write_journal("a", ENTRIES(text, MAIL "2"));
    open_at("");
    assert_int_equal(take(&entry), log_next_entry);
    assert_true(entry.is_cut);
    assert_int_equal(entry.length, LOG_LINE_MAX - 1);
    expect_lines("2");
    char command[PATH_MAX + 128];
    snprintf(command, sizeof command, "%s -o journal/b.journal - >remote.log 2>&1", writer);
    FILE *out = popen(command, "w");
    assert_non_null(out);
    static const char head[] = "__REALTIME_TIMESTAMP=1404101109000000\n__MONOTONIC_TIMESTAMP=999999\n"
                               "_BOOT_ID=ebd4d0b6ca5d4a4e8b9b1f0f1a2b3c4d\nSYSLOG_FACILITY=2\nMESSAGE\n"
                               "\5\0\0\0\0\0\0\0a\n\0b\r\n\n";
    fwrite(head, 1, sizeof head - 1, out);
    assert_int_equal(pclose(out), 0);
    assert_int_equal(take(&entry), log_next_entry);
    assert_string_equal(entry.text, "a  b ");
    assert_string_equal(entry.program, "");
    expect_lines("");
}

static void test_no_folder(void **state)
{
    (void)state;
    assert_null(log_journal_open_at("/nonexistent/journal", NULL, &stage.failure));
    assert_non_null(strstr(stage.failure.text, "journal"));
}

/* A host without a journal, or with one that we may not read: that is said, and is not a log in which nothing happens. */
static void test_no_files(void **state)
{
    (void)state;
    if (system("ls /run/log/journal/*/*.journal /var/log/journal/*/*.journal >ls.log 2>&1; grep -q '^/' ls.log") == 0)
        skip();
    assert_null(log_journal_open(NULL, &stage.failure));
    assert_non_null(strstr(stage.failure.text, "systemd-journal"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, reading_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fields),     TEST(test_positions), TEST(test_empty),     TEST(test_vacuumed), TEST(test_copied),
        TEST(test_suppressed), TEST(test_hostile),   TEST(test_no_folder), TEST(test_no_files),
    };
    if (!find_writer())
        print_message("no systemd-journal-remote; scripts/unpack-servers journal\n");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
