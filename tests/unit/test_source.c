/* exporter/serve/source.c: which of the two sources is shown, for each state of both. The tally is a real one; what the reader found, the
 * test says. */
#include "exporter/serve/source.c"
#include "tests/unit/tally_places.h"

static struct reading found; /* by the reader */
static bool reader_lives;
static unsigned reloads;

struct reader *reader_start(const struct settings *settings, struct failure *failure)
{
    (void)settings;
    (void)failure;
    return (struct reader *)(uintptr_t)&found;
}

void reader_stop(struct reader *reader)
{
    (void)reader;
}

void reader_reload(struct reader *reader, const struct settings *settings)
{
    (void)reader;
    (void)settings;
    reloads++;
}

void reader_wait(struct reader *reader)
{
    (void)reader;
}

bool reader_alive(const struct reader *reader)
{
    (void)reader;
    return reader_lives;
}

const struct reading *reader_lock(struct reader *reader)
{
    (void)reader;
    return &found;
}

void reader_unlock(struct reader *reader)
{
    (void)reader;
}

enum { SECOND = 1000000, TALLY_HAS = 40, REDIS_HAS = 50 };
static const unsigned counted = SERIES_0(push_total);

static struct settings settings = {.redis_push_interval = SECOND, .read_at = 4711};
static struct source *source;
static struct view view;

/* Redis holds something of this tally, pushed so long ago. */
static void put_in_redis(const char *id, uint64_t total, int64_t age)
{
    found.redis_well = true;
    found.instance.known = true;
    found.instance.age = age;
    snprintf(found.instance.id, sizeof found.instance.id, "%s", id);
    snapshot_clear(&found.instance.values);
    found.instance.values.has_totals = true;
    found.instance.values.totals[counted] = total;
    found.instance.values.gauges[gauge_sessions_active] = 7;
}

static const char *own_id(void)
{
    static char id[TALLY_ID_BYTES];
    tally_view_id(found.tally, id);
    return id;
}

static const char other_id[] = "ffffffffffffffffffffffffffffffff";

/* A host with a tally that lives: 40 pushes, 3 sessions; 2 pushes more that nobody else knows of, and that are not shown. */
static void put_tally(struct made *made)
{
    struct failure failure;
    make(made);
    tally_use(&made->tally, tally_process_add(&made->tally, getpid()));
    tally_beat(&made->tally);
    tally_add(&made->tally, counted, TALLY_HAS);
    tally_keep_all(&made->tally);
    tally_add(&made->tally, counted, 2);
    tally_gauge_set(&made->tally, gauge_sessions_active, 3);
    found.tally = tally_view_open(made->run, &failure);
    assert_non_null(found.tally);
}

static int begin(void **state)
{
    struct failure failure;
    found = (struct reading){.complete = true, .redis_error = "gone", .tally_error = "none here"};
    snapshot_clear(&found.instance.values);
    snapshot_clear(&found.process);
    reader_lives = true;
    reloads = 0;
    source = source_open(&settings, &failure);
    return source == NULL || places_set_up(state) != 0;
}

static int end(void **state)
{
    source_close(source);
    if (found.tally != NULL)
        tally_view_close(found.tally);
    return places_tear_down(state);
}

static int64_t gauge(unsigned number)
{
    return view.values.gauges[number];
}

/* What a scrape shows: the total (-1: totals are absent), open sessions, the source, up, instance_up, how many sources failed. */
static void expect(int64_t total, int64_t sessions, const char *from, int64_t up, int64_t instance_up, int64_t errors)
{
    source_read(source, &view);
    assert_string_equal(view.from, from);
    assert_int_equal(view.values.has_totals ? (int64_t)view.values.totals[counted] : -1, total);
    assert_int_equal(gauge(gauge_sessions_active), sessions);
    assert_int_equal(gauge(gauge_up), up);
    assert_int_equal(gauge(gauge_instance_up), instance_up);
    assert_int_equal(gauge(gauge_scrape_errors), errors);
    assert_int_equal(gauge(gauge_data_source + (unsigned)data_redis), strcmp(from, "Redis") == 0);
    assert_int_equal(gauge(gauge_data_source + (unsigned)data_tally), strcmp(from, "the tally of this host") == 0);
    assert_int_equal(view.ready, strcmp(from, "nothing") != 0);
}

