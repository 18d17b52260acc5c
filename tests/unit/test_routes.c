/* exporter/serve/routes.c: every method on every path, and what is in the answer. What a source would say, the test says. */
#include <stdlib.h>

static int allocations; /* that are to be had; -1: any number */

static void *fake_realloc(void *before, size_t size)
{
    if (allocations == 0)
        return NULL;
    allocations -= allocations > 0;
    return realloc(before, size);
}
#define realloc fake_realloc
#include "exporter/serve/routes.c"
#undef realloc

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool alive;
static struct view shown;
static unsigned reads, releases;

void source_read(struct source *source, struct view *view)
{
    (void)source;
    *view = shown;
    reads++;
}

void source_release(struct view *view)
{
    (void)view;
    releases++;
}

bool source_alive(const struct source *source)
{
    (void)source;
    return alive;
}

static const struct routes routes = {.instance = "mx1"};
static struct answer answer; /* the last one */

static void ask(const struct request *request)
{
    free(answer.body);
    routes_answer(&routes, request, &answer);
    assert_true(answer.body != NULL || answer.length == 0);
}

static int begin(void **state)
{
    (void)state;
    alive = true;
    allocations = -1;
    shown = (struct view){.ready = true, .from = "Redis"};
    snapshot_clear(&shown.values);
    shown.values.has_totals = true;
    shown.values.gauges[gauge_up] = 1;
    reads = releases = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(answer.body);
    answer.body = NULL;
    return reads != releases;
}

static const struct {
    const char *method, *path;
    unsigned status;
    const char *allow, *begins; /* the body; "": it is empty */
} rows[] = {
    {"GET", "/", 200, NULL, "<!doctype html>"},
    {"GET", "/metrics", 200, NULL, "# HELP "},
    {"GET", "/livez", 200, NULL, "alive\n"},
    {"GET", "/readyz", 200, NULL, "ready\n"},
    {"HEAD", "/", 200, NULL, "<!doctype html>"},
    {"HEAD", "/metrics", 200, NULL, "# HELP "},
    {"OPTIONS", "/", 200, "GET, HEAD, OPTIONS", ""},
    {"OPTIONS", "/livez", 200, "GET, HEAD, OPTIONS", "alive\n"},
    {"OPTIONS", "/readyz", 200, "GET, HEAD, OPTIONS", "ready\n"},
    {"OPTIONS", "/metrics", 405, "GET, HEAD", "only GET"},
    {"POST", "/metrics", 405, "GET, HEAD", "only GET"},
    {"DELETE", "/", 405, "GET, HEAD, OPTIONS", "only GET"},
    {"get", "/livez", 405, "GET, HEAD, OPTIONS", "only GET"},
    {"", "/readyz", 405, "GET, HEAD, OPTIONS", "only GET"},
    {"GET", "/api/v1/top", 400, NULL, "{\n \"error\": \"set is one of client"},
    {"OPTIONS", "/api/v1/top", 405, "GET, HEAD", "only GET"},
    {"GET", "/api/v1/", 404, NULL, "not here"},
    {"GET", "", 404, NULL, "not here"},
    {"GET", "/metric", 404, NULL, "not here"},
    {"GET", "/metrics/", 404, NULL, "not here"},
    {"GET", "//", 404, NULL, "not here"},
    {"GET", "/METRICS", 404, NULL, "not here"},
    {"OPTIONS", "*", 404, NULL, "not here"},
    {"POST", "/nowhere", 404, NULL, "not here"},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request request = {.method = rows[i].method, .path = rows[i].path};
        ask(&request);
        const char *allow = answer.allow != NULL ? answer.allow : "-";
        const char *expected = rows[i].allow != NULL ? rows[i].allow : "-";
        if (answer.status != rows[i].status || strcmp(allow, expected) != 0 ||
            strncmp(answer.body, rows[i].begins, strlen(rows[i].begins)) != 0 ||
            (rows[i].begins[0] == '\0' && answer.length > 0))
            fail_msg("%s %s: %u, %s, %s", rows[i].method, rows[i].path, answer.status, allow, answer.body);
        assert_false(answer.is_gzip);
        assert_false(answer.closes);
        assert_int_equal(answer.length, strlen(answer.body));
    }
}

