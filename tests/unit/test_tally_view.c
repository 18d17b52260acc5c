/* conf/lib/tally_view.c: reading a tally of any build while others write to it, and while somebody cuts or replaces its file. */
#include "tests/unit/tally_places.h"

#include <pthread.h>

static struct tally_view *look(const struct made *made)
{
    struct failure failure;
    struct tally_view *view = tally_view_open(made->run, &failure);
    if (view == NULL)
        fail_msg("%s", failure.text);
    return view;
}

static void refuse(const char *directory, int status, const char *text)
{
    struct failure failure;
    assert_null(tally_view_open(directory, &failure));
    assert_int_equal(failure.status, status);
    char expected[PATH_MAX];
    snprintf(expected, sizeof expected, "%s: %s", path_in(directory), text);
    assert_string_equal(failure.text, expected);
}

static void test_nothing_to_read(void **state)
{
    struct made *made = *state;
    refuse(made->run, EX_NOINPUT, "No such file or directory");
    refuse("/nonexistent", EX_NOINPUT, "No such file or directory");
    put_file(made->run, "", 0);
    refuse(made->run, EX_DATAERR, "too short for a tally");
    put_file(made->run, made, sizeof *made);
    refuse(made->run, EX_DATAERR, "not a tally");
    assert_int_equal(unlink(path_in(made->run)), 0);
    assert_int_equal(mkdir(path_in(made->run), 0700), 0);
    refuse(made->run, EX_DATAERR, "cannot be read");
    assert_int_equal(rmdir(path_in(made->run)), 0);
}

static void test_not_allowed(void **state)
{
    struct made *made = *state;
    uid_t user = geteuid();
    make(made);
    assert_int_equal(chmod(path_in(made->run), 0), 0);
    if (user == 0 && seteuid(65534) != 0)
        skip(); /* root may read everything */
    refuse(made->run, EX_NOPERM, "Permission denied");
    assert_int_equal(seteuid(user), 0);
}

static void test_own_build(void **state)
{
    struct made *made = *state;
    struct snapshot seen, expected;
    char id[33], viewed[33];
    make(made);
    struct tally_view *view = look(made);
    assert_false(tally_view_alive(view));
    tally_use(&made->tally, tally_process_add(&made->tally, 1));
    for (unsigned i = 0; i < total_node; i++)
        tally_add(&made->tally, i, 1 + i * i);
    for (unsigned i = 0; i < gauge_COUNT; i += 2)
        tally_gauge_set(&made->tally, i, -(int64_t)i);
    assert_true(tally_view_read(view, &seen));
    tally_snapshot(&made->tally, &expected);
    assert_true(seen.has_totals);
    assert_memory_equal(seen.totals, expected.totals, total_node * sizeof seen.totals[0]);
    assert_memory_equal(seen.gauges, expected.gauges, sizeof seen.gauges);
    assert_int_equal(seen.gauges[2], -2);
    assert_true(seen.gauges[1] == GAUGE_ABSENT);
    assert_true(tally_view_alive(view));
    tally_id_text(&made->tally, id);
    tally_view_id(view, viewed);
    assert_string_equal(id, viewed);
    assert_string_equal(tally_view_boot_id(view), made->tally.header->boot_id);
    tally_view_close(view);
}

/* A heartbeat that stopped, or a process that was taken out: nobody is alive. */
static void test_dead(void **state)
{
    struct made *made = *state;
    struct snapshot snapshot;
    make(made);
    int process = tally_process_add(&made->tally, 1);
    tally_use(&made->tally, process);
    tally_gauge_set(&made->tally, gauge_sessions_active, 3);
    struct tally_view *view = look(made);
    assert_true(tally_view_alive(view));
    atomic_store(&made->tally.self->heartbeat_ms, tally_clock_ms() - TALLY_STALE_MS - 1);
    assert_false(tally_view_alive(view));
    assert_true(tally_view_read(view, &snapshot));
    assert_true(snapshot.gauges[gauge_sessions_active] == GAUGE_ABSENT);
    tally_beat(&made->tally);
    assert_true(tally_view_alive(view));
    tally_process_remove(&made->tally, process);
    assert_false(tally_view_alive(view));
    tally_view_close(view);
}

