/* conf/lib/tally.c: counting, process blocks and heartbeats, attaching, settling. The clock is the test's own. */
#include "tests/unit/tally_form.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms = 1000000;

static int fake_clock(struct timespec *now)
{
    *now = (struct timespec){now_ms / 1000, now_ms % 1000 * 1000000};
    return 0;
}

#define clock_gettime(clock, now) fake_clock(now)
#include "conf/lib/tally.c"
#undef clock_gettime

#include <cmocka.h> /* last: its fail is not ours */

static uint64_t total(const struct tally *tally, unsigned i)
{
    return atomic_load(&tally->totals[i]);
}

/* ---- counting ---- */

/* Every histogram, every bound: the bound itself belongs to its bucket, what is larger to the next one. */
static void test_observe(void **state)
{
    struct tally tally;
    (void)state;
    form_fresh(&tally);
    for (unsigned id = 0; id < metric_COUNT; id++) {
        const struct metric *metric = &catalogue[id];
        if (metric->kind != kind_histogram)
            continue;
        unsigned slots = metric->bounds->count + 2;
        for (unsigned series = 0; series < metric->slots / slots; series++) {
            unsigned first = metric->first + series * slots;
            uint64_t sum = 0;
            for (unsigned i = 0; i < metric->bounds->count; i++) {
                tally_observe(&tally, (enum metric_id)id, series, metric->bounds->values[i]);
                tally_observe(&tally, (enum metric_id)id, series, metric->bounds->values[i] + 1);
                sum += 2 * metric->bounds->values[i] + 1;
            }
            tally_observe(&tally, (enum metric_id)id, series, 0);
            for (unsigned i = 0; i <= metric->bounds->count; i++)
                assert_int_equal(total(&tally, first + i), i == metric->bounds->count ? 1 : 2);
            assert_int_equal(total(&tally, first + slots - 1), sum);
        }
    }
    for (unsigned i = 0; i < total_COUNT; i++)
        assert_true(catalogue_total_metric(i)->kind == kind_histogram || total(&tally, i) == 0);
    form_free(&tally);
}

enum { THREADS = 4, ADDS = 50000 };

static void *add_often(void *context)
{
    const struct tally *tally = context;
    for (unsigned i = 0; i < ADDS; i++) {
        tally_add(tally, SERIES_0(push_total), 3);
        tally_observe(tally, metric_message_recipients, 0, i % 5);
        tally_gauge_add(tally, gauge_sessions_active, 2);
        tally_gauge_add(tally, gauge_sessions_active, -1);
    }
    return NULL;
}

static void test_adds_of_threads(void **state)
{
    pthread_t threads[THREADS];
    struct tally tally;
    (void)state;
    form_fresh(&tally);
    tally_gauge_set(&tally, gauge_sessions_active, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_often, &tally), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    const uint64_t fifth = (uint64_t)THREADS * ADDS / 5;
    const unsigned first = total_message_recipients;
    assert_int_equal(total(&tally, SERIES_0(push_total)), (uint64_t)THREADS * ADDS * 3);
    assert_int_equal(total(&tally, first), 2 * fifth);     /* 0 and 1 */
    assert_int_equal(total(&tally, first + 1), fifth);     /* 2 */
    assert_int_equal(total(&tally, first + 2), 2 * fifth); /* 3 and 4 */
    assert_int_equal(total(&tally, total_message_recipients_LAST), 10 * fifth);
    assert_int_equal(atomic_load(&tally.self->gauges[gauge_sessions_active]), THREADS * ADDS);
    form_free(&tally);
}

/* ---- process blocks ---- */

static int64_t gauge_now(const struct tally *tally, unsigned gauge)
{
    struct snapshot snapshot;
    tally_snapshot(tally, &snapshot);
    return snapshot.gauges[gauge];
}

