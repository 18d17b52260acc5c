/* conf/lib/mta_checks.c: the file of the checks, made by one process, written by another, and harmed. */
#include <sys/vfs.h>

static _Bool on_disk;

static inline int fake_fstatfs(int fd, struct statfs *place)
{
    (void)fd;
    place->f_type = on_disk ? 0xef53 : 0x01021994; /* ext4, tmpfs */
    return 0;
}

#define fstatfs(fd, place) fake_fstatfs(fd, place)
#include "conf/lib/mta_checks.c"
#undef fstatfs

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h> /* last: its fail is not ours */

static char folder[] = "/tmp/milterscope-checks-XXXXXX";
static char file[sizeof folder + sizeof "/" MTA_CHECKS_FILE];
static struct failure failure;

static int begin(void **state)
{
    (void)state;
    on_disk = false;
    return unlink(file) != 0 && errno != ENOENT;
}

static int make(void)
{
    int fd = mta_checks_make(folder, &failure);
    assert_true(fd >= 0);
    return fd;
}

static struct stat status_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status;
}

static void test_made(void **state)
{
    (void)state;
    mode_t mask = umask(077);
    int fd = make();
    umask(mask);
    struct stat status = status_of(file);
    assert_int_equal(status.st_mode, S_IFREG | 0660);
    assert_int_equal(status.st_size, sizeof(struct mta_checks));
    close(fd);
    assert_int_equal(chmod(file, 0600), 0);
    close(make()); /* that of the supervisor before: whoever has it open goes on with it */
    assert_int_equal(status_of(file).st_ino, status.st_ino);
    assert_int_equal(status_of(file).st_mode, S_IFREG | 0660);
}

/* What is not ours is put away, and not followed. */
static void test_made_instead(void **state)
{
    char other[sizeof file + 8];
    (void)state;
    snprintf(other, sizeof other, "%s.other", file);
    int fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(symlink(other, file), 0);
    close(make());
    assert_true(S_ISREG(status_of(file).st_mode));
    assert_int_equal(unlink(file) | link(other, file), 0);
    close(make());
    assert_int_equal(status_of(file).st_nlink, 1);
    assert_int_equal(status_of(other).st_size, 0);
    assert_int_equal(status_of(other).st_mode & 0777, 0600);
    assert_int_equal(unlink(file) | mkfifo(file, 0600), 0);
    close(make());
    assert_true(S_ISREG(status_of(file).st_mode));
    close(fd);
    unlink(other);
}

static void test_cannot_be_made(void **state)
{
    (void)state;
    on_disk = true;
    assert_int_equal(mta_checks_make(folder, &failure), -1);
    assert_non_null(strstr(failure.text, "not on tmpfs"));
    assert_int_equal(access(file, F_OK), -1);
    on_disk = false;
    assert_int_equal(mta_checks_make("/nonexistent", &failure), -1);
    assert_int_equal(failure.status, EX_CANTCREAT);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_int_equal(mta_checks_make(folder, &failure), -1);
    rmdir(file);
}

static void test_opened(void **state)
{
    (void)state;
    assert_int_equal(mta_checks_open(folder, &failure), -1);
    assert_int_equal(failure.status, EX_NOINPUT);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_int_equal(mta_checks_open(folder, &failure), -1);
    assert_int_equal(failure.status, EX_NOPERM);
    assert_int_equal(unlink(file) | symlink("/etc/passwd", file), 0);
    assert_int_equal(mta_checks_open(folder, &failure), -1);
    assert_int_equal(failure.status, EX_NOPERM);
}

static void test_told_and_seen(void **state)
{
    const uint8_t address[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const unsigned last = LISTENERS_MAX - 1;
    char version[MTA_CHECKS_VERSION_BYTES];
    (void)state;
    int supervisors = make(), fd = mta_checks_open(folder, &failure);
    struct mta_checks *filters = mmap(NULL, sizeof *filters, PROT_READ | PROT_WRITE, MAP_SHARED, supervisors, 0);
    assert_true(fd >= 0 && filters != MAP_FAILED);
    uint64_t mark = mta_checks_tell(fd, last, address, 40000);
    assert_int_equal(mark & UINT16_MAX, 40000);
    assert_true(tally_clock_ms() - (int64_t)(mark >> 16) < 10 * 1000);
    struct mta_check *check = &filters->list[last];
    assert_int_equal(check->mark, mark);
    assert_memory_equal((const void *)(uintptr_t)check->address, address, sizeof address);
    assert_int_equal(mta_checks_seen(fd, last, mark, version), 0);
    memset((void *)(uintptr_t)check->version, 'x', MTA_CHECKS_VERSION_BYTES); /* without an end */
    check->seen = mark;
    assert_int_equal(mta_checks_seen(fd, last, mark, version), 1);
    assert_int_equal(strlen(version), MTA_CHECKS_VERSION_BYTES - 1);
    assert_int_equal(mta_checks_seen(fd, last, mark + 1, version), -1); /* somebody else's check */
    assert_string_equal(version, "");
    mta_checks_end(fd, last);
    assert_int_equal(check->mark | check->seen, 0);

    assert_int_equal(mta_checks_tell(fd, LISTENERS_MAX, address, 1), 0);
    assert_int_equal(mta_checks_tell(-1, 0, address, 1), 0);
    assert_int_equal(mta_checks_seen(fd, LISTENERS_MAX, mark, version), -1);
    assert_int_equal(mta_checks_seen(fd, 0, 0, version), -1);
    munmap(filters, sizeof *filters);
    close(fd);
    close(supervisors);
}

/* It does not grow again by our hand, and nothing is known. */
static void test_cut(void **state)
{
    const uint8_t address[16] = {0};
    char version[MTA_CHECKS_VERSION_BYTES];
    (void)state;
    close(make());
    int fd = mta_checks_open(folder, &failure);
    uint64_t mark = mta_checks_tell(fd, 0, address, 40000);
    assert_int_not_equal(mark, 0);
    assert_int_equal(truncate(file, 10), 0);
    assert_int_equal(mta_checks_seen(fd, 0, mark, version), -1);
    assert_int_equal(mta_checks_tell(fd, 0, address, 40000), 0);
    mta_checks_end(fd, 0);
    assert_int_equal(status_of(file).st_size, 10);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_made, begin),           cmocka_unit_test_setup(test_made_instead, begin),
        cmocka_unit_test_setup(test_cannot_be_made, begin), cmocka_unit_test_setup(test_opened, begin),
        cmocka_unit_test_setup(test_told_and_seen, begin),  cmocka_unit_test_setup(test_cut, begin),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(file, sizeof file, "%s/%s", folder, MTA_CHECKS_FILE);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    return rmdir(folder) != 0 || failed != 0;
}