/* Series of another build are found by their names; what this build does not know is told apart, what that one did not know is 0. */
static void test_other_build(void **state)
{
    struct made *made = *state;
    struct snapshot snapshot;
    char first[SERIES_TEXT_MAX], last[SERIES_TEXT_MAX], up[SERIES_TEXT_MAX];
    catalogue_total_text(total_node - 1, last);
    catalogue_total_text(0, first);
    catalogue_gauge_text(gauge_filter_up, up);
    const struct form_series totals[] = {{last, 7}, {"unknown_total", 8}, {first, 9}};
    const char *const gauges[] = {"unknown", "milterscope_sessions_active", up};
    struct tally_header *other = form_make(totals, 3, gauges, 3);
    for (unsigned process = 2; process < 6; process += 3) {
        struct tally_process *block = tally_file_process(other, process);
        atomic_store(&block->pid, 77);
        atomic_store(&block->heartbeat_ms, tally_clock_ms());
        for (int i = 0; i < 3; i++)
            atomic_store(&block->gauges[i], 10 + i + (int)process);
    }
    put_file(made->run, other, other->bytes);
    free((void *)other);
    struct tally_view *view = look(made);
    assert_true(tally_view_read(view, &snapshot));
    assert_int_equal(snapshot.totals[0], 9);
    assert_int_equal(snapshot.totals[total_node - 1], 7);
    for (unsigned i = 1; i < total_node - 1; i++)
        assert_int_equal(snapshot.totals[i], 0);
    assert_int_equal(snapshot.gauges[gauge_sessions_active], 13 + 16);
    assert_int_equal(snapshot.gauges[gauge_filter_up], 17);
    for (unsigned i = 0; i < gauge_COUNT; i++)
        assert_true(i == gauge_sessions_active || i == gauge_filter_up || snapshot.gauges[i] == GAUGE_ABSENT);
    assert_true(tally_view_alive(view));
    tally_view_close(view);
}

/* What may be shown: the kept part; all while the tally is ahead; and then all that was shown until then. */
static void test_kept(void **state)
{
    struct made *made = *state;
    struct snapshot snapshot;
    uint64_t kept[total_COUNT] = {0};
    const unsigned total = SERIES_0(push_total);
    make(made);
    struct tally_view *view = look(made);
    const struct {
        uint64_t kept, more;
        void (*change)(const struct tally *);
        uint64_t shown;
    } steps[] = {
        {0, 5, NULL, 0},           {3, 0, NULL, 3},   {2, 0, NULL, 3},
        {3, 0, tally_go_ahead, 5}, {3, 2, NULL, 7},   {3, 1, tally_end_ahead, 8},
        {7, 4, NULL, 8},           {12, 0, NULL, 12},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        tally_add(&made->tally, total, steps[i].more);
        kept[total] = steps[i].kept;
        tally_keep(&made->tally, kept);
        if (steps[i].change != NULL)
            steps[i].change(&made->tally);
        assert_true(tally_view_read_kept(view, &snapshot));
        assert_int_equal(snapshot.totals[total], steps[i].shown);
        assert_true(tally_view_read(view, &snapshot));
        assert_int_equal(snapshot.totals[total], total_of(made, total));
    }
    tally_add(&made->tally, total, 1);
    tally_keep_all(&made->tally);
    assert_true(tally_view_read_kept(view, &snapshot));
    assert_int_equal(snapshot.totals[total], 13);
    atomic_store(&made->tally.header->state, tally_settling);
    tally_add(&made->tally, total, 1);
    tally_keep_all(&made->tally); /* while settling they stand for the copy */
    assert_int_equal(atomic_load(&made->tally.kept[total]), 13);
    tally_view_close(view);
}