static void test_blocks(void **state)
{
    struct tally tally;
    (void)state;
    form_fresh(&tally); /* takes block 0 */
    for (int i = 1; i < TALLY_PROCESSES; i++)
        assert_int_equal(tally_process_add(&tally, 100 + i), i);
    assert_int_equal(tally_process_add(&tally, 99), -1);
    tally_use(&tally, 5);
    for (unsigned i = 0; i < gauge_COUNT; i++)
        tally_gauge_set(&tally, i, 7);
    assert_int_equal(gauge_now(&tally, gauge_sessions_active), 7);
    tally_process_remove(&tally, 5);
    tally_process_remove(&tally, -1);
    assert_true(gauge_now(&tally, gauge_sessions_active) == GAUGE_ABSENT);
    now_ms += 250;
    assert_int_equal(tally_process_add(&tally, 98), 5); /* the next process there inherits nothing */
    assert_int_equal(tally_process_heartbeat(&tally, 5), now_ms);
    for (unsigned i = 0; i < gauge_COUNT; i++)
        assert_true(gauge_now(&tally, i) == GAUGE_ABSENT);
    form_free(&tally);
}

/* Behind the gauges, and none of them: a process of another build need not know of it. */
static void test_progress(void **state)
{
    struct tally tally;
    (void)state;
    form_fresh(&tally);
    assert_int_equal(tally_process_add(&tally, 101), 1);
    tally_progress(&tally, 5); /* block 0 */
    assert_int_equal(tally_process_progress(&tally, 0), 5);
    assert_int_equal(tally_process_progress(&tally, 1), 0);
    for (unsigned i = 0; i < gauge_COUNT; i++)
        assert_true(gauge_now(&tally, i) == GAUGE_ABSENT);
    assert_int_equal(atomic_load(&tally_file_block(&tally, 1)->pid), 101);
    tally_process_remove(&tally, 0);
    assert_int_equal(tally_process_add(&tally, 98), 0);
    assert_int_equal(tally_process_progress(&tally, 0), 0);
    form_free(&tally);
}

/* A process whose heart does not beat is as good as dead: what it said last is not shown for ever. */
static void test_heartbeats(void **state)
{
    struct tally tally;
    (void)state;
    form_fresh(&tally);
    tally_gauge_set(&tally, gauge_sessions_active, 3);
    now_ms += TALLY_STALE_MS;
    assert_int_equal(gauge_now(&tally, gauge_sessions_active), 3);
    now_ms += 1;
    assert_true(gauge_now(&tally, gauge_sessions_active) == GAUGE_ABSENT);
    tally_beat(&tally);
    assert_int_equal(gauge_now(&tally, gauge_sessions_active), 3);
    tally_process_set_pid(&tally, 0, 0);
    assert_true(gauge_now(&tally, gauge_sessions_active) == GAUGE_ABSENT);
    form_free(&tally);
}

/* Sessions of several filters are added, of other gauges the largest counts; what one process does not say, the others do. */
static void test_joins(void **state)
{
    static const struct {
        int64_t values[3], sum, max;
    } rows[] = {
        {{GAUGE_ABSENT, GAUGE_ABSENT, GAUGE_ABSENT}, GAUGE_ABSENT, GAUGE_ABSENT},
        {{GAUGE_ABSENT, 0, GAUGE_ABSENT}, 0, 0},
        {{4, GAUGE_ABSENT, 5}, 9, 5},
        {{5, 4, 3}, 12, 5},
        {{-5, -3, -4}, -12, -3},
        {{0, -1, GAUGE_ABSENT}, -1, 0},
    };
    struct tally tally;
    (void)state;
    form_fresh(&tally);
    tally_process_add(&tally, 2);
    tally_process_add(&tally, 3);
    assert_int_equal(catalogue[metric_sessions_active].join, join_sum);
    assert_int_equal(catalogue[metric_filter_up].join, join_max);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        for (int process = 0; process < 3; process++) {
            tally_use(&tally, process);
            tally_gauge_set(&tally, gauge_sessions_active, rows[row].values[process]);
            tally_gauge_set(&tally, gauge_filter_up, rows[row].values[process]);
        }
        assert_true(gauge_now(&tally, gauge_sessions_active) == rows[row].sum);
        assert_true(gauge_now(&tally, gauge_filter_up) == rows[row].max);
    }
    form_free(&tally);
}

