/* exporter/collect/log_store.c: totals and positions over kills, stops, power failures, and files that are not whole. */
#include "exporter/collect/log_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static struct settings settings;
static char folder[64];
static struct failure failure, warning;
static struct tally node;
static _Atomic uint64_t node_totals[total_COUNT];

static unsigned synced_files, synced_folders;

/* In place of libc's: what a power failure cannot take away any more. */
int fsync(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    synced_files += S_ISREG(status.st_mode);
    synced_folders += S_ISDIR(status.st_mode);
    return (int)syscall(SYS_fsync, fd);
}

static void in(const char *command)
{
    char line[512];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    assert_int_equal(system(line), 0);
}

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_log_store_XXXXXX");
    assert_non_null(mkdtemp(folder));
    in("mkdir run state");
    snprintf(settings.run_directory, sizeof settings.run_directory, "%s/run", folder);
    snprintf(settings.state_directory, sizeof settings.state_directory, "%s/state", folder);
    node.totals = node_totals;
    for (unsigned i = 0; i < total_COUNT; i++)
        atomic_store(&node_totals[i], 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    in("rm -rf run state");
    return rmdir(folder);
}

static struct log_store *open_store(void)
{
    struct log_store *store = log_store_open(&settings, &warning, &failure);
    assert_non_null(store);
    return store;
}

static uint64_t total_of(const struct log_store *store)
{
    static uint64_t totals[total_COUNT];
    log_store_totals(store, totals);
    return totals[SERIES_0(bounces_sent_total)];
}

static void count(struct log_store *store, uint64_t n, const char *position)
{
    tally_add(log_store_counting(store), SERIES_0(bounces_sent_total), n);
    assert_true(log_store_set_position(store, "mail.log", position));
}

static void expect_position(const struct log_store *store, const char *position)
{
    assert_string_equal(log_store_position(store, "mail.log"), position);
}

/* One that counts 5, and is stopped; the machine starts again, which empties run_directory. Returns its id. */
static uint64_t stopped_with_5(void)
{
    struct log_store *store = open_store();
    uint64_t id = log_store_id(store)[0];
    count(store, 5, "100");
    assert_true(log_store_save(store, true, &failure));
    log_store_close(store);
    in("rm -f run/*");
    return id;
}

static void test_kill(void **state)
{
    (void)state;
    struct log_store *store = open_store();
    assert_string_equal(warning.text, "");
    assert_null(log_store_position(store, "mail.log"));
    uint64_t id = log_store_id(store)[0];
    count(store, 5, "100");
    assert_true(log_store_commit(store, &node, &failure));
    assert_int_equal(atomic_load(&node_totals[SERIES_0(bounces_sent_total)]), 5);
    count(store, 2, "200"); /* and is killed before it commits */
    log_store_close(store);
    store = open_store();
    assert_int_equal(log_store_id(store)[0], id);
    assert_int_equal(total_of(store), 5);
    expect_position(store, "100");
    log_store_close(store);
}

/* What cannot be kept is not seen: after a kill it would be gone, and what is shown would step back. */
static void test_no_room(void **state)
{
    (void)state;
    struct log_store *store = open_store();
    count(store, 5, "100");
    in("mkdir run/log.json.new");
    assert_false(log_store_commit(store, &node, &failure));
    assert_non_null(strstr(failure.text, "run/log.json cannot be written: Is a directory"));
    assert_int_equal(atomic_load(&node_totals[SERIES_0(bounces_sent_total)]), 0);
    in("rmdir run/log.json.new");
    assert_true(log_store_commit(store, &node, &failure));
    assert_int_equal(atomic_load(&node_totals[SERIES_0(bounces_sent_total)]), 5);
    log_store_close(store);
}

/* What parsers keep goes on after a kill, and after a stop from the disk; one that is not whole is as none. */
static void test_memory(void **state)
{
    (void)state;
    for (int start = 0; start < 4; start++) {
        struct log_store *store = open_store();
        uint64_t *memory = log_store_memory(store, 3 * sizeof *memory);
        assert_ptr_equal(memory, log_store_memory(store, 3 * sizeof *memory));
        assert_int_equal(memory[1], start == 3 ? 0 : start);
        memory[1]++;
        count(store, 1, "1");
        assert_true(start == 1 ? log_store_save(store, true, &failure) : log_store_commit(store, &node, &failure));
        log_store_close(store);
        if (start == 1)
            in("rm -f run/*");
        if (start == 2)
            in("for file in run/log.memory.*; do printf x | dd of=$file bs=1 seek=3 conv=notrunc 2>/dev/null; done");
    }
}

/* One that is killed after a memory was written and before the totals that go with it were: again and again, and right after a boot. */
static void test_memory_between(void **state)
{
    (void)state;
    struct log_store *store = open_store();
    uint64_t *memory = log_store_memory(store, sizeof *memory);
    *memory = 7;
    assert_true(log_store_commit(store, &node, &failure));
    for (int kill = 0; kill < 3; kill++) {
        *memory = 8;
        in("mkdir run/log.json.new");
        assert_false(log_store_commit(store, &node, &failure));
        assert_false(log_store_commit(store, &node, &failure));
        log_store_close(store);
        in("rmdir run/log.json.new");
        store = open_store();
        memory = log_store_memory(store, sizeof *memory);
        assert_int_equal(*memory, 7);
    }
    assert_true(log_store_commit(store, &node, &failure));
    assert_true(log_store_save(store, true, &failure));
    in("rm -f run/*");
    log_store_close(store);
    log_store_close(open_store()); /* and is killed before it commits */
    store = open_store();
    assert_int_equal(*(uint64_t *)log_store_memory(store, sizeof *memory), 7);
    log_store_close(store);
}

