/* exporter/collect/baseline.c, baseline_file.c: what is a sample and what is not, in a run on a clock of its own; restarts, and files that are
 * not whole. */
#include "exporter/collect/baseline.c"

#include "conf/lib/fnv1a.h"
#include "tests/unit/collect_stage.h"

#include <dirent.h>
#include <limits.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 24 * HOUR };
#define BEGINS INT64_C(1791849600) /* 2026-10-13 00:00 UTC */

static struct baseline *self;
static struct tally conversation;
static int64_t now, now_ms;

static void begin_collector(void)
{
    self = collect_baseline.open(&stage.settings, &stage.tally, &stage.failure);
    assert_non_null(self);
    self->saved_ms = now_ms;
}

static void end_collector(void)
{
    collect_baseline.close(self);
}

/* A new tally of the conversation, in whose name a filter is up. */
static void make_conversation(void)
{
    static const struct own_domains none;
    struct failure warning;
    bool persistent;
    warning.text[0] = '\0';
    assert_true(tally_make(stage.settings.run_directory, stage.settings.state_directory, &none, &conversation,
                           &persistent, &warning, &stage.failure));
    assert_true(persistent);
    tally_use(&conversation, tally_process_add(&conversation, getpid()));
    tally_beat(&conversation);
    tally_gauge_set(&conversation, gauge_filter_up, 1);
}

static int begin(void **state)
{
    if (stage_set_up(state) != 0)
        return 1;
    setenv("TZ", "UTC0", 1);
    snprintf(stage.settings.run_directory, sizeof stage.settings.run_directory, "/dev/shm/milterscope-stage-%d",
             (int)getpid());
    strcpy(stage.settings.state_directory, stage.settings.run_directory); /* memory: days are written in no time */
    if (mkdir(stage.settings.run_directory, 0700) != 0 || chdir(stage.settings.run_directory) != 0)
        return 1;
    now = BEGINS;
    now_ms = 1000000;
    begin_collector();
    return 0;
}

static int end(void **state)
{
    end_collector();
    return remove_tree(stage.settings.run_directory) + stage_tear_down(state);
}

static void set_queue(unsigned queue, int64_t messages)
{
    tally_gauge_set(&stage.tally, (unsigned)gauge_queue_messages + queue, messages);
    tally_gauge_set(&stage.tally, (unsigned)gauge_queue_scan_timestamp_seconds + queue, now * 1000000);
}

static void run_good(void)
{
    assert_true(run_at(self, now, now_ms, &stage.failure));
}

static void pass(int64_t seconds)
{
    now += seconds;
    now_ms += seconds * 1000;
}

static unsigned samples(enum label_signal signal)
{
    return self->signals[signal].count;
}

static uint32_t last_sample(enum label_signal signal)
{
    assert_true(samples(signal) > 0);
    return self->signals[signal].samples[samples(signal) - 1];
}

/* ---- samples ---- */

static void test_node(void **state)
{
    (void)state;
    set_queue(queue_deferred, 42);
    set_queue(queue_own_7, 0);
    tally_gauge_set(&stage.tally, (unsigned)gauge_smtp_sockets + (unsigned)socket_established, 5);
    tally_gauge_set(&stage.tally, (unsigned)gauge_smtp_sockets + (unsigned)socket_syn_recv, 500);
    run_good();
    assert_int_equal(last_sample(signal_deferred), 42);
    assert_int_equal(last_sample(signal_own_7), 0);
    assert_int_equal(last_sample(signal_sockets), 5);
    assert_int_equal(samples(signal_incoming), 0);
    assert_int_equal(samples(signal_messages), 0);
    tally_gauge_set(&stage.tally, (unsigned)gauge_queue_messages + (unsigned)queue_deferred, GAUGE_ABSENT);
    pass(MINUTE);
    run_good();
    assert_int_equal(samples(signal_deferred), 1);
    assert_int_equal(samples(signal_sockets), 2);
    assert_gauge(baseline_median, signal_sockets, GAUGE_ABSENT);
}

/* A scan that hangs says the same for ever. */
static void test_old_scan(void **state)
{
    (void)state;
    set_queue(queue_active, 3);
    pass(SCAN_OLD_MICROS / 1000000);
    run_good();
    assert_int_equal(samples(signal_active), 1);
    pass(1);
    run_good();
    assert_int_equal(samples(signal_active), 1);
}

static void add_mail(uint64_t count)
{
    tally_add(&conversation, SERIES_1(connections_total, client_external), count);
    tally_add(&conversation, SERIES_2(messages_total, source_external, verdict_passed), count);
    tally_add(&conversation, SERIES_2(messages_total, source_bounce, verdict_lost), count);
    tally_add(&conversation, SERIES_2(rejects_total, class_dnsbl, reply_5xx), count);
}

