/* exporter/serve/own_process.c: each figure about this process follows what this process does, whatever its name is. */
#include "exporter/serve/own_process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MANY = 64 << 20 };

static struct snapshot now;

static int64_t read_again(unsigned gauge)
{
    own_process_read(now.gauges);
    return now.gauges[gauge];
}

static int begin(void **state)
{
    (void)state;
    snapshot_clear(&now);
    return 0;
}

static void test_descriptors(void **state)
{
    (void)state;
    struct rlimit before, limit;
    int64_t open_before = read_again(gauge_process_open_fds);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read_again(gauge_process_open_fds), open_before + 1);
    close(fd);
    assert_int_equal(read_again(gauge_process_open_fds), open_before);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = 123;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(read_again(gauge_process_max_fds), 123);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_memory(void **state)
{
    (void)state;
    int64_t virtual_before = read_again(gauge_process_virtual_memory_bytes);
    int64_t resident_before = now.gauges[gauge_process_resident_memory_bytes];
    assert_true(resident_before > 0 && resident_before <= virtual_before);
    char *memory = mmap(NULL, MANY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_true(read_again(gauge_process_virtual_memory_bytes) >= virtual_before + MANY);
    assert_true(now.gauges[gauge_process_resident_memory_bytes] < resident_before + MANY / 2);
    memset(memory, 1, MANY);
    assert_true(read_again(gauge_process_resident_memory_bytes) >= resident_before + MANY / 2);
    munmap(memory, MANY);
}

/* It began before now and not long ago, and does not move; not even with a name made to confuse. */
static void test_start(void **state)
{
    (void)state;
    int64_t started = read_again(gauge_process_start_time_seconds);
    assert_in_range(started / 1000000, time(NULL) - 3600, time(NULL) + 1);
    assert_int_equal(prctl(PR_SET_NAME, "x) R 1 2 (3 4"), 0);
    assert_int_equal(read_again(gauge_process_start_time_seconds), started);
    snapshot_clear(&now);
    int64_t again = read_again(gauge_process_start_time_seconds);
    assert_in_range(again - started + 100000, 0, 200000);
}

static void test_cpu(void **state)
{
    (void)state;
    int64_t before = read_again(gauge_process_cpu_seconds_total);
    struct timespec used;
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while ((int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000 < before + 20000);
    assert_in_range(read_again(gauge_process_cpu_seconds_total), before + 20000, before + 60 * 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_descriptors, begin),
        cmocka_unit_test_setup(test_memory, begin),
        cmocka_unit_test_setup(test_start, begin),
        cmocka_unit_test_setup(test_cpu, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