/* After a power failure the memory on the disk may be older than the totals there, and is gone on with all the same. */
static void test_older_memory(void **state)
{
    (void)state;
    struct log_store *store = open_store();
    uint64_t *memory = log_store_memory(store, sizeof *memory);
    for (int i = 1; i <= 3; i++) {
        *memory = (uint64_t)i;
        count(store, 1, i == 3 ? "300" : "100");
        assert_true(log_store_save(store, false, &failure));
    }
    log_store_close(store);
    in("rm -f run/*");
    store = open_store();
    expect_position(store, "300");
    memory = log_store_memory(store, sizeof *memory);
    assert_int_equal(*memory, 1);
    log_store_close(store);
}

static void test_clean_stop(void **state)
{
    (void)state;
    uint64_t id = stopped_with_5();
    for (int start = 0; start < 2; start++) { /* the second is a power failure: the mark is gone since the first */
        struct log_store *store = open_store();
        assert_int_equal(log_store_id(store)[0] == id, start == 0);
        assert_int_equal(total_of(store), start == 0 ? 5 : 0);
        expect_position(store, "100");
        log_store_close(store);
        in("rm -f run/*");
    }
}

static void test_not_whole(void **state)
{
    static const char *const contents[] = {
        "",
        "{}",
        "[]",
        "{\"id\":\"x\"}",
        "{\"id\":\"00000000000000000000000000000001\",\"boot\":1,\"positions\":{},\"totals\":{}}",
        "{\"id\":\"00000000000000000000000000000001\",\"boot\":\"b\",\"positions\":[],\"totals\":{}}",
    };
    char command[256];
    (void)state;
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        snprintf(command, sizeof command, "printf '%%s' '%s' >run/log.json", contents[i]);
        in(command);
        struct log_store *store = open_store();
        assert_non_null(strstr(warning.text, "log.json"));
        assert_int_equal(total_of(store), 0);
        log_store_close(store);
    }
}

/* Of values that cannot be, none is taken; what this version does not know is left out. */
static void test_values(void **state)
{
    (void)state;
    in("printf '%s' "
       "'{\"id\":\"0000000000000007000000000000000a\",\"boot\":\"another\",\"clean\":true,\"positions\":{\"mail.log\":"
       "\"9\"},"
       "\"totals\":{\"milterscope_bounces_sent_total\":41,\"milterscope_log_auth_failures_total\":-1,"
       "\"milterscope_log_limits_total\":9223372036854775807,\"milterscope_log_lines_lost_total\":\"3\",\"milterscope_"
       "push_total\":3,\"x\":1}}' >state/log.json");
    struct log_store *store = open_store();
    assert_int_equal(log_store_id(store)[0], 7);
    assert_int_equal(log_store_id(store)[1], 10);
    assert_int_equal(total_of(store), 41);
    expect_position(store, "9");
    static uint64_t totals[total_COUNT];
    log_store_totals(store, totals);
    for (unsigned i = 0; i < total_COUNT; i++)
        assert_int_equal(totals[i], i == SERIES_0(bounces_sent_total) ? 41 : 0);
    log_store_close(store);
}

/* What cannot be marked on the disk would be gone on with after a power failure: it is not gone on with at all. */
static void test_unmarked(void **state)
{
    (void)state;
    uint64_t id = stopped_with_5();
    in("mkdir state/log.json.new");
    struct log_store *store = open_store();
    assert_non_null(strstr(warning.text, "begin at 0"));
    assert_int_not_equal(log_store_id(store)[0], id);
    assert_int_equal(total_of(store), 0);
    expect_position(store, "100");
    assert_false(log_store_save(store, true, &failure));
    assert_non_null(strstr(failure.text, "state/log.json cannot be written: Is a directory"));
    log_store_close(store);
}

/* A rename that is not on the disk yet could bring back the file before it, with its mark of a clean stop. */
static void test_on_the_disk(void **state)
{
    (void)state;
    struct log_store *store = open_store();
    synced_files = synced_folders = 0;
    assert_true(log_store_save(store, false, &failure));
    assert_int_equal(synced_files, 1);
    assert_int_equal(synced_folders, 1);
    assert_true(log_store_commit(store, &node, &failure)); /* on tmpfs: nothing is waited for */
    assert_int_equal(synced_files, 1);
    assert_int_equal(synced_folders, 1);
    log_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill, begin, end),
        cmocka_unit_test_setup_teardown(test_no_room, begin, end),
        cmocka_unit_test_setup_teardown(test_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_memory_between, begin, end),
        cmocka_unit_test_setup_teardown(test_older_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_clean_stop, begin, end),
        cmocka_unit_test_setup_teardown(test_not_whole, begin, end),
        cmocka_unit_test_setup_teardown(test_values, begin, end),
        cmocka_unit_test_setup_teardown(test_unmarked, begin, end),
        cmocka_unit_test_setup_teardown(test_on_the_disk, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
