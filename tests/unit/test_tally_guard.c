/* conf/lib/tally_guard.c: a tally whose file is cut or overwritten while it is counted in. What is guarded stays so: that is tried in a
 * process of its own each, whose exit status says how it ended. */
#include "tests/unit/tally_places.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Runs `body` in a child; returns what it returned, or 1000 and the signal that ended it. */
static int in_child(int (*body)(struct made *made), struct made *made)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        _exit(body(made));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int cut_to(struct made *made, off_t length)
{
    return ftruncate(made->tally.fd, length);
}

static int count_in_cut_file(struct made *made)
{
    struct failure failure;
    const struct tally *tally = &made->tally;
    uint64_t catalogue_before = tally->header->catalogue;
    size_t bytes = tally->header->bytes;
    if (!tally_guard(tally, &failure) || tally_is_cut(tally))
        return 1;
    tally_add(tally, total_COUNT - 1, 5);
    if (cut_to(made, 0) != 0 || !tally_is_cut(tally))
        return 2;
    tally_add(tally, total_COUNT - 1, 1);
    tally_add(tally, 0, 1);
    tally_gauge_set(tally, gauge_sessions_active, 3);
    tally_beat(tally);
    for (unsigned i = 0; i < total_COUNT; i++)
        tally_add(tally, i, 1);
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++) /* every page is touched */
        sum += ((const unsigned char *)tally->header)[i];
    if (sum == 0)
        return 3;
    /* Counting goes on in memory of our own; the header is as it was. */
    return tally->header->catalogue != catalogue_before || atomic_load(&tally->totals[0]) != 2 ? 4 : 0;
}

static void test_cut(void **state)
{
    struct made *made = *state;
    make(made);
    tally_use(&made->tally, tally_process_add(&made->tally, 1));
    assert_int_equal(in_child(count_in_cut_file, made), 0);
    made->tally.header = NULL; /* nothing is left of it here */
}

static int count_beyond_a_cut(struct made *made)
{
    struct failure failure;
    const struct tally *tally = &made->tally;
    long page = sysconf(_SC_PAGESIZE);
    long pages = (long)tally->header->totals_at / page + 1;
    if (!tally_guard(tally, &failure) || cut_to(made, pages * page) != 0)
        return 1;
    tally_add(tally, 0, 1);
    tally_gauge_set(tally, gauge_COUNT - 1, 3);
    return tally_is_cut(tally) && atomic_load(&tally->totals[0]) == 8 ? 0 : 2;
}

/* What lies before the cut is shared still. */
static void test_partly_cut(void **state)
{
    struct made *made = *state;
    make(made);
    tally_use(&made->tally, tally_process_add(&made->tally, 1));
    tally_add(&made->tally, 0, 7);
    assert_int_equal(in_child(count_beyond_a_cut, made), 0);
    assert_int_equal(total_of(made, 0), 8);
}

static bool is_overwritten(const struct tally *tally)
{
    const char *harm = tally_harm(tally);
    return harm != NULL && strcmp(harm, "was overwritten") == 0;
}

/* Whatever is there instead, nothing is read by it. */
static void test_overwritten(void **state)
{
    struct made *made = *state;
    make(made);
    const struct tally *tally = &made->tally;
    tally_use(&made->tally, tally_process_add(tally, 1));
    assert_null(tally_harm(tally));
    uint64_t at = tally->header->processes_at;
    tally->header->processes_at = UINT64_C(1) << 40;
    assert_true(is_overwritten(tally));
    tally_beat(tally);
    assert_int_not_equal(tally_process_heartbeat(tally, 0), 0);
    assert_int_equal(tally_process_add(tally, 2), 1);
    tally->header->processes_at = at;
    assert_null(tally_harm(tally));
    _Atomic uint64_t *const totals[] = {tally->totals, tally->totals + total_COUNT - 1, tally->kept};
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        atomic_store(totals[i], UINT64_C(1) << 62);
        assert_true(is_overwritten(tally));
        atomic_store(totals[i], (UINT64_C(1) << 62) - 1);
        assert_null(tally_harm(tally));
    }
    tally_process_set_pid(tally, TALLY_PROCESSES - 1, -5);
    assert_true(is_overwritten(tally));
    tally_process_set_pid(tally, TALLY_PROCESSES - 1, 1 << 22);
    assert_null(tally_harm(tally));
}

static int touch_another_mapping(struct made *made)
{
    struct failure failure;
    int fd = memfd_create("other", MFD_CLOEXEC);
    if (!tally_guard(&made->tally, &failure) || ftruncate(fd, 4096) != 0)
        return 1;
    volatile char *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ftruncate(fd, 0) != 0)
        return 2;
    other[0] = 'x';
    return 3;
}

static int touch_guarded_mapping(struct made *made)
{
    struct failure failure;
    int fd = memfd_create("other", MFD_CLOEXEC);
    if (!tally_guard(&made->tally, &failure) || ftruncate(fd, 1000) != 0)
        return 1;
    volatile char *other = mmap(NULL, 1000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    tally_guard_also((void *)(uintptr_t)other, 1000);
    other[0] = 'x';
    if (ftruncate(fd, 0) != 0 || other[0] != '\0')
        return 2;
    other[999] = 'x';
    /* And the tally is guarded as before. */
    uint64_t before = made->tally.header->catalogue;
    return cut_to(made, 0) != 0 || other[999] != 'x' || made->tally.header->catalogue != before ? 3 : 0;
}

/* One more file can be told of. */
static void test_another(void **state)
{
    struct made *made = *state;
    make(made);
    assert_int_equal(in_child(touch_guarded_mapping, made), 0);
    made->tally.header = NULL;
}

/* A fault anywhere else is a fault. */
static void test_not_ours(void **state)
{
    struct made *made = *state;
    make(made);
    assert_int_equal(in_child(touch_another_mapping, made), 1000 + SIGBUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {PLACES_TEST(test_cut), PLACES_TEST(test_partly_cut),
                                       PLACES_TEST(test_overwritten), PLACES_TEST(test_another),
                                       PLACES_TEST(test_not_ours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