static void test_rates(void **state)
{
    (void)state;
    make_conversation();
    add_mail(1000);
    run_good();
    assert_int_equal(samples(signal_messages), 0); /* since when, nobody knows */
    add_mail(10);
    pass(MINUTE);
    run_good();
    assert_int_equal(last_sample(signal_connections), 10);
    assert_int_equal(last_sample(signal_messages), 20);
    assert_int_equal(last_sample(signal_rejects), 10);
    add_mail(30);
    pass(90);
    run_good();
    assert_int_equal(last_sample(signal_connections), 20);
    pass(MINUTE / 2 - 1);
    run_good();
    assert_int_equal(samples(signal_connections), 2);
    pass(2 * MINUTE + 1);
    run_good();
    assert_int_equal(samples(signal_connections), 2);
    pass(MINUTE);
    run_good();
    assert_int_equal(samples(signal_connections), 3);
}

static void expect_no_rate(void)
{
    unsigned before = samples(signal_messages);
    pass(MINUTE);
    run_good();
    assert_int_equal(samples(signal_messages), before);
}

static void expect_rate(uint32_t rate)
{
    pass(MINUTE);
    run_good();
    assert_int_equal(last_sample(signal_messages), rate);
}

static void test_no_rates(void **state)
{
    (void)state;
    expect_no_rate();
    make_conversation();
    expect_no_rate();
    add_mail(4);
    expect_rate(8);
    tally_gauge_set(&conversation, gauge_filter_up, 0); /* a filter that does not answer is no quiet night */
    expect_no_rate();
    tally_gauge_set(&conversation, gauge_filter_up, 1);
    expect_no_rate();
    expect_rate(0);
    atomic_store(&conversation.header->state, tally_settling);
    expect_no_rate();
    atomic_store(&conversation.header->state, tally_running);
    expect_no_rate();
    add_mail(1);
    tally_reset(&conversation); /* a new id; what was counted since the start stays */
    add_mail(100);
    expect_no_rate();
    add_mail(3);
    expect_rate(6);
}

/* Another supervisor makes another file. */
static void test_other_file(void **state)
{
    char path[PATH_MAX];
    (void)state;
    make_conversation();
    run_good();
    snprintf(path, sizeof path, "%s/" TALLY_FILE, stage.settings.run_directory);
    assert_int_equal(unlink(path), 0);
    make_conversation();
    add_mail(5);
    expect_no_rate();
    add_mail(5);
    expect_rate(10);
}

/* ---- what is told, and kept ---- */

static void live(int64_t days)
{
    for (int64_t until = now + days * DAY; now < until; pass(MINUTE)) {
        set_queue(queue_hold, now / HOUR % 24);
        set_queue(queue_own_0, 100 + now / MINUTE % 60);
        run_good();
    }
}

static void expect_shown(void)
{
    int64_t usual = now / HOUR % 24 * 1000000;
    assert_gauge(baseline_median, signal_hold, usual);
    assert_gauge(baseline_p95, signal_hold, usual);
}

static void expect_hold(void)
{
    run_good();
    expect_shown();
}

static void restart(void)
{
    end_collector();
    for (unsigned signal = 0; signal < signal_COUNT; signal++)
        tally_gauge_set(&stage.tally, (unsigned)gauge_baseline_median + signal, GAUGE_ABSENT);
    begin_collector();
}

static void name_queues(const char *first, const char *second)
{
    struct own_queues *own = &stage.settings.collector_queues;
    own->count = second == NULL ? 1 : 2;
    strcpy(own->list[0].name, first);
    strcpy(own->list[1].name, second == NULL ? "" : second);
}

static void test_twenty_days_and_restarts(void **state)
{
    static struct baseline_signal before[signal_COUNT];
    (void)state;
    name_queues("list", NULL);
    restart();
    pass(13 * HOUR + 20 * MINUTE); /* restarts are in the middle of an hour */
    for (int day = 1; day <= 20; day++) {
        live(1);
        memcpy(before, self->signals, sizeof before);
        restart();
        assert_memory_equal(&before[signal_hold], &self->signals[signal_hold], sizeof before[0]);
        if (day > 7)
            expect_hold();
    }
    assert_gauge(baseline_median, signal_active, GAUGE_ABSENT);
    assert_true(stage_gauge(gauge_baseline_median + (unsigned)signal_own_0) > 125 * 1000000);
    assert_true(stage_gauge(gauge_baseline_p95 + (unsigned)signal_own_0) > 150 * 1000000);
}

/* The operator's queues are known by their names, wherever they stand. */
static void test_names(void **state)
{
    (void)state;
    name_queues("list", "news");
    restart();
    live(8);
    name_queues("news", "list");
    restart();
    run_good();
    assert_gauge(baseline_median, signal_own_0, GAUGE_ABSENT);
    assert_true(stage_gauge(gauge_baseline_median + (unsigned)signal_own_1) > 125 * 1000000);
    name_queues("other", NULL);
    restart();
    run_good();
    assert_gauge(baseline_median, signal_own_0, GAUGE_ABSENT);
    assert_gauge(baseline_median, signal_own_1, GAUGE_ABSENT);
    expect_hold();
}

static bool is_there(const char *name)
{
    return access(name, F_OK) == 0;
}

