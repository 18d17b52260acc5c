/* exporter/collect/host.c, load_limits.c, mta_settings.c: this host's file systems, load and swap, as other calls tell them;
 * configurations made up. */
#include "exporter/collect/host.h"

#include "exporter/collect/load_limits.h"
#include "exporter/collect/mta_settings.h"
#include "tests/unit/collect_stage.h"

#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* What the kernel says of memory, but where a test needs swap, which a host may not have. */
static const struct sysinfo *played_info;

int sysinfo(struct sysinfo *info)
{
    if (played_info == NULL)
        return (int)syscall(SYS_sysinfo, info);
    *info = *played_info;
    return 0;
}

static bool run_once(void)
{
    void *self = collect_host.open(&stage.settings, &stage.tally, &stage.failure);
    assert_non_null(self);
    bool good = collect_host.run(self, &stage.failure);
    collect_host.close(self);
    return good;
}

static int64_t of(enum metric_id metric, unsigned place)
{
    return stage_gauge(catalogue[metric].first + place);
}

/* Others use these file systems, too: between two looks of ours the collector's must lie. */
static void check_filesystem(unsigned place, const char *path)
{
    struct statvfs before, after;
    assert_int_equal(statvfs(path, &before), 0);
    assert_true(run_once());
    assert_int_equal(statvfs(path, &after), 0);
    int64_t free_bytes[2] = {(int64_t)(before.f_bavail * before.f_frsize), (int64_t)(after.f_bavail * after.f_frsize)};
    bool upward = free_bytes[1] > free_bytes[0];
    int64_t slack = 1 << 30; /* written and taken away again meanwhile */
    assert_in_range(of(metric_filesystem_free_bytes, place) + slack, free_bytes[!upward],
                    free_bytes[upward] + 2 * slack);
    assert_int_equal(of(metric_filesystem_size_bytes, place), (int64_t)(before.f_blocks * before.f_frsize));
    if (before.f_files > 0)
        assert_int_equal(of(metric_filesystem_inodes, place), (int64_t)before.f_files);
}

static void test_filesystems(void **state)
{
    (void)state;
    strcpy(stage.settings.state_directory, stage.folder);
    stage.settings.collector_filesystems.count = 2;
    strcpy(stage.settings.collector_filesystems.list[0], "/dev/shm");
    strcpy(stage.settings.collector_filesystems.list[1], "/proc");
    check_filesystem(filesystem_state, stage.folder);
    check_filesystem(filesystem_own_0, "/dev/shm");
    /* It has no blocks and no files. */
    assert_int_equal(of(metric_filesystem_free_bytes, filesystem_own_1), GAUGE_ABSENT);
    assert_int_equal(of(metric_filesystem_size_bytes, filesystem_own_1), GAUGE_ABSENT);
    assert_int_equal(of(metric_filesystem_inodes, filesystem_own_1), GAUGE_ABSENT);
    assert_int_equal(of(metric_filesystem_size_bytes, filesystem_own_2), GAUGE_ABSENT);
}

/* One that is not there: it is absent and said, the others are there. */
static void test_missing(void **state)
{
    (void)state;
    strcpy(stage.settings.state_directory, "/nonexistent/state");
    stage.settings.collector_filesystems.count = 2;
    strcpy(stage.settings.collector_filesystems.list[0], "/nonexistent/own");
    strcpy(stage.settings.collector_filesystems.list[1], "/");
    assert_false(run_once());
    assert_non_null(strstr(stage.failure.text, "/nonexistent/state"));
    assert_non_null(strstr(stage.failure.text, "; the file system of /nonexistent/own cannot be looked at"));
    assert_int_equal(of(metric_filesystem_size_bytes, filesystem_state), GAUGE_ABSENT);
    assert_int_equal(of(metric_filesystem_size_bytes, filesystem_own_0), GAUGE_ABSENT);
    assert_true(of(metric_filesystem_size_bytes, filesystem_own_1) > 0);
}