static void test_nothing(void **state)
{
    (void)state;
    expect(-1, GAUGE_ABSENT, "nothing", 0, GAUGE_ABSENT, 1);
    assert_string_equal(view.trouble, "Redis cannot be read: gone; no tally on this host: none here");
    found.tally_wrong = true;
    expect(-1, GAUGE_ABSENT, "nothing", 0, GAUGE_ABSENT, 2);
    found.tally_wrong = false;
    found.redis_well = true;
    expect(-1, GAUGE_ABSENT, "nothing", 0, 0, 0);
    assert_string_equal(view.trouble, "Redis holds nothing of this instance; no tally on this host: none here");
    found.complete = false;
    expect(-1, GAUGE_ABSENT, "nothing", 0, 0, 0);
    assert_string_equal(view.trouble, "starting");
}

static void test_redis_alone(void **state)
{
    (void)state;
    put_in_redis(other_id, REDIS_HAS, SECOND);
    expect(REDIS_HAS, 7, "Redis", 1, 1, 0);
    assert_string_equal(view.trouble, "");
    found.instance.age = 12 * SECOND + 1; /* 10 s and two pushes */
    expect(REDIS_HAS, 7, "Redis", 1, 1, 0);
    assert_string_equal(view.trouble, "nothing was pushed to Redis for 12 s");
    found.instance.age = INT64_C(300) * SECOND;
    expect(REDIS_HAS, 7, "Redis", 1, 1, 0);
    found.instance.age++;
    expect(REDIS_HAS, 7, "Redis", 0, 0, 0);
    found.instance.values.has_totals = false; /* lost its memory */
    expect(-1, 7, "Redis", 0, 0, 0);
}

static void test_tally_alone(void **state)
{
    put_tally(*state);
    expect(TALLY_HAS, 3, "the tally of this host", 1, GAUGE_ABSENT, 1);
    assert_string_equal(view.trouble, "Redis cannot be read: gone");
    struct made *made = *state;
    tally_process_remove(&made->tally, 0);
    expect(TALLY_HAS, GAUGE_ABSENT, "the tally of this host", 0, GAUGE_ABSENT, 1);
    assert_string_equal(view.trouble, "Redis cannot be read: gone; milterscope does not run on this host");
}

/* Totals are those of a tally that lives, else the larger of both; gauges those of Redis while pushes arrive there. */
static void test_both(void **state)
{
    put_tally(*state);
    put_in_redis(own_id(), REDIS_HAS, SECOND);
    expect(TALLY_HAS, 7, "Redis", 1, 1, 0);
    assert_string_equal(view.trouble, "");
    put_in_redis(own_id(), TALLY_HAS - 1, 12 * SECOND);
    expect(TALLY_HAS, 7, "Redis", 1, 1, 0);
    put_in_redis(own_id(), REDIS_HAS + 1, 12 * SECOND + 1);
    expect(TALLY_HAS, 3, "the tally of this host", 1, 1, 0);
    put_in_redis(own_id(), REDIS_HAS + 1, INT64_C(300) * SECOND + 1);
    expect(TALLY_HAS, 3, "the tally of this host", 1, 0, 0);
    struct made *made = *state;
    tally_process_remove(&made->tally, 0);
    expect(REDIS_HAS + 1, GAUGE_ABSENT, "the tally of this host", 0, 0, 0); /* nobody counts in it any more */
}

static void test_the_tally_is_the_floor(void **state)
{
    put_tally(*state);
    put_in_redis(own_id(), TALLY_HAS - 1, SECOND);
    expect(TALLY_HAS, 7, "Redis", 1, 1, 0);
    found.instance.values.has_totals = false;
    found.instance.values.totals[counted] = 0;
    expect(TALLY_HAS, 7, "Redis", 1, 1, 0);
}