/* ---- attaching ---- */

static int memory_file(const void *bytes, size_t count)
{
    int fd = memfd_create("tally", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    return fd;
}

static void test_attach(void **state)
{
    struct tally here, first, second;
    struct failure failure;
    (void)state;
    form_fresh(&here);
    int fd = memory_file(here.header, here.header->bytes);
    assert_true(tally_attach(fd, 0, &first, &failure));
    assert_true(tally_attach(fd, TALLY_PROCESSES - 1, &second, &failure));
    assert_int_equal(second.fd, fd);
    tally_add(&first, SERIES_0(push_total), 5);
    assert_int_equal(total(&second, SERIES_0(push_total)), 5);
    tally_gauge_set(&first, gauge_filter_up, 1);
    assert_int_equal(atomic_load(&second.self->gauges[gauge_filter_up]), 0);
    assert_ptr_equal(second.self, tally_file_process(second.header, TALLY_PROCESSES - 1));
    munmap((void *)first.header, here.header->bytes);
    munmap((void *)second.header, here.header->bytes);
    close(fd);
    form_free(&here);
}

static void refuse(int fd, int process, int status, const char *text)
{
    struct tally tally;
    struct failure failure;
    char expected[256];
    assert_false(tally_attach(fd, process, &tally, &failure));
    snprintf(expected, sizeof expected, "tally in descriptor %d: %s", fd, text);
    assert_string_equal(failure.text, expected);
    assert_int_equal(failure.status, status);
}

static void test_attach_refuses(void **state)
{
    struct tally tally;
    int pair[2];
    (void)state;
    form_fresh(&tally);
    size_t bytes = tally.header->bytes;
    int fd = memory_file(tally.header, bytes);
    refuse(fd, -1, EX_PROTOCOL, "has no such process block");
    refuse(fd, TALLY_PROCESSES, EX_PROTOCOL, "has no such process block");
    assert_int_equal(ftruncate(fd, (off_t)bytes - 1), 0);
    refuse(fd, 0, EX_PROTOCOL, "its header does not fit its size");
    assert_int_equal(ftruncate(fd, sizeof(struct tally_header) - 1), 0);
    refuse(fd, 0, EX_SOFTWARE, "too short");
    assert_int_equal(ftruncate(fd, sizeof(struct tally_header)), 0);
    refuse(fd, 0, EX_PROTOCOL, "its header does not fit its size");
    close(fd);
    refuse(fd, 0, EX_SOFTWARE, strerror(EBADF));
    assert_int_equal(pipe(pair), 0);
    refuse(pair[0], 0, EX_SOFTWARE, "too short");
    close(pair[0]);
    close(pair[1]);

    tally.header->catalogue ^= 1; /* sound, but numbered by another catalogue */
    form_seal(tally.header, true);
    fd = memory_file(tally.header, bytes);
    refuse(fd, 0, EX_PROTOCOL, "made by another version of milterscope; restart milterscope");
    close(fd);
    tally.header->catalogue ^= 1;
    tally.header->process_bytes =
        sizeof(struct tally_process) + gauge_COUNT * sizeof(int64_t); /* no room for progress */
    form_seal(tally.header, true);
    fd = memory_file(tally.header, bytes);
    refuse(fd, 0, EX_PROTOCOL, "made by another version of milterscope; restart milterscope");
    close(fd);
    form_free(&tally);
}

/* ---- settling ---- */

/* A tally begun from a copy in which total i held copied(i), and in which `counted(i)` was counted since. */
static uint64_t copied(unsigned i)
{
    return i % 7 * 1000;
}

static uint64_t counted(unsigned i)
{
    return i % 5;
}

static void begin_settling(struct tally *tally)
{
    form_fresh(tally);
    for (unsigned i = 0; i < total_node; i++) {
        atomic_store(&tally->kept[i], copied(i));
        atomic_store(&tally->totals[i], copied(i) + counted(i));
    }
    atomic_store(&tally->header->state, tally_settling);
}

/* Redis may hold more than the copy did, less, or the same: a total becomes the larger of both, and what was counted since. */
static void test_raise(void **state)
{
    uint64_t known[total_COUNT];
    char before[33], after[33];
    struct tally tally;
    (void)state;
    begin_settling(&tally);
    tally_id_text(&tally, before);
    for (unsigned i = 0; i < total_node; i++)
        known[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? copied(i) : copied(i) + i;
    tally_raise(&tally, known);
    for (unsigned i = 0; i < total_node; i++)
        assert_int_equal(total(&tally, i), (known[i] > copied(i) ? known[i] : copied(i)) + counted(i));
    assert_int_equal(atomic_load(&tally.header->state), tally_running);
    tally_id_text(&tally, after);
    assert_string_equal(before, after);
    form_free(&tally);
}

static void test_reset(void **state)
{
    char before[33], after[33];
    struct tally tally;
    (void)state;
    begin_settling(&tally);
    tally_id_text(&tally, before);
    tally_reset(&tally);
    for (unsigned i = 0; i < total_node; i++)
        assert_int_equal(total(&tally, i), counted(i));
    assert_int_equal(atomic_load(&tally.header->state), tally_running);
    tally_id_text(&tally, after);
    assert_string_not_equal(before, after);
    form_free(&tally);
}

/* The pusher may be killed before it says that it has settled: whoever begins again, with the same or another answer, counts
 * nothing twice. */
static void test_settling_again(void **state)
{
    uint64_t known[total_COUNT];
    (void)state;
    for (int turn = 0; turn < 4; turn++) {
        struct tally tally;
        begin_settling(&tally);
        for (unsigned i = 0; i < total_node; i++)
            known[i] = copied(i) + i;
        if (turn < 2)
            tally_raise(&tally, known);
        else
            tally_reset(&tally);
        atomic_store(&tally.header->state, tally_settling);
        if (turn % 2 == 0)
            tally_raise(&tally, known);
        else
            tally_reset(&tally);
        for (unsigned i = 0; i < total_node; i++)
            assert_int_equal(total(&tally, i), counted(i) + (turn % 2 == 0 ? known[i] : 0));
        form_free(&tally);
    }
}

/* The filter counts while the pusher settles. */
static void test_settling_while_counting(void **state)
{
    uint64_t known[total_COUNT];
    (void)state;
    for (int raise = 0; raise < 2; raise++) {
        pthread_t thread;
        struct tally tally;
        begin_settling(&tally);
        tally_gauge_set(&tally, gauge_sessions_active, 0);
        for (unsigned i = 0; i < total_COUNT; i++)
            known[i] = copied(i) + 100;
        assert_int_equal(pthread_create(&thread, NULL, add_often, &tally), 0);
        if (raise)
            tally_raise(&tally, known);
        else
            tally_reset(&tally);
        pthread_join(thread, NULL);
        unsigned i = SERIES_0(push_total);
        assert_int_equal(total(&tally, i), (raise ? known[i] : 0) + counted(i) + (uint64_t)ADDS * 3);
        form_free(&tally);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_observe),        cmocka_unit_test(test_adds_of_threads),
        cmocka_unit_test(test_blocks),         cmocka_unit_test(test_progress),
        cmocka_unit_test(test_heartbeats),     cmocka_unit_test(test_joins),
        cmocka_unit_test(test_attach),         cmocka_unit_test(test_attach_refuses),
        cmocka_unit_test(test_raise),          cmocka_unit_test(test_reset),
        cmocka_unit_test(test_settling_again), cmocka_unit_test(test_settling_while_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