static void test_queue(void **state)
{
    char path[SETTINGS_PATH_MAX];
    (void)state;
    strcpy(stage.settings.state_directory, "/");
    strcpy(stage.settings.mta_config, stage.folder);
    stage_put("main.cf", "queue_directory = /nonexistent\nqueue_directory = /tmp \n");
    assert_true(run_once());
    assert_true(of(metric_filesystem_size_bytes, filesystem_queue) > 0);
    assert_true(mta_queue_directory(&stage.settings, path));
    assert_string_equal(path, "/tmp");
    stage_put("main.cf", "queue_directory = $data_directory/queue\n");
    assert_false(mta_queue_directory(&stage.settings, path));
    stage_put("main.cf", "# queue_directory = /tmp\n");
    assert_true(mta_queue_directory(&stage.settings, path));
    assert_string_equal(path, "/var/spool/postfix");
    snprintf(stage.settings.mta_config, sizeof stage.settings.mta_config, "%s/sendmail.cf", stage.folder);
    stage_put("sendmail.cf", "#O QueueDirectory=/a\nO QueueDirectory=/b/q*\n");
    assert_true(mta_queue_directory(&stage.settings, path));
    assert_string_equal(path, "/b");
    stage_put("sendmail.cf", "O queueDIRECTORY = /*\nOQueueDirectory=/c\n");
    assert_true(mta_queue_directory(&stage.settings, path));
    assert_string_equal(path, "/");
    stage.settings.mta_kind = mta_kind_exim;
    stage_put("sendmail.cf", "# spool_directory = /a\nspool_directory = /b\nbegin acl\nspool_directory = /c\n");
    assert_true(mta_queue_directory(&stage.settings, path));
    assert_string_equal(path, "/b");
    remove("sendmail.cf");
    assert_true(mta_queue_directory(&stage.settings, path));
    assert_string_equal(path, "/var/spool/exim4");
}

/* The load moves between two looks at it. */
static void test_load_and_swap(void **state)
{
    double before, after;
    struct sysinfo info;
    (void)state;
    strcpy(stage.settings.state_directory, "/");
    do {
        assert_int_equal(getloadavg(&before, 1), 1);
        assert_true(run_once());
        assert_int_equal(getloadavg(&after, 1), 1);
    } while (before != after);
    assert_int_equal(stage_gauge(gauge_load1), (int64_t)(before * 1e6 + 0.5));
    assert_int_equal(sysinfo(&info), 0);
    assert_int_equal(stage_gauge(gauge_swap_size_bytes), info.totalswap * info.mem_unit);
    assert_in_range(stage_gauge(gauge_swap_used_bytes), 0, info.totalswap * info.mem_unit);
    assert_gauge(load_limit, load_queue, GAUGE_ABSENT);
}

static void test_swap_in_use(void **state)
{
    static const struct sysinfo info = {.totalswap = 1000, .freeswap = 300, .mem_unit = 4096};
    (void)state;
    strcpy(stage.settings.state_directory, "/");
    played_info = &info;
    bool good = run_once();
    played_info = NULL;
    assert_true(good);
    assert_int_equal(stage_gauge(gauge_swap_size_bytes), 1000 * 4096);
    assert_int_equal(stage_gauge(gauge_swap_used_bytes), 700 * 4096);
}

