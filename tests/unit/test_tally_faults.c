/* conf/lib/tally_make.c where the machine is not as it should be: no tmpfs, no space, no memory, a disk that fails; and copies that are made
 * while others count. */
#include "tests/unit/tally_places.h"

#include <pthread.h>

/* ---- no tmpfs, no space, no memory ---- */

/* The filter never maps a file on a disk: it is made on /dev/shm, and found through a link. */
static void test_run_directory_on_disk(void **state)
{
    struct made *made = *state;
    struct failure failure;
    struct stat link, target;
    char where[PATH_MAX] = "";
    const char *folder = shm_folder(made);
    faults.run_on_disk = true;
    for (uint64_t turn = 0; turn < 3; turn++) {
        make(made);
        assert_string_equal(made->warning.text, "");
        assert_true(made->persistent);
        assert_int_equal(lstat(path_in(made->run), &link), 0);
        assert_true(S_ISLNK(link.st_mode));
        assert_true(readlink(path_in(made->run), where, sizeof where - 1) > 0);
        assert_string_equal(where, path_in(folder));
        assert_int_equal(stat(folder, &target), 0);
        assert_int_equal(target.st_mode, S_IFDIR | 0750);
        assert_int_equal(total_of(made, SERIES_0(push_total)), turn);
        tally_add(&made->tally, SERIES_0(push_total), 1);
        struct tally_view *view = tally_view_open(made->run, &failure);
        assert_non_null(view);
        assert_false(tally_view_outdated(view, made->run));
        tally_view_close(view);
    }
    assert_int_equal(unlink(path_in(folder)), 0); /* the machine starts again: /dev/shm is empty, the link is not */
    make(made);
    assert_string_equal(made->warning.text, "");
    assert_int_equal(total_of(made, SERIES_0(push_total)), 0);
}

static void expect_anonymous(struct made *made, const char *warning)
{
    make(made);
    assert_false(made->persistent);
    assert_string_equal(made->warning.text, warning);
    struct tally child;
    assert_true(tally_attach(made->tally.fd, 0, &child, &made->failure));
    tally_add(&child, SERIES_0(push_total), 1);
    assert_int_equal(total_of(made, SERIES_0(push_total)), atomic_load(&child.totals[SERIES_0(push_total)]));
    munmap((void *)child.header, child.header->bytes);
}

/* Anybody may make a folder on /dev/shm; one that others can write to, or that is none, is not used. */
static void test_folder_of_others(void **state)
{
    struct made *made = *state;
    char warning[256];
    const char *folder = shm_folder(made);
    faults.run_on_disk = true;
    snprintf(warning, sizeof warning,
             "run_directory %s is not on tmpfs, and no folder of our own is to be had on /dev/shm", made->run);
    assert_int_equal(mkdir(folder, 0750), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    expect_anonymous(made, warning);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(symlink(made->state, folder), 0);
    expect_anonymous(made, warning);
    assert_int_equal(unlink(folder), 0);
    assert_int_equal(files_in(made->run), 0);
}

static void test_no_tmpfs_at_all(void **state)
{
    struct made *made = *state;
    char warning[256];
    faults.run_on_disk = faults.no_dev_shm = true;
    snprintf(warning, sizeof warning,
             "run_directory %s is not on tmpfs, and no folder of our own is to be had on /dev/shm", made->run);
    expect_anonymous(made, warning);
    assert_int_equal(files_in(made->run), 0);
}

/* Where the file cannot be made beside the one before, it is made in its place. */
static void test_space_for_one(void **state)
{
    struct made *made = *state;
    int *const times[] = {&faults.posix_fallocate, &faults.mmap, &faults.rename};
    make(made);
    tally_add(&made->tally, SERIES_0(push_total), 41);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        *times[i] = 1;
        make(made);
        assert_true(made->persistent);
        assert_string_equal(made->warning.text, "");
        assert_int_equal(*times[i], 0);
        assert_int_equal(total_of(made, SERIES_0(push_total)), 41);
        assert_int_equal(files_in(made->run), 1);
    }
}

