/* conf/lib/settings.c: settings on their way between processes. What is not sealed, not whole or not of this version is refused. */
#include "conf/lib/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What is to fail, once. */
static bool fail_memfd, fail_write, fail_seal, fail_map;

static bool once(bool *fails, int error)
{
    bool now = *fails;
    *fails = false;
    errno = now ? error : errno;
    return now;
}

#define memfd_create(name, flags)    (once(&fail_memfd, EMFILE) ? -1 : memfd_create(name, flags))
#define write(fd, bytes, count)      (once(&fail_write, ENOSPC) ? -1 : write(fd, bytes, count))
#define fcntl(fd, ...)               (once(&fail_seal, EPERM) ? -1 : fcntl(fd, __VA_ARGS__))
#define mmap(a, length, p, f, fd, o) (once(&fail_map, ENOMEM) ? MAP_FAILED : mmap(a, length, p, f, fd, o))
#include "conf/lib/settings.c"
#undef memfd_create
#undef write
#undef fcntl
#undef mmap

#include <cmocka.h> /* last: its fail is not ours */

static struct settings sample(void)
{
    struct settings settings;
    memset(&settings, 0x5a, sizeof settings);
    settings_stamp(&settings);
    return settings;
}

static void test_names(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        bool good;
    } rows[] = {
        {"mx1", 3, true},
        {"A.b_c-9", 7, true},
        {"", 0, false},
        {"a b", 3, false},
        {"a\"b", 3, false},
        {"a\nb", 3, false},
        {"a\0b", 3, false},
        {"\xc3\xa4", 2, false},
        {"a{b}", 4, false},
        {"mx1\"}", 3, true},
        {"0123456789012345678901234567890123456789012345678901234567890123", 64, true},
        {"01234567890123456789012345678901234567890123456789012345678901234", 65, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(settings_is_name(rows[i].text, rows[i].length), rows[i].good);
}

static void test_there_and_back(void **state)
{
    struct settings settings = sample();
    struct failure failure;
    (void)state;
    int fd = settings_seal(&settings, &failure);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    const struct settings *mapped = settings_map(fd, &failure);
    const struct settings *again = settings_map(fd, &failure);
    assert_non_null(mapped);
    assert_non_null(again);
    close(fd);
    assert_memory_equal(mapped, &settings, sizeof settings);
    settings_unmap(again);
    assert_int_equal(mapped->milter_drain, settings.milter_drain);
    settings_unmap(mapped);
}

/* Nobody, the writer least of all, changes what a reader has checked. */
static void test_sealed(void **state)
{
    struct settings settings = sample();
    struct failure failure;
    (void)state;
    int fd = settings_seal(&settings, &failure);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 1 << 20), -1);
    assert_ptr_equal(mmap(NULL, sizeof settings, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    close(fd);
}

/* `before` and `after` stand around the number of the descriptor. */
static void refuse(int fd, const char *before, const char *after)
{
    struct failure failure;
    char expected[128];
    assert_null(settings_map(fd, &failure));
    assert_int_equal(failure.status, EX_PROTOCOL);
    snprintf(expected, sizeof expected, "%s%d%s", before, fd, after);
    assert_string_equal(failure.text, expected);
}

#define NOT_SEALED "descriptor ", " does not hold sealed settings of this version"
#define NOT_OURS   "settings in descriptor ", " are of another version; restart milterscope"

/* A memfd with some bytes and some seals. */
static int memory(const void *bytes, size_t count, int seals)
{
    int fd = memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    assert_int_equal(write(fd, bytes, count), count);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void test_refused(void **state)
{
    static const int too_few[] = {
        0, F_SEAL_SEAL, SEALS & ~F_SEAL_WRITE, SEALS & ~F_SEAL_SHRINK, SEALS & ~F_SEAL_GROW, SEALS & ~F_SEAL_SEAL};
    struct settings settings = sample();
    char longer[sizeof settings + 1] = "";
    int pair[2];
    (void)state;
    for (size_t i = 0; i < sizeof too_few / sizeof too_few[0]; i++) {
        int fd = memory(&settings, sizeof settings, too_few[i]);
        refuse(fd, NOT_SEALED);
        close(fd);
    }
    memcpy(longer, &settings, sizeof settings);
    for (int more = -1; more <= 1; more++) {
        int fd = memory(longer, sizeof settings + (size_t)more, SEALS);
        if (more == 0)
            settings_unmap(settings_map(fd, &(struct failure){EX_OK, ""}));
        else
            refuse(fd, NOT_SEALED);
        close(fd);
    }
    int fd = memory("", 0, SEALS);
    refuse(fd, NOT_SEALED);
    close(fd);
    refuse(fd, NOT_SEALED);
    refuse(-1, NOT_SEALED);
    assert_int_equal(pipe(pair), 0);
    refuse(pair[0], NOT_SEALED);
    close(pair[0]);
    close(pair[1]);
}

static void test_other_versions(void **state)
{
    struct settings settings = sample();
    (void)state;
    settings.version++;
    int fd = memory(&settings, sizeof settings, SEALS);
    refuse(fd, NOT_OURS);
    close(fd);
    settings_stamp(&settings);
    settings.size--;
    fd = memory(&settings, sizeof settings, SEALS);
    refuse(fd, NOT_OURS);
    close(fd);
}

static void test_failures(void **state)
{
    bool *const fails[] = {&fail_memfd, &fail_write, &fail_seal};
    static const int errors[] = {EMFILE, ENOSPC, EPERM};
    struct settings settings = sample();
    struct failure failure;
    char expected[128];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        int next = dup(STDIN_FILENO); /* the descriptor that is free next */
        close(next);
        *fails[i] = true;
        assert_int_equal(settings_seal(&settings, &failure), -1);
        assert_int_equal(failure.status, EX_OSERR);
        snprintf(expected, sizeof expected, "settings cannot be put into memory: %s", strerror(errors[i]));
        assert_string_equal(failure.text, expected);
        assert_int_equal(dup(STDIN_FILENO), next);
        close(next);
    }
    int fd = settings_seal(&settings, &failure);
    fail_map = true;
    assert_null(settings_map(fd, &failure));
    assert_int_equal(failure.status, EX_OSERR);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_other_versions), cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