/* Whatever is asked: a body would be read as the next request. */
static void test_body(void **state)
{
    (void)state;
    const char *const paths[] = {"/", "/metrics", "/nowhere"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct request request = {.method = "GET", .path = paths[i], .has_body = true};
        ask(&request);
        assert_int_equal(answer.status, 413);
        assert_true(answer.closes);
    }
    assert_int_equal(reads, 0);
}

static void test_not_well(void **state)
{
    (void)state;
    shown.ready = false;
    strcpy(shown.trouble, "starting");
    ask(&(struct request){.method = "GET", .path = "/readyz"});
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer.body, "not ready: starting\n");
    ask(&(struct request){.method = "GET", .path = "/livez"});
    assert_int_equal(answer.status, 200);
    ask(&(struct request){.method = "GET", .path = "/metrics"});
    assert_int_equal(answer.status, 200);
    shown.ready = true;
    strcpy(shown.trouble, "Redis cannot be read: gone");
    alive = false;
    ask(&(struct request){.method = "GET", .path = "/readyz"});
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "ready: Redis cannot be read: gone\n");
    ask(&(struct request){.method = "GET", .path = "/livez"});
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer.body, "the thread that reads Redis and the tally is stuck\n");
    assert_string_equal(answer.type, "text/plain; charset=utf-8");
}

static void test_formats(void **state)
{
    (void)state;
    ask(&(struct request){.method = "GET", .path = "/metrics"});
    assert_string_equal(answer.type, exposition_content_type(accept_format(NULL)));
    assert_null(strstr(answer.body, "# EOF"));
    const char open_metrics[] = "application/openmetrics-text;version=1.0.0";
    ask(&(struct request){.method = "GET", .path = "/metrics", .accept = open_metrics});
    assert_string_equal(answer.type, exposition_content_type(accept_format(open_metrics)));
    assert_non_null(strstr(answer.type, "openmetrics"));
    assert_string_equal(answer.body + answer.length - strlen("# EOF\n"), "# EOF\n");
    ask(&(struct request){.method = "GET", .path = "/"});
    assert_string_equal(answer.type, "text/html; charset=utf-8");
}

/* Only what is worth it, and only for those who ask. */
static void test_compressed(void **state)
{
    (void)state;
    ask(&(struct request){.method = "GET", .path = "/metrics"});
    size_t whole = answer.length;
    ask(&(struct request){.method = "GET", .path = "/metrics", .accept_encoding = "gzip"});
    assert_true(answer.is_gzip);
    assert_true(answer.length < whole / 2);
    assert_memory_equal(answer.body, "\x1f\x8b", 2);
    ask(&(struct request){.method = "GET", .path = "/metrics", .accept_encoding = "identity"});
    assert_false(answer.is_gzip);
    assert_int_equal(answer.length, whole);
    ask(&(struct request){.method = "GET", .path = "/livez", .accept_encoding = "gzip"});
    assert_false(answer.is_gzip);
    assert_string_equal(answer.body, "alive\n");
}

/* The whole answer, or none: no part of it passes for one. */
static void test_no_memory(void **state)
{
    const struct request scrape = {.method = "GET", .path = "/metrics"};
    int tried = 0;
    (void)state;
    ask(&scrape);
    char *whole = strdup(answer.body);
    assert_non_null(whole);
    for (allocations = 0; ask(&scrape), answer.status != 200; allocations = ++tried) {
        assert_int_equal(answer.status, 500);
        assert_null(answer.body);
        assert_int_equal(answer.length, 0);
    }
    assert_true(tried >= 3);
    assert_string_equal(answer.body, whole);
    free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, begin, end),
        cmocka_unit_test_setup_teardown(test_body, begin, end),
        cmocka_unit_test_setup_teardown(test_not_well, begin, end),
        cmocka_unit_test_setup_teardown(test_formats, begin, end),
        cmocka_unit_test_setup_teardown(test_compressed, begin, end),
        cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
