/* conf/lib/directories.c: one milterscope in a folder. A second one is another process, as it would be. */
#include "tests/unit/socket_folder.h"

#include "conf/lib/directories.h"

#include <signal.h>
#include <sys/wait.h>

static void settings_in(struct folder *folder, const char *run, const char *state_name)
{
    snprintf(folder->settings.run_directory, sizeof folder->settings.run_directory, "%s/%s", folder->path, run);
    snprintf(folder->settings.state_directory, sizeof folder->settings.state_directory, "%s/%s", folder->path,
             state_name);
}

/* Removes what place_take made. */
static int clean_up(void **state)
{
    static const char *const made[] = {"run/milterscope.lock", "milterscope.lock", "run", "state"};
    const struct folder *folder = *state;
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder->path, made[i]);
        remove(path);
    }
    return folder_tear_down(state);
}

/* place_take in a process of its own: its status, and its text in `text`. */
static int take_in_child(const struct folder *folder, uid_t user, struct failure *failure)
{
    int pair[2];
    *failure = (struct failure){EX_OK, ""};
    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct failure mine = {EX_OK, ""};
        if (user != geteuid() && setuid(user) != 0)
            mine.status = -1;
        else
            directories_take(&folder->settings, "milterscope", &mine);
        _exit(write(pair[1], &mine, sizeof mine) != (ssize_t)sizeof mine);
    }
    close(pair[1]);
    assert_int_equal(read(pair[0], failure, sizeof *failure), sizeof *failure);
    close(pair[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return failure->status;
}

static void test_nobody_there(void **state)
{
    struct folder *folder = *state;
    struct failure failure;
    struct stat status;
    settings_in(folder, "run", "state");
    assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_OK);
    assert_int_equal(stat(folder->settings.run_directory, &status), 0);
    assert_int_equal(status.st_mode & ~(mode_t)S_ISGID, S_IFDIR | 0750);
    assert_int_equal(stat(folder->settings.state_directory, &status), 0);
    assert_int_equal(take_in_child(folder, geteuid(), &failure),
                     EX_OK); /* the one before has ended: its lock with it */
}

static void test_held(void **state)
{
    struct folder *folder = *state;
    struct failure failure;
    char expected[512];
    settings_in(folder, "run", "state");
    assert_true(directories_take(&folder->settings, "milterscope", &failure));
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_TEMPFAIL);
        snprintf(expected, sizeof expected,
                 "the tally in %s is held by process %d; stop that first, or set another run_directory",
                 folder->settings.run_directory, (int)getpid());
        assert_string_equal(failure.text, expected);
    }
    settings_in(folder, "", "state"); /* another run directory is another tally */
    assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_OK);
}

/* A holder that is killed holds nothing. */
static void test_killed(void **state)
{
    struct folder *folder = *state;
    struct failure failure;
    int pair[2];
    char byte;
    settings_in(folder, "run", "state");
    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        byte = directories_take(&folder->settings, "milterscope", &failure) ? 'y' : 'n';
        if (write(pair[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    close(pair[1]);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_TEMPFAIL);
    char expected[32];
    snprintf(expected, sizeof expected, "is held by process %d;", (int)pid);
    assert_non_null(strstr(failure.text, expected));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(pair[0]);
    assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_OK);
}

static void test_impossible(void **state)
{
    struct folder *folder = *state;
    struct failure failure;
    char path[128];
    settings_in(folder, "missing/run", "missing/state");
    assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_CANTCREAT);
    assert_non_null(strstr(failure.text, "missing/run cannot be made: No such file or directory; make it, owned by"));
    snprintf(path, sizeof path, "%s/run", folder->path);
    assert_int_equal(close(creat(path, 0600)), 0);
    settings_in(folder, "run", "state");
    assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_CANTCREAT);
    assert_non_null(strstr(failure.text, "/run cannot be written: Not a directory"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0750), 0);
    strcat(path, "/milterscope.lock");
    assert_int_equal(symlink("/dev/null", path), 0); /* nobody makes us lock another file */
    assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_CANTCREAT);
    assert_non_null(strstr(failure.text, "cannot be written: Too many levels of symbolic links"));
}

static void test_not_allowed(void **state)
{
    struct folder *folder = *state;
    struct failure failure;
    uid_t user = geteuid() == 0 ? 65534 : geteuid();
    settings_in(folder, "run", "state");
    assert_int_equal(chmod(folder->path, 0555), 0);
    int status = take_in_child(folder, user, &failure);
    assert_int_equal(chmod(folder->path, 0755), 0);
    if (status == -1)
        skip();
    assert_int_equal(status, EX_NOPERM);
    assert_non_null(
        strstr(failure.text, "/run cannot be made: Permission denied; make it, owned by milterscope's account"));
    assert_int_equal(mkdir(folder->settings.run_directory, 0555), 0);
    assert_int_equal(take_in_child(folder, user, &failure), EX_NOPERM);
    assert_non_null(strstr(failure.text, "/run cannot be written: Permission denied"));
}

/* Without a state directory milterscope runs, without copies. */
static void test_no_state_directory(void **state)
{
    struct folder *folder = *state;
    struct failure failure;
    settings_in(folder, "run", "missing/state");
    assert_int_equal(take_in_child(folder, geteuid(), &failure), EX_OK);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, folder_set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_there), TEST(test_held),        TEST(test_killed),
        TEST(test_impossible),   TEST(test_not_allowed), TEST(test_no_state_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