static void test_longer_push_interval(void **state)
{
    put_tally(*state);
    put_in_redis(own_id(), TALLY_HAS, 14 * SECOND);
    expect(TALLY_HAS, 3, "the tally of this host", 1, 1, 0);
    struct settings slow = settings;
    slow.redis_push_interval = 2 * SECOND;
    source_reload(source, &slow, false);
    expect(TALLY_HAS, 7, "Redis", 1, 1, 0);
    assert_int_equal(reloads, 0);
    assert_int_equal(gauge((unsigned)gauge_config_last_reload_successful + (unsigned)program_exporter), 0);
    slow.read_at = 4712;
    source_reload(source, &slow, true);
    source_read(source, &view);
    assert_int_equal(reloads, 1);
    assert_int_equal(gauge((unsigned)gauge_config_last_reload_successful + (unsigned)program_exporter), 1);
    assert_int_equal(gauge((unsigned)gauge_config_last_reload_timestamp_seconds + (unsigned)program_exporter), 4712);
}

static void test_of_another_tally(void **state)
{
    put_tally(*state);
    put_in_redis(other_id, REDIS_HAS, SECOND);
    expect(TALLY_HAS, 3, "the tally of this host", 1, 0, 0);
    assert_string_equal(view.trouble,
                        "what Redis holds under this instance's name was pushed from another tally and is ignored");
}

/* Redis fails: what it said last is not believed. */
static void test_redis_goes(void **state)
{
    put_tally(*state);
    put_in_redis(own_id(), REDIS_HAS, SECOND);
    expect(TALLY_HAS, 7, "Redis", 1, 1, 0);
    found.redis_well = false;
    expect(TALLY_HAS, 3, "the tally of this host", 1, GAUGE_ABSENT, 1);
    tally_view_close(found.tally);
    found.tally = NULL;
    expect(-1, GAUGE_ABSENT, "nothing", 0, GAUGE_ABSENT, 1);
}

static void test_settling(void **state)
{
    struct made *made = *state;
    put_tally(made);
    atomic_store(&made->tally.header->state, tally_settling);
    expect(-1, 3, "the tally of this host", 1, GAUGE_ABSENT, 1);
    assert_non_null(strstr(view.trouble, "totals are absent until the tally has been settled with Redis"));
    put_in_redis(own_id(), REDIS_HAS, SECOND);
    expect(-1, 7, "Redis", 1, 1, 0);
}

static void test_about_ourselves(void **state)
{
    (void)state;
    found.process.gauges[gauge_process_open_fds] = 9;
    source_read(source, &view);
    assert_int_equal(gauge(gauge_process_open_fds), 9);
    assert_int_equal(gauge(gauge_process_max_fds), GAUGE_ABSENT);
    assert_int_equal(gauge((unsigned)gauge_redis_up + (unsigned)program_exporter), 0);
    assert_int_equal(gauge((unsigned)gauge_redis_up + (unsigned)program_pusher), GAUGE_ABSENT);
    assert_int_equal(gauge((unsigned)gauge_config_last_reload_successful + (unsigned)program_exporter), 1);
    assert_int_equal(gauge((unsigned)gauge_config_last_reload_timestamp_seconds + (unsigned)program_exporter), 4711);
    assert_in_range(gauge(gauge_scrape_seconds), 0, 60 * SECOND);
    found.complete = false;
    source_read(source, &view);
    assert_int_equal(gauge((unsigned)gauge_redis_up + (unsigned)program_exporter), GAUGE_ABSENT);
    assert_true(source_alive(source));
    reader_lives = false;
    assert_false(source_alive(source));
}

#define SOURCE_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SOURCE_TEST(test_nothing),
        SOURCE_TEST(test_redis_alone),
        SOURCE_TEST(test_tally_alone),
        SOURCE_TEST(test_both),
        SOURCE_TEST(test_longer_push_interval),
        SOURCE_TEST(test_of_another_tally),
        SOURCE_TEST(test_redis_goes),
        SOURCE_TEST(test_settling),
        SOURCE_TEST(test_about_ourselves),
        SOURCE_TEST(test_the_tally_is_the_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
