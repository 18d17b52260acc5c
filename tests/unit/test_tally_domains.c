/* conf/lib/tally_domains.c: the totals of a domain go on under its name, over runs, configurations and builds, and are never another's. */
#include "tests/unit/tally_places.h"

#define LOST(place) SERIES_2(domain_messages_total, place, verdict_lost)

/* Configures these domains, separated by spaces. */
static void configure(struct made *made, const char *names)
{
    char *copy = strdup(names), *rest = copy;
    memset(&made->own, 0, sizeof made->own);
    for (char *name = strsep(&rest, " "); name != NULL; name = strsep(&rest, " ")) {
        if (*name != '\0')
            assert_null(own_domains_add(&made->own, name, ""));
    }
    free(copy);
}

/* As many domains as there can be: d<first>.test and so on. */
static void configure_many(struct made *made, int first, int count)
{
    char text[64 * 16] = "";
    for (int i = first; i < first + count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "d%d.test ", i);
    configure(made, text);
}

/* As the supervisor does: a run begins, or a reload. */
static void begin(struct made *made)
{
    make(made);
    assert_string_equal(made->warning.text, "");
    assert_int_equal(tally_place_domains(&made->tally, &made->own), 0);
}

static unsigned reload(struct made *made)
{
    unsigned without = tally_place_domains(&made->tally, &made->own);
    tally_show_domains(&made->tally, &made->own);
    return without;
}

static void count(struct made *made, const char *name, uint64_t n)
{
    const struct own_domain *domain = own_domains_find(&made->own, name, strlen(name));
    assert_non_null(domain);
    assert_true(domain->place >= 0);
    tally_add(&made->tally, LOST(domain->place), n);
}

/* What is shown, as "name count " in any order of places; the whole of it. */
static void expect_shown(const struct made *made, const char *expected)
{
    struct snapshot mapped, read;
    struct failure failure;
    char text[64 * 24] = "";
    tally_snapshot(&made->tally, &mapped);
    struct tally_view *view = tally_view_open(made->run, &failure);
    assert_non_null(view);
    assert_true(tally_view_read(view, &read));
    tally_view_close(view);
    assert_memory_equal(&mapped.domains, &read.domains, sizeof read.domains);
    assert_memory_equal(mapped.totals, read.totals, sizeof read.totals);
    for (unsigned place = 0; place < DOMAINS_MAX; place++) {
        if (domains_shows(&read.domains, place))
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s %d ", read.domains.names[place],
                     (int)read.totals[LOST(place)]);
    }
    assert_string_equal(text, expected);
}

/* ---- runs and reloads ---- */

static void test_order(void **state)
{
    struct made *made = *state;
    configure(made, "a.test b.test");
    begin(made);
    count(made, "a.test", 1);
    count(made, "b.test", 2);
    expect_shown(made, "a.test 1 b.test 2 ");
    configure(made, "b.test a.test");
    assert_int_equal(reload(made), 0);
    count(made, "a.test", 10);
    expect_shown(made, "a.test 11 b.test 2 ");
    begin(made);
    expect_shown(made, "b.test 2 a.test 11 ");
    begin(made);
    expect_shown(made, "b.test 2 a.test 11 ");
}

/* A domain that is taken out is not shown, its place is nobody else's, and it comes back with what it had. */
static void test_removed_and_added(void **state)
{
    struct made *made = *state;
    configure(made, "a.test b.test");
    begin(made);
    struct own_domains before = made->own; /* of a session that goes on */
    count(made, "a.test", 1);
    count(made, "b.test", 2);
    configure(made, "b.test c.test");
    assert_int_equal(reload(made), 0);
    expect_shown(made, "b.test 2 c.test 0 ");
    count(made, "c.test", 3);
    tally_add(&made->tally, LOST(before.list[0].place), 4);
    expect_shown(made, "b.test 2 c.test 3 ");
    begin(made);
    expect_shown(made, "b.test 2 c.test 3 ");
    configure(made, "c.test a.test");
    assert_int_equal(reload(made), 0);
    expect_shown(made, "c.test 3 a.test 5 ");
    configure(made, "");
    assert_int_equal(reload(made), 0);
    expect_shown(made, "");
    begin(made);
    expect_shown(made, "");
    configure(made, "d.test b.test a.test");
    begin(made);
    expect_shown(made, "d.test 0 b.test 2 a.test 5 ");
}

/* ---- more than there are places for ---- */

static unsigned unknown_seen;

static void see_unknown(void *context, const char *name, uint64_t value)
{
    const char *expected = context;
    unknown_seen++;
    assert_string_equal(name, expected);
    assert_int_equal(value, 7);
}

static void test_full(void **state)
{
    struct made *made = *state;
    char unknown[] = "milterscope_domain_messages_total{domain=\"d0.test\",verdict=\"lost\"}";
    struct failure failure;
    configure_many(made, 0, DOMAINS_MAX);
    begin(made);
    for (unsigned i = 0; i < DOMAINS_MAX; i++)
        tally_add(&made->tally, LOST(made->own.list[i].place), i == 0 ? 7 : 100 + i);
    configure_many(made, 1, DOMAINS_MAX); /* d0 out, d64 in */
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(reload(made), 1);
        assert_int_equal(made->own.list[DOMAINS_MAX - 1].place, -1);
    }
    begin(made); /* a restart makes room: what is not configured is kept, but has no place */
    count(made, "d64.test", 9);
    struct tally_view *view = tally_view_open(made->run, &failure);
    assert_non_null(view);
    tally_view_unknown(view, see_unknown, unknown);
    tally_view_close(view);
    assert_int_equal(unknown_seen, 1); /* of its series the one that counted */
    configure_many(made, 0, DOMAINS_MAX);
    assert_int_equal(reload(made), 1); /* d0 waits */
    begin(made);
    assert_int_equal(atomic_load(&made->tally.totals[LOST(made->own.list[0].place)]), 7);
    configure(made, "d64.test");
    begin(made);
    expect_shown(made, "d64.test 9 ");
    for (unsigned i = 0; i < 3; i++)
        begin(made);
    configure_many(made, 0, DOMAINS_MAX);
    begin(made);
    for (unsigned i = 0; i < DOMAINS_MAX; i++)
        assert_int_equal(atomic_load(&made->tally.totals[LOST(made->own.list[i].place)]), i == 0 ? 7 : 100 + i);
}