/* Nothing was kept for long: no pusher lives long enough. As long as somebody counts, everything is shown. */
static void test_left_alone(void **state)
{
    struct made *made = *state;
    struct snapshot snapshot;
    make(made);
    tally_use(&made->tally, tally_process_add(&made->tally, 1));
    tally_add(&made->tally, SERIES_0(push_total), 5);
    struct tally_view *view = look(made);
    const struct {
        int64_t kept_before_ms, beat_before_ms;
        uint64_t shown;
    } rows[] = {{TALLY_ALONE_MS - 5000, 0, 0}, {TALLY_ALONE_MS + 1, 0, 5}, {TALLY_ALONE_MS + 1, TALLY_STALE_MS + 1, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        atomic_store(&made->tally.header->kept_ms, tally_clock_ms() - rows[i].kept_before_ms);
        atomic_store(&made->tally.self->heartbeat_ms, tally_clock_ms() - rows[i].beat_before_ms);
        assert_true(tally_view_read_kept(view, &snapshot));
        assert_int_equal(snapshot.totals[SERIES_0(push_total)], rows[i].shown);
    }
    tally_view_close(view);
}

/* A copy is for those who find no tally: it has totals to be shown after a clean stop only. */
static void test_copy(void **state)
{
    static const struct {
        bool clean, earlier, anonymous;
        int totals; /* -1: it tells nothing */
    } rows[] = {{true, false, false, 1},
                {true, true, true, 1},
                {false, true, false, 0},
                {false, false, false, 0},
                {false, false, true, -1}};
    struct made *made = *state;
    struct snapshot snapshot;
    struct failure failure;
    make(made);
    assert_null(tally_view_open_copy(made->state, &failure));
    assert_int_equal(failure.status, EX_NOINPUT);
    tally_add(&made->tally, SERIES_0(push_total), 5);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = rows[i].clean}, &failure));
        struct tally_header *copy = load_copy(made);
        if (rows[i].earlier)
            memcpy(copy->boot_id, "00000000-0000-4000-8000-000000000000", 37);
        copy->anonymous = rows[i].anonymous;
        form_seal(copy, true);
        put_file(made->state, copy, copy->bytes);
        struct tally_view *view = tally_view_open_copy(made->state, &failure);
        assert_int_equal(view == NULL, rows[i].totals < 0);
        if (view == NULL) {
            assert_int_equal(failure.status, EX_NOINPUT);
            continue;
        }
        assert_int_equal(truncate(path_in(made->state), 0), 0); /* no reader goes to the disk for it again */
        assert_true(tally_view_read_kept(view, &snapshot));
        assert_int_equal(snapshot.has_totals, rows[i].totals);
        assert_int_equal(snapshot.totals[SERIES_0(push_total)], 5);
        assert_true(tally_view_read(view, &snapshot)); /* for --dump */
        assert_true(snapshot.has_totals);
        assert_false(tally_view_alive(view));
        tally_view_close(view);
    }
    struct tally_header *copy = load_copy(made);
    copy->copy_checksum++;
    put_file(made->state, copy, copy->bytes);
    assert_null(tally_view_open_copy(made->state, &failure));
    assert_int_equal(failure.status, EX_DATAERR);
    assert_non_null(strstr(failure.text, "checksum"));
}

static void test_settling(void **state)
{
    struct made *made = *state;
    struct snapshot snapshot;
    char before[33], after[33];
    make(made);
    struct tally_view *view = look(made);
    tally_view_id(view, before);
    atomic_store(&made->tally.header->state, tally_settling);
    assert_true(tally_view_read(view, &snapshot));
    assert_false(snapshot.has_totals);
    tally_reset(&made->tally);
    assert_true(tally_view_read(view, &snapshot));
    assert_true(snapshot.has_totals);
    tally_view_id(view, after); /* the id of now, not of when it was opened */
    assert_string_not_equal(before, after);
    tally_view_close(view);
}

static void test_replaced(void **state)
{
    struct made *made = *state;
    make(made);
    struct tally_view *view = look(made);
    assert_false(tally_view_outdated(view, made->run));
    make(made);
    assert_true(tally_view_outdated(view, made->run));
    tally_view_close(view);
    view = look(made);
    assert_false(tally_view_outdated(view, made->run));
    assert_int_equal(unlink(path_in(made->run)), 0);
    assert_true(tally_view_outdated(view, made->run));
    tally_view_close(view);
}

static void never(void *context, const char *name, uint64_t value)
{
    (void)context;
    fail_msg("%s %llu", name, (unsigned long long)value);
}