/* Every ten minutes, for those who are killed. */
static void test_saved_in_time(void **state)
{
    (void)state;
    set_queue(queue_hold, 1);
    for (int minute = 0; minute < 10; minute++, pass(MINUTE)) {
        run_good();
        assert_false(is_there(BASELINE_FILE));
    }
    run_good();
    assert_true(is_there(BASELINE_FILE) && !is_there(BASELINE_FILE ".new"));
}

/* A disk that takes nothing: said as long as it is so, and the file before stays. */
static void test_not_saved(void **state)
{
    struct failure failure = {EX_OK, ""};
    (void)state;
    live(8);
    assert_int_equal(mkdir(BASELINE_FILE ".new", 0700), 0);
    pass(10 * MINUTE);
    for (int i = 0; i < 3; i++, pass(MINUTE)) {
        assert_false(run_at(self, now, now_ms, &failure));
        assert_non_null(strstr(failure.text, BASELINE_FILE " cannot be written: "));
        expect_shown();
    }
    assert_int_equal(rmdir(BASELINE_FILE ".new"), 0);
    expect_hold();
}

/* ---- files that are not whole ---- */

static unsigned count_files(const char *beginning)
{
    unsigned count = 0;
    DIR *folder = opendir(".");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
    closedir(folder);
    return count;
}

static char *read_file(size_t *length)
{
    char *bytes = malloc(1 << 20);
    FILE *file = fopen(BASELINE_FILE, "r");
    assert_non_null(file);
    *length = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static struct baseline_signal read_signals[signal_COUNT];

/* Reading tells what is wrong, and has taken over nothing. */
static void expect_damaged(const char *bytes, size_t length, const char *wrong)
{
    memset(read_signals, 0, sizeof read_signals);
    strcpy(read_signals[0].name, "hold");
    const char *found = baseline_read(bytes, length, read_signals, 1);
    assert_non_null(found);
    if (wrong != NULL)
        assert_string_equal(found, wrong);
    assert_int_equal(read_signals[0].count, 0);
}

static void seal(char *bytes, size_t length)
{
    uint64_t checksum = fnv1a(FNV1A_BEGINS, bytes, length - sizeof checksum);
    memcpy(bytes + length - sizeof checksum, &checksum, sizeof checksum);
}

static void test_damaged(void **state)
{
    size_t length;
    (void)state;
    live(1);
    save(self, now_ms, &stage.failure);
    char *bytes = read_file(&length);
    assert_int_equal(length, 24 + sizeof read_signals[0] + 8); /* `hold` alone: nobody named the other */
    for (size_t cut = 0; cut < length; cut += cut < 64 ? 1 : 997)
        expect_damaged(bytes, cut, NULL);
    for (size_t at = 0; at < length; at += 499) {
        bytes[at] ^= 4;
        expect_damaged(bytes, length, NULL);
        bytes[at] ^= 4;
    }
    struct baseline_signal *signal = (void *)(bytes + 24), whole = *signal;
#define WRONG(field, value, text)                                                                                      \
    signal->field = (value);                                                                                           \
    seal(bytes, length);                                                                                               \
    expect_damaged(bytes, length, text);                                                                               \
    *signal = whole
    WRONG(count, BASELINE_SAMPLES_MAX + 1, "an hour in it is none");
    WRONG(now.hour, 24, "an hour in it is none");
    WRONG(now.day, -1, "an hour in it is none");
    WRONG(name[0], '\0', "a name in it is none");
    memset(signal->name, 'h', sizeof signal->name);
    seal(bytes, length);
    expect_damaged(bytes, length, "a name in it is none");
    *signal = whole;
    seal(bytes, length);
    assert_null(baseline_read(bytes, length, read_signals, 1));
    assert_true(read_signals[0].count > 0);
    free(bytes);
}

static void test_moved_aside(void **state)
{
    (void)state;
    live(8);
    end_collector();
    assert_int_equal(truncate(BASELINE_FILE, 1000), 0);
    begin_collector();
    assert_false(is_there(BASELINE_FILE));
    assert_int_equal(count_files(BASELINE_FILE ".damaged-"), 1);
    live(8);
    restart();
    expect_hold();
    assert_int_equal(count_files(BASELINE_FILE ".damaged-"), 1);
}

/* One that cannot be read now may be whole. */
static void test_unreadable(void **state)
{
    (void)state;
    live(8);
    end_collector();
    assert_int_equal(rename(BASELINE_FILE, "whole"), 0);
    assert_int_equal(mkdir(BASELINE_FILE, 0700), 0);
    assert_null(collect_baseline.open(&stage.settings, &stage.tally, &stage.failure));
    assert_non_null(strstr(stage.failure.text, BASELINE_FILE " cannot be read: "));
    assert_int_equal(rmdir(BASELINE_FILE), 0);
    assert_int_equal(rename("whole", BASELINE_FILE), 0);
    begin_collector();
    expect_hold();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_node),     TEST(test_old_scan),      TEST(test_rates),
        TEST(test_no_rates), TEST(test_other_file),    TEST(test_twenty_days_and_restarts),
        TEST(test_names),    TEST(test_saved_in_time), TEST(test_not_saved),
        TEST(test_damaged),  TEST(test_moved_aside),   TEST(test_unreadable),
    };
    log_open("test", log_level_error, log_to_stderr);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