/* Where it cannot be made at all the totals of the run before go on in anonymous memory, and its file must not be taken for them later. */
static void test_no_space(void **state)
{
    struct made *made = *state;
    char warning[512];
    int *const times[] = {&faults.posix_fallocate, &faults.mmap, &faults.rename};
    snprintf(warning, sizeof warning, "%s cannot be made: %s", path_in(made->run), strerror(ENOSPC));
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        make(made);
        tally_add(&made->tally, SERIES_0(push_total), 41);
        *times[i] = 2;
        expect_anonymous(made, warning);
        assert_int_equal(*times[i], 0);
        assert_int_equal(total_of(made, SERIES_0(push_total)), 42);
        assert_int_equal(files_in(made->run), 0);
    }
}

static void test_nothing_possible(void **state)
{
    struct made *made = *state;
    int *const times[] = {&faults.posix_fallocate, &faults.mmap};
    faults.error = ENOMEM;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        *times[i] = 2;
        assert_false(try_make(made));
        assert_int_equal(made->failure.status, EX_OSERR);
        assert_string_equal(made->failure.text, "no memory for the tally: Cannot allocate memory");
    }
    faults.posix_fallocate = 1;
    faults.memfd_create = 1;
    assert_false(try_make(made));
    assert_string_equal(made->failure.text, "no memory for the tally: Cannot allocate memory");
}

static void test_run_directory_missing(void **state)
{
    struct made *made = *state;
    char warning[512];
    assert_int_equal(rmdir(made->run), 0);
    snprintf(warning, sizeof warning,
             "run_directory %s is not on tmpfs, and no folder of our own is to be had on /dev/shm", made->run);
    expect_anonymous(made, warning);
}

/* What is in the way and no file is left where it is. */
static void test_folder_in_the_way(void **state)
{
    struct made *made = *state;
    char warning[1024];
    assert_int_equal(mkdir(path_in(made->run), 0700), 0);
    snprintf(warning, sizeof warning, "%s: %s; %s cannot be made: %s", path_in(made->run), strerror(EINVAL),
             path_in(made->run), strerror(EISDIR));
    expect_anonymous(made, warning);
    assert_int_equal(rmdir(path_in(made->run)), 0);
}

static void test_cannot_move_aside(void **state)
{
    struct made *made = *state;
    char warning[512];
    faults.error = EACCES;
    put_file(made->run, "garbage", 7);
    faults.rename = 1;
    make(made); /* the new tally replaces it */
    assert_true(made->persistent);
    snprintf(warning, sizeof warning, "%s: too short for a tally, and it cannot be moved aside: Permission denied",
             path_in(made->run));
    assert_string_equal(made->warning.text, warning);
}

/* Many sentences and no overflow. */
static void test_long_warning(void **state)
{
    struct made *made = *state;
    struct failure warning = {.text = ""};
    (void)made;
    for (int i = 0; i < 100; i++)
        warn(&warning, "%s is wrong", made->run);
    assert_int_equal(strlen(warning.text), sizeof warning.text - 1);
}

/* ---- copies ---- */