/* A file that is cut, or overwritten, while it is read: an error and not a signal. */
static void expect_unreadable(const struct tally_view *view, const char *id)
{
    struct snapshot snapshot;
    char text[33];
    assert_false(tally_view_read(view, &snapshot));
    assert_false(snapshot.has_totals);
    for (unsigned i = 0; i < gauge_COUNT; i++)
        assert_true(snapshot.gauges[i] == GAUGE_ABSENT);
    assert_false(tally_view_alive(view));
    tally_view_unknown(view, never, NULL);
    tally_view_id(view, text);
    assert_string_equal(text, id);
}

static void test_cut(void **state)
{
    struct made *made = *state;
    const struct form_series totals[] = {{"unknown_total", 8}, {"another_total", 9}};
    struct tally_header *other = form_make(totals, 2, NULL, 0);
    other->copy_checksum = 0; /* it is no copy */
    const uint64_t lengths[] = {
        other->names_at - 1, other->processes_at, other->totals_at + 3, sizeof *other - 1, 1, 0};
    put_file(made->run, other, other->bytes);
    struct tally_view *view = look(made);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_equal(truncate(path_in(made->run), (off_t)lengths[i]), 0);
        expect_unreadable(view, "0123456789abcdeffedcba9876543210");
    }
    free((void *)other);
    tally_view_close(view);
}

/* Any of the fields by which a reader finds its way, changed in place. */
static void test_overwritten(void **state)
{
    struct made *made = *state;
    const struct form_series totals[] = {{"unknown_total", 8}, {"another_total", 9}};
    struct tally_header *other = form_make(totals, 2, NULL, 0);
    other->copy_checksum = 0; /* it is no copy */
    put_file(made->run, other, other->bytes);
    struct tally_view *view = look(made);
    int fd = open(path_in(made->run), O_WRONLY);
    assert_true(fd >= 0);
    for (size_t at = 0; at < offsetof(struct tally_header, id); at += 4) {
        struct tally_header *changed = malloc(other->bytes);
        memcpy((void *)changed, other, other->bytes);
        ((unsigned char *)changed)[at + 3] ^= 0x40;
        assert_int_equal(pwrite(fd, changed, other->bytes, 0), other->bytes);
        expect_unreadable(view, "0123456789abcdeffedcba9876543210");
        free((void *)changed);
    }
    close(fd);
    free((void *)other);
    tally_view_close(view);
}

enum { ROUNDS = 100000 };

static void *write_on(void *context)
{
    const struct tally *tally = context;
    for (int64_t i = 1; i <= ROUNDS; i++) {
        tally_add(tally, SERIES_0(push_total), 1);
        tally_gauge_set(tally, gauge_sessions_active, i);
    }
    return NULL;
}

/* A reader sees numbers that were written, and none go back. */
static void test_read_while_written(void **state)
{
    struct made *made = *state;
    struct snapshot snapshot;
    pthread_t thread;
    uint64_t before = 0;
    int64_t gauge = 0;
    make(made);
    tally_use(&made->tally, tally_process_add(&made->tally, 1));
    tally_gauge_set(&made->tally, gauge_sessions_active, 0);
    struct tally_view *view = look(made);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &made->tally), 0);
    while (before < ROUNDS) {
        assert_true(tally_view_read(view, &snapshot));
        assert_true(snapshot.totals[SERIES_0(push_total)] >= before);
        assert_true(snapshot.gauges[gauge_sessions_active] >= gauge);
        assert_true(snapshot.gauges[gauge_sessions_active] <= ROUNDS);
        before = snapshot.totals[SERIES_0(push_total)];
        gauge = snapshot.gauges[gauge_sessions_active];
        tally_snapshot(&made->tally, &snapshot);
        assert_true(snapshot.totals[SERIES_0(push_total)] >= before);
    }
    pthread_join(thread, NULL);
    assert_int_equal(before, ROUNDS);
    tally_view_close(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACES_TEST(test_nothing_to_read),
        PLACES_TEST(test_not_allowed),
        PLACES_TEST(test_own_build),
        PLACES_TEST(test_dead),
        PLACES_TEST(test_other_build),
        PLACES_TEST(test_kept),
        PLACES_TEST(test_copy),
        PLACES_TEST(test_left_alone),
        PLACES_TEST(test_settling),
        PLACES_TEST(test_replaced),
        PLACES_TEST(test_cut),
        PLACES_TEST(test_overwritten),
        PLACES_TEST(test_read_while_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