static void test_load_limits(void **state)
{
    static const struct {
        enum label_server server;
        const char *text;
        int64_t queue, refuse, delay; /* hundredths; -1: absent */
    } rows[] = {
        {server_sendmail, "", 3200, 4800, -1},
        {server_sendmail, "#O QueueLA=9\nO MaxQueueRunSize=1\n", 3200, 4800, -1},
        {server_sendmail, "O QueueLA=9\nO RefuseLA=11\nO DelayLA=7\n", 900, 1100, 700},
        {server_sendmail, "O queuela = 9\r\nO RefuseLA=0\nO DelayLA=0\n", 900, -1, -1},
        {server_sendmail, "O QueueLA=9\nO QueueLA=10\nO RefuseLA=x\nO DelayLA=\n", 1000, -1, -1},
        {server_sendmail, "O QueueLA=99999999999999999999999999999999999999999\n", 3200, 4800, -1},
        {server_exim, "", -1, -1, -1},
        {server_exim, "queue_only_load = 8.5\nsmtp_load_reserve=12\n", 850, 1200, -1},
        {server_exim, "begin routers\nqueue_only_load = 8.5\n", -1, -1, -1},
        {server_exim, "begin_macro = 1\nqueue_only_load = 8\n", 800, -1, -1},
        {server_postfix, "queue_only_load = 8\n", -1, -1, -1},
        {server_COUNT, "O QueueLA=9\n", -1, -1, -1},
    };
    int64_t limits[load_COUNT];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *copy = strdup(rows[i].text); /* without its NUL: a read beyond the end is seen */
        const struct mta_text text = {copy, strlen(copy)};
        load_limits(rows[i].server, &text, 4, limits);
        const int64_t expected[load_COUNT] = {
            [load_queue] = rows[i].queue, [load_refuse] = rows[i].refuse, [load_delay] = rows[i].delay};
        for (int j = 0; j < load_COUNT; j++) {
            if (limits[j] != (expected[j] < 0 ? GAUGE_ABSENT : expected[j] * 10000))
                fail_msg("%s: limit %d is %lld", rows[i].text, j, (long long)limits[j]);
        }
        free(copy);
    }
    load_limits(server_sendmail, &(struct mta_text){NULL, 0}, 4, limits);
    assert_int_equal(limits[load_queue], GAUGE_ABSENT); /* nothing is known of it */
}

static void test_lines(void **state)
{
    static const char text[] = "# comment\n\n  \t\nfirst line\n  goes on\n# not here\n\tand on\r\nsecond\nthird";
    char line[MTA_LINE_MAX];
    (void)state;
    const char *at = text, *end = text + sizeof text - 1;
    assert_true(mta_next_line(&at, end, line));
    assert_string_equal(line, "first line   goes on \tand on\r ");
    assert_true(mta_next_line(&at, end, line));
    assert_string_equal(line, "second ");
    assert_true(mta_next_line(&at, end, line));
    assert_string_equal(line, "third");
    assert_false(mta_next_line(&at, end, line));
    char *longest = malloc(3 * MTA_LINE_MAX);
    memset(longest, 'x', 3 * MTA_LINE_MAX);
    at = longest;
    assert_true(mta_next_line(&at, longest + 3 * MTA_LINE_MAX, line));
    assert_int_equal(strlen(line), MTA_LINE_MAX - 1);
    assert_false(mta_next_line(&at, longest + 3 * MTA_LINE_MAX, line));
    free(longest);
}

static void test_server(void **state)
{
    (void)state;
    strcpy(stage.settings.mta_config, stage.folder);
    assert_int_equal(mta_server(&stage.settings), server_postfix);
    strcpy(stage.settings.mta_config, "/etc/passwd");
    assert_int_equal(mta_server(&stage.settings), server_sendmail);
    stage.settings.mta_kind = mta_kind_exim;
    assert_int_equal(mta_server(&stage.settings), server_exim);
    stage.settings.mta_kind = mta_kind_postfix;
    assert_int_equal(mta_server(&stage.settings), server_postfix);
    assert_null(mta_read_postfix(&stage.settings, "main.cf").text);
    strcpy(stage.settings.mta_config, "/dev/zero"); /* no file */
    assert_null(mta_read_sendmail(&stage.settings).text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_filesystems, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_missing, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_queue, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_load_and_swap, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_swap_in_use, stage_set_up, stage_tear_down),
        cmocka_unit_test(test_load_limits),
        cmocka_unit_test(test_lines),
        cmocka_unit_test_setup_teardown(test_server, stage_set_up, stage_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
