/* exporter/collect/queue_pattern.c: which directories a path with asterisks stands for, and where that ends. */
#include "exporter/collect/queue_pattern.h"
#include "tests/unit/queue_spool.h"

#include <cmocka.h>

static char found[4096];
static int left; /* that are taken */

static bool note(void *context, const char *directory, enum queue_found kind)
{
    (void)context;
    sprintf(found + strlen(found), "%s%s%s", found[0] != '\0' ? " " : "", directory + strlen(spool) + 1,
            kind == queue_found_closed    ? "!"
            : kind == queue_found_nothing ? "?"
                                          : "");
    return --left > 0;
}

static bool find_pattern(const char *pattern, int most, int64_t wall, int64_t cpu)
{
    char path[QUEUE_PATH_BYTES];
    struct queue_time now = queue_time_now();
    snprintf(path, sizeof path, "%s/%s", spool, pattern);
    found[0] = '\0';
    left = most;
    return queue_pattern_find(path, &(struct queue_time){now.wall + wall, now.cpu + cpu}, note, NULL);
}
#define MINUTE INT64_C(60000000)

static void test_patterns(void **state)
{
    char pattern[256] = "a";
    (void)state;
    spool_put_text("a/x/input/y", "");
    spool_put_text("a/y/other", "");
    spool_put_text("a/.z/input/y", "");
    spool_put_text("a/w/input", "");
    spool_put_text("q[1]-?/q1", "");
    spool_put_text("q1-x/q1", "");
    assert_int_equal(symlink("../q1-x", in_spool("a/link")), 0);
    assert_true(find_pattern("a/*/input", 9, MINUTE, MINUTE));
    assert_string_equal(found, "a/x/input");
    assert_true(find_pattern("*/*/inp*t/", 9, MINUTE, MINUTE));
    assert_string_equal(found, "a/x/input/");
    assert_true(find_pattern("a/l*", 9, MINUTE, MINUTE));
    assert_string_equal(found, "a/link");
    assert_true(find_pattern("q[1]-?*", 9, MINUTE, MINUTE));
    assert_string_equal(found, "q[1]-?");
    assert_true(find_pattern("a/none/*/input", 9, MINUTE, MINUTE));
    assert_string_equal(found, "a/none/?");
    assert_true(find_pattern("a/*/none/*", 9, MINUTE, MINUTE));
    assert_string_equal(found, "");
    /* Around in a circle. */
    assert_int_equal(symlink("..", in_spool("a/around")), 0);
    for (int i = 0; i < QUEUE_PATTERN_DEPTH_MAX; i++)
        strcat(pattern, "/aro*/a");
    assert_true(find_pattern(pattern, 9, MINUTE, MINUTE));
    assert_non_null(strstr(found, "/around/a"));
    strcat(pattern, "/*");
    assert_false(find_pattern(pattern, 9, MINUTE, MINUTE));
    assert_string_equal(found, "");
}

static void test_pattern_bounds(void **state)
{
    char name[NAME_MAX], pattern[QUEUE_PATH_BYTES];
    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "d/%d/x", i);
        spool_put_text(name, "");
    }
    assert_false(find_pattern("d/*", 999, 0, MINUTE));
    assert_string_equal(found, "");
    assert_false(find_pattern("d/*", 999, MINUTE, 0));
    assert_string_equal(found, "");
    assert_true(find_pattern("d/*", 3, MINUTE, MINUTE)); /* enough for who asks */
    assert_int_equal(left, 0);
    /* A path that does not fit. */
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    snprintf(pattern, sizeof pattern, "l/%s/x", name);
    spool_put_text(pattern, "");
    snprintf(pattern, sizeof pattern, "*/n*/%.*s", 255, name);
    assert_false(find_pattern(pattern, 9, MINUTE, MINUTE));
    assert_string_equal(found, "");
}

/* A directory that may not be looked into is no empty one. */
static void test_closed_pattern(void **state)
{
    bool is_root = geteuid() == 0;
    (void)state;
    if (is_root && (seteuid(65534) != 0 || seteuid(0) != 0))
        skip();
    spool_put_text("a/x/input/y", "");
    spool_put_text("a/y/input/y", "");
    assert_int_equal(chmod(spool, 0755) + chmod(in_spool("a"), 0755) + chmod(in_spool("a/x"), 0755), 0);
    assert_int_equal(chmod(in_spool("a/y"), 0000), 0);
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    bool one = find_pattern("a/*/input", 9, MINUTE, MINUTE);
    char first[sizeof found];
    strcpy(first, found);
    bool other = find_pattern("a/*/i*", 9, MINUTE, MINUTE);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(in_spool("a/y"), 0700), 0);
    assert_true(one && other);
    assert_non_null(strstr(first, "a/x/input"));
    assert_non_null(strstr(first, "a/y/input!"));
    assert_non_null(strstr(found, "a/x/input"));
    assert_non_null(strstr(found, "a/y/!"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {SPOOL_TEST(test_patterns), SPOOL_TEST(test_pattern_bounds),
                                       SPOOL_TEST(test_closed_pattern)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