/* A tally does not outgrow what can be read again, however many domains there have been. */
static void test_no_end_of_names(void **state)
{
    enum { ROWS = 70000 };
    struct made *made = *state;
    struct form_series *rows = calloc(ROWS, sizeof *rows);
    assert_non_null(rows);
    for (int i = 0; i < ROWS; i++)
        rows[i].value = asprintf((char **)(uintptr_t)&rows[i].name,
                                 "milterscope_domain_messages_total{domain=\"d%d.test\",verdict=\"lost\"}", i) > 0;
    struct tally_header *before = form_make(rows, 65536, NULL, 0);
    put_file(made->run, before, before->bytes);
    free((void *)before);
    begin(made);
    assert_true(made->tally.header->total_count <= 65536);
    assert_true(made->tally.header->total_count > 60000);
    begin(made);
    for (int i = 0; i < ROWS; i++)
        free((char *)(uintptr_t)rows[i].name);
    free(rows);
}

/* ---- other builds, copies, settling ---- */

/* A build that knows nothing of domains keeps them by their names, as far as they stand there; what it kept of places is nobody's. */
static void test_build_without_domains(void **state)
{
    struct made *made = *state;
    const struct form_series rows[] = {
        {"milterscope_domain_messages_total{domain=\"a.test\",verdict=\"lost\"}", 5},
        {"milterscope_domain_messages_total{domain=\"#01\",verdict=\"lost\"}", 6},
        {"milterscope_domain_messages_total{domain=\"A.test\",verdict=\"lost\"}", 7},
    };
    struct tally_header *before = form_make(rows, 3, NULL, 0);
    put_file(made->run, before, before->bytes);
    free((void *)before);
    configure(made, "b.test c.test");
    begin(made);
    expect_shown(made, "b.test 0 c.test 0 ");
    configure(made, "b.test c.test a.test");
    assert_int_equal(reload(made), 0);
    expect_shown(made, "b.test 0 c.test 0 a.test 5 ");
}

/* The names of those that were known when a tally was made stand in it as all others do. */
static void test_names_in_the_file(void **state)
{
    struct made *made = *state;
    configure(made, "a.test");
    begin(made);
    count(made, "a.test", 1);
    const char *name = NULL;
    bool found = false;
    for (unsigned i = 0; i < made->tally.header->total_count; i++) {
        name = tally_file_next_name(made->tally.header, name);
        found = found || strcmp(name, "milterscope_domain_messages_total{domain=\"a.test\",verdict=\"lost\"}") == 0;
    }
    assert_true(found);
}

/* A copy has the names that were given since, too, and a kept part of its own. */
static void test_copy(void **state)
{
    struct made *made = *state;
    struct failure failure;
    configure(made, "a.test");
    begin(made);
    configure(made, "b.test a.test");
    assert_int_equal(reload(made), 0);
    count(made, "b.test", 3);
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = false}, &failure));
    assert_int_equal(unlink(path_in(made->run)), 0);
    configure(made, "c.test b.test");
    begin(made);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_settling);
    expect_shown(made, "c.test 0 b.test 3 ");
    assert_int_equal(atomic_load(&made->tally.kept[LOST(1)]), 3);
    count(made, "b.test", 4);
    uint64_t known[total_COUNT] = {0};
    known[LOST(1)] = 10;
    tally_raise(&made->tally, known);
    expect_shown(made, "c.test 0 b.test 14 ");
}

/* ---- damage ---- */

static struct tally_domains *table_of(const struct made *made)
{
    return tally_domains_of(&made->tally.form, made->tally.header);
}

/* A name that is not what was written is none, and neither shown nor counted for anybody. */
static void test_damaged(void **state)
{
    struct made *made = *state;
    for (int how = 0; how < 4; how++) {
        configure(made, "a.test b.test");
        begin(made);
        struct tally_domain *first = &table_of(made)->list[0];
        if (how == 0)
            first->name[0] = 'x';
        else if (how == 1)
            first->check++;
        else if (how == 2)
            memset(first->name, 'x', sizeof first->name);
        else
            *first = table_of(made)->list[1]; /* twice: the first is it */
        expect_shown(made, "b.test 0 ");
    }
    begin(made);
    atomic_store(&table_of(made)->count, UINT32_MAX);
    atomic_store(&table_of(made)->shown, UINT64_MAX);
    expect_shown(made, "a.test 0 b.test 0 ");
    assert_int_equal(unlink(path_in(made->run)), 0);
    begin(made);
    made->tally.header->domains_at = made->tally.header->domains_at - 8; /* it is read where it was */
    assert_int_equal(reload(made), 0);
    static const uint64_t nowhere[] = {0, 8, 9, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        struct tally_header form = made->tally.form;
        form.domains_at = nowhere[i];
        assert_null(tally_domains_of(&form, made->tally.header));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACES_TEST(test_order),
        PLACES_TEST(test_removed_and_added),
        PLACES_TEST(test_full),
        PLACES_TEST(test_no_end_of_names),
        PLACES_TEST(test_build_without_domains),
        PLACES_TEST(test_names_in_the_file),
        PLACES_TEST(test_copy),
        PLACES_TEST(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