static void test_copy(void **state)
{
    struct made *made = *state;
    struct stat status;
    make(made);
    for (unsigned i = 0; i < total_node; i++)
        tally_add(&made->tally, i, i);
    tally_use(&made->tally, tally_process_add(&made->tally, 1));
    tally_gauge_set(&made->tally, gauge_sessions_active, 5);
    faults.short_writes = true;
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = false}, &made->failure));
    struct tally_header *copy = load_copy(made);
    assert_int_equal(copy->clean, 0);
    for (unsigned i = 0; i < total_node; i++)
        assert_int_equal(atomic_load(&tally_file_totals(copy)[i]), i);
    for (unsigned i = 0; i < TALLY_PROCESSES; i++) {
        const struct tally_process *process = tally_file_process_const(copy, i);
        assert_int_equal(atomic_load(&process->pid), 0);
        assert_int_equal(atomic_load(&process->gauges[gauge_sessions_active]), 0);
    }
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = true}, &made->failure));
    assert_int_equal(load_copy(made)->clean, 1);
    assert_int_equal(stat(path_in(made->state), &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    assert_int_equal(files_in(made->state), 1);
}

/* A copy that cannot be written leaves the one before as it was. */
static void test_copy_fails(void **state)
{
    struct made *made = *state;
    int *const times[] = {&faults.write, &faults.fsync, &faults.rename};
    char text[512];
    make(made);
    tally_add(&made->tally, SERIES_0(push_total), 1);
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = true}, &made->failure));
    tally_add(&made->tally, SERIES_0(push_total), 1);
    faults.error = EIO;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        *times[i] = 1;
        assert_false(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = true}, &made->failure));
        snprintf(text, sizeof text,
                 "%s cannot be written: Input/output error; the totals of this run would not survive a power failure",
                 path_in(made->state));
        assert_string_equal(made->failure.text, text);
        assert_int_equal(made->failure.status, EX_IOERR);
        struct tally_header *copy = load_copy(made);
        assert_int_equal(copy->clean, 1);
        assert_int_equal(atomic_load(&tally_file_totals(copy)[SERIES_0(push_total)]), 1);
    }
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = false}, &made->failure));
    assert_int_equal(atomic_load(&tally_file_totals(load_copy(made))[SERIES_0(push_total)]), 2);
    assert_int_equal(files_in(made->state), 1);
    assert_false(tally_copy(&made->tally, "/nonexistent/state", (struct tally_marks){.clean = true}, &made->failure));
    assert_non_null(
        strstr(made->failure.text, "/nonexistent/state/conversation.tally cannot be written: No such file"));
}

/* The mark of a clean stop cannot be taken from the copy, which would be believed after a power failure: what is counted from now on is
 * another tally's, and the copy goes on to be what was shown of its own. */
static void test_cannot_unmark(void **state)
{
    struct made *made = *state;
    char warning[512];
    int *const times[] = {&faults.pwrite, &faults.fsync};
    make(made);
    tally_add(&made->tally, SERIES_0(push_total), 3);
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = true}, &made->failure));
    snprintf(warning, sizeof warning, "%s cannot be written: %s; it cannot be gone on with: a new tally begins at 0",
             path_in(made->state), strerror(ENOSPC));
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char before[33], after[33];
        tally_id_text(&made->tally, before);
        *times[i] = 1;
        make(made);
        assert_true(made->persistent);
        assert_string_equal(made->warning.text, warning);
        assert_int_equal(total_of(made, SERIES_0(push_total)), 0);
        tally_id_text(&made->tally, after);
        assert_string_not_equal(before, after);
    }
    make(made); /* a copy that bears no mark need not be written */
    assert_string_equal(made->warning.text, "");
}

static void *count_on(void *context)
{
    const struct made *made = context;
    for (unsigned i = 0; i < 200000; i++)
        tally_add(&made->tally, i % total_node, 1);
    return NULL;
}

/* Each copy is sound in itself, and holds no less than the one before. */
static void test_copy_while_counting(void **state)
{
    struct made *made = *state;
    pthread_t thread;
    uint64_t before = 0;
    make(made);
    assert_int_equal(pthread_create(&thread, NULL, count_on, made), 0);
    for (int turn = 0; turn < 20; turn++) {
        assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = false}, &made->failure));
        uint64_t sum = 0;
        const struct tally_header *copy = load_copy(made);
        for (unsigned i = 0; i < total_node; i++)
            sum += atomic_load(&tally_file_totals(copy)[i]);
        assert_true(sum >= before && sum <= 200000);
        before = sum;
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACES_TEST(test_run_directory_on_disk),
        PLACES_TEST(test_folder_of_others),
        PLACES_TEST(test_no_tmpfs_at_all),
        PLACES_TEST(test_space_for_one),
        PLACES_TEST(test_no_space),
        PLACES_TEST(test_nothing_possible),
        PLACES_TEST(test_run_directory_missing),
        PLACES_TEST(test_folder_in_the_way),
        PLACES_TEST(test_cannot_move_aside),
        PLACES_TEST(test_long_warning),
        PLACES_TEST(test_copy),
        PLACES_TEST(test_copy_fails),
        PLACES_TEST(test_cannot_unmark),
        PLACES_TEST(test_copy_while_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
