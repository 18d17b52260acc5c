/* conf/lib/tally_make.c: what a new tally takes over, from where, and what becomes of damaged files. Each test has a run and a state
 * directory of its own; the run directory is said to be on tmpfs. What may fail while a tally is made: test_tally_faults.c. */
#include "tests/unit/tally_places.h"

/* As of a configuration with as many domains as there can be: each total has a name of its own. */
static void fill_domains(struct made *made)
{
    char name[DOMAIN_BYTES];
    for (int i = 0; i < OWN_DOMAINS_MAX; i++) {
        snprintf(name, sizeof name, "d%d.example.org", i);
        assert_null(own_domains_add(&made->own, name, ""));
    }
}

static struct form_series known(unsigned total, uint64_t value)
{
    static char texts[8][SERIES_TEXT_MAX];
    static unsigned turn;
    char *text = texts[turn++ % 8];
    catalogue_total_text(total, text);
    return (struct form_series){text, value};
}

/* ---- making ---- */

static void test_first(void **state)
{
    struct made *made = *state;
    struct stat status;
    make(made);
    assert_string_equal(made->warning.text, "");
    assert_true(made->persistent);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    assert_int_equal(made->tally.header->total_count, total_node);
    for (unsigned i = 0; i < total_node; i++)
        assert_int_equal(total_of(made, i), 0);
    assert_int_equal(stat(path_in(made->run), &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0640);
    assert_int_equal(status.st_size, made->tally.header->bytes);
    assert_int_equal(access(path_in(made->state), F_OK), -1);
    assert_int_equal(files_in(made->run), 1);
    assert_true(tally_clock_ms() - atomic_load(&made->tally.header->begun_ms) >= 0);
    assert_int_equal(tally_process_add(&made->tally, 1), 0);
}

static void test_next_run(void **state)
{
    struct made *made = *state;
    char id[33], again[33];
    fill_domains(made);
    make(made);
    tally_id_text(&made->tally, id);
    atomic_store(&made->tally.header->starts, 5);
    atomic_store(&made->tally.header->begun_ms, -1);
    for (unsigned i = 0; i < total_node; i++)
        tally_add(&made->tally, i, i + 1);
    tally_use(&made->tally, tally_process_add(&made->tally, 1));
    tally_gauge_set(&made->tally, gauge_sessions_active, 3);
    make(made); /* a tally that was not stopped, as after kill -9 */
    assert_string_equal(made->warning.text, "");
    tally_id_text(&made->tally, again);
    assert_string_equal(id, again);
    assert_int_equal(atomic_load(&made->tally.header->starts), 5);
    assert_true(atomic_load(&made->tally.header->begun_ms) > 0);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    for (unsigned i = 0; i < total_node; i++)
        assert_int_equal(total_of(made, i), i + 1);
    assert_int_equal(tally_process_add(&made->tally, 1), 0); /* processes are not taken over */
    assert_int_equal(files_in(made->run), 1);
}

/* Whose totals they were is told on: while they settle nobody else can have pushed them. */
static void test_whose_totals(void **state)
{
    struct made *made = *state;
    make(made);
    uint64_t first = made->tally.header->run;
    assert_int_equal(made->tally.header->run_before, 0);
    make(made);
    uint64_t second = made->tally.header->run;
    assert_int_equal(made->tally.header->run_before, first);
    atomic_store(&made->tally.header->state, tally_settling);
    make(made);
    assert_int_not_equal(made->tally.header->run, second);
    assert_int_equal(made->tally.header->run_before, first);
}

/* ---- other builds ---- */

static void take_unknown(void *context, const char *name, uint64_t value)
{
    char *text = context;
    size_t length = strlen(text);
    snprintf(text + length, 8192 - length, "%.40s %llu\n", name, (unsigned long long)value);
}

static void expect_unknown(struct made *made, const char *expected)
{
    char text[8192] = "";
    struct failure failure;
    struct tally_view *view = tally_view_open(made->run, &failure);
    assert_non_null(view);
    tally_view_unknown(view, take_unknown, text);
    tally_view_close(view);
    assert_string_equal(text, expected);
}

/* Another build had fewer totals, more, in another order, under other names. */
static void test_other_build(void **state)
{
    struct made *made = *state;
    char id[33];
    static char long_name[5000];
    memset(long_name, 'n', sizeof long_name - 1);
    const struct form_series totals[] = {
        {"milterscope_of_old_total{a=\"b\"}", 11},
        known(total_node - 1, 22),
        known(SERIES_2(messages_total, source_external, verdict_passed), 33),
        {"", 44},
        known(0, 55),
        {long_name, 66},
        {"milterscope_connections_total", 77}, /* a name of today without its label */
    };
    static const char *const gauges[] = {"milterscope_sessions_active", "milterscope_of_old"};
    struct tally_header *before = form_make(totals, 7, gauges, 2);
    put_file(made->run, before, before->bytes);
    free((void *)before);
    for (int turn = 0; turn < 2; turn++) { /* once more: what is unknown is kept, and not twice */
        make(made);
        assert_string_equal(made->warning.text, "");
        assert_int_equal(made->tally.header->total_count, total_node + 4);
        for (unsigned i = 0; i < total_node; i++) {
            uint64_t expected = i == total_node - 1                                              ? 22
                                : i == SERIES_2(messages_total, source_external, verdict_passed) ? 33
                                : i == 0                                                         ? 55
                                                                                                 : 0;
            assert_int_equal(total_of(made, i), expected);
        }
        expect_unknown(made, "milterscope_of_old_total{a=\"b\"} 11\n 44\nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn 66\n"
                             "milterscope_connections_total 77\n");
    }
    tally_id_text(&made->tally, id);
    assert_string_equal(id, "0123456789abcdeffedcba9876543210");
    assert_int_equal(atomic_load(&made->tally.header->starts), 17);
}

static void test_empty_build(void **state)
{
    struct made *made = *state;
    struct tally_header *before = form_make(NULL, 0, (const char *const[]){"x"}, 1);
    put_file(made->run, before, before->bytes);
    free((void *)before);
    make(made);
    assert_string_equal(made->warning.text, "");
    assert_int_equal(made->tally.header->total_count, total_node);
    expect_unknown(made, "");
}

/* Back to the older build and forward again: nothing is lost on the way. */
static void test_there_and_back(void **state)
{
    struct made *made = *state;
    struct domains domains;
    fill_domains(made);
    make(made);
    tally_domains(&made->tally, &domains);
    for (unsigned i = 0; i < total_node; i++)
        tally_add(&made->tally, i, 100 + i);
    static char names[total_node][SERIES_TEXT_MAX];
    static struct form_series older[total_node];
    for (unsigned i = 0; i < total_node; i++) {
        const struct metric *metric = catalogue_total_metric(i);
        domains_series(&domains, metric, i - metric->first, names[i]);
        older[total_node - 1 - i] = (struct form_series){names[i], total_of(made, i)};
    }
    struct tally_header *before = form_make(older, total_node, NULL, 0);
    put_file(made->run, before, before->bytes);
    free((void *)before);
    make(made);
    for (unsigned i = 0; i < total_node; i++)
        assert_int_equal(total_of(made, i), 100 + i);
    expect_unknown(made, "");
}

/* ---- boots, copies, settling ---- */

static void count_and_copy(struct made *made, uint64_t n, bool clean)
{
    struct failure failure;
    tally_add(&made->tally, SERIES_0(push_total), n);
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = clean}, &failure));
}

/* The file in the run directory is of an earlier boot: it was not on tmpfs, and the copy is better, if there is one. */
static void test_earlier_boot(void **state)
{
    struct made *made = *state;
    struct form_series old = known(SERIES_0(push_total), 5);
    struct tally_header *before = form_make(&old, 1, NULL, 0);
    memcpy(before->boot_id, "00000000-0000-4000-8000-000000000000", 37);
    form_seal(before, true);
    put_file(made->run, before, before->bytes);
    make(made);
    assert_string_equal(made->warning.text, "");
    assert_int_equal(total_of(made, SERIES_0(push_total)), 0);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    count_and_copy(made, 3, true);
    put_file(made->run, before, before->bytes);
    make(made);
    assert_int_equal(total_of(made, SERIES_0(push_total)), 3);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    free((void *)before);
}

/* A copy made at a clean stop holds all; it is taken as it is, and loses its mark, since from now on it is old. */
static void test_clean_copy(void **state)
{
    struct made *made = *state;
    char id[33], again[33];
    make(made);
    tally_id_text(&made->tally, id);
    count_and_copy(made, 3, true);
    assert_int_equal(load_copy(made)->clean, 1);
    assert_int_equal(unlink(path_in(made->run)), 0);
    make(made);
    assert_string_equal(made->warning.text, "");
    assert_int_equal(total_of(made, SERIES_0(push_total)), 3);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    tally_id_text(&made->tally, again);
    assert_string_equal(id, again);
    assert_int_equal(load_copy(made)->clean, 0);
    assert_int_equal(unlink(path_in(made->run)), 0);
    make(made); /* the power fails before the next copy */
    assert_int_equal(atomic_load(&made->tally.header->state), tally_settling);
}

/* A copy that is not clean may be seconds old: its totals wait. A supervisor that dies meanwhile changes nothing of that. */
static void test_copy_of_before(void **state)
{
    struct made *made = *state;
    struct snapshot snapshot;
    uint64_t raised[total_node] = {0};
    make(made);
    count_and_copy(made, 3, false);
    assert_int_equal(unlink(path_in(made->run)), 0);
    make(made);
    assert_string_equal(made->warning.text, "");
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(atomic_load(&made->tally.header->state), tally_settling);
        assert_int_equal(total_of(made, SERIES_0(push_total)), 3 + turn * 10);
        assert_int_equal(atomic_load(&made->tally.kept[SERIES_0(push_total)]), 3);
        tally_snapshot(&made->tally, &snapshot);
        assert_false(snapshot.has_totals);
        tally_add(&made->tally, SERIES_0(push_total), 10);
        make(made);
    }
    raised[SERIES_0(push_total)] = 7; /* Redis holds four more than the copy */
    tally_raise(&made->tally, raised);
    assert_int_equal(total_of(made, SERIES_0(push_total)), 7 + 20);
    make(made);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    assert_int_equal(total_of(made, SERIES_0(push_total)), 27);
}

/* Readers were shown more than was kept when the power failed: the totals of the copy are not gone on with. */
static void test_ahead_copy(void **state)
{
    struct made *made = *state;
    struct failure failure;
    char id[33], again[33];
    make(made);
    tally_id_text(&made->tally, id);
    count_and_copy(made, 3, false);
    assert_int_equal(atomic_load(&load_copy(made)->ahead), tally_kept_only);
    assert_true(tally_mark_ahead(made->state, &failure));
    assert_int_equal(atomic_load(&load_copy(made)->ahead), tally_is_ahead);
    assert_int_equal(unlink(path_in(made->run)), 0);
    make(made);
    assert_non_null(strstr(made->warning.text, "a new tally begins at 0"));
    assert_int_equal(total_of(made, SERIES_0(push_total)), 0);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    assert_int_equal(atomic_load(&made->tally.header->ahead), tally_kept_only);
    tally_id_text(&made->tally, again);
    assert_string_not_equal(id, again);
}

/* The mark of a copy that is written anew is as it is asked for; after a clean stop it says nothing. */
static void test_ahead_and_clean(void **state)
{
    struct made *made = *state;
    struct failure failure;
    make(made);
    tally_add(&made->tally, SERIES_0(push_total), 3);
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = true, .ahead = true}, &failure));
    assert_int_equal(atomic_load(&load_copy(made)->ahead), tally_is_ahead);
    assert_int_equal(unlink(path_in(made->run)), 0);
    make(made);
    assert_string_equal(made->warning.text, "");
    assert_int_equal(total_of(made, SERIES_0(push_total)), 3);
    assert_int_equal(atomic_load(&made->tally.kept[SERIES_0(push_total)]), 3);
    tally_go_ahead(&made->tally);
    assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = false}, &failure));
    assert_int_equal(atomic_load(&load_copy(made)->ahead), tally_kept_only);
    assert_true(tally_mark_ahead("/nonexistent", &failure)); /* no copy: nothing to go on with */
    faults.pwrite = 1;
    assert_false(tally_mark_ahead(made->state, &failure));
    assert_non_null(strstr(failure.text, "cannot be written"));
}

/* What is kept, and what is shown, are the same for the next supervisor of this boot. */
static void test_kept_over_a_restart(void **state)
{
    struct made *made = *state;
    uint64_t kept[total_node] = {0};
    make(made);
    tally_add(&made->tally, SERIES_0(push_total), 5);
    kept[SERIES_0(push_total)] = 2;
    tally_keep(&made->tally, kept);
    tally_go_ahead(&made->tally);
    atomic_store(&made->tally.header->server, 4711);
    make(made);
    assert_int_equal(total_of(made, SERIES_0(push_total)), 5);
    assert_int_equal(atomic_load(&made->tally.kept[SERIES_0(push_total)]), 2);
    assert_int_equal(atomic_load(&made->tally.header->ahead), tally_is_ahead);
    assert_int_equal(atomic_load(&made->tally.header->server), 4711);
}

/* The tally of this boot is believed, whatever the copy says. */
static void test_run_before_copy(void **state)
{
    struct made *made = *state;
    make(made);
    count_and_copy(made, 3, true);
    tally_add(&made->tally, SERIES_0(push_total), 4);
    make(made);
    assert_int_equal(total_of(made, SERIES_0(push_total)), 7);
    assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    assert_int_equal(load_copy(made)->clean, 0);
}

/* Where a run could not replace the file of the one before, its copy is later than that file. */
static void test_copy_of_later_run(void **state)
{
    struct made *made = *state;
    size_t bytes;
    for (int clean = 0; clean < 2; clean++) {
        make(made);
        struct tally_header *left = read_file(path_in(made->run), &bytes);
        assert_non_null(left);
        atomic_fetch_add(&made->tally.header->starts, 1); /* a pusher of another run */
        uint64_t counted = total_of(made, SERIES_0(push_total)) + 3;
        count_and_copy(made, 3, clean);
        put_file(made->run, left, bytes);
        free((void *)left);
        make(made);
        assert_non_null(strstr(made->warning.text, "are older than their copy"));
        assert_int_equal(total_of(made, SERIES_0(push_total)), counted);
        assert_int_equal(atomic_load(&made->tally.header->state), clean ? tally_running : tally_settling);
        tally_raise(&made->tally, (uint64_t[total_node]){0});
        make(made);
        assert_string_equal(made->warning.text, "");
    }
}

/* ---- damage ---- */

static void cut(struct tally_header *header, size_t *bytes)
{
    (void)header;
    *bytes /= 2;
}

static void empty(struct tally_header *header, size_t *bytes)
{
    (void)header;
    *bytes = 0;
}

static void overwrite(struct tally_header *header, size_t *bytes)
{
    memset((void *)header, 0, *bytes);
}

static void flip_header(struct tally_header *header, size_t *bytes)
{
    (void)bytes;
    header->names_at ^= 64;
}

static void cut_names(struct tally_header *header, size_t *bytes)
{
    ((char *)header)[*bytes - 1] = 'x';
}

static void swell(struct tally_header *header, size_t *bytes)
{
    (void)bytes;
    *(uint64_t *)(void *)((char *)header + header->totals_at) = UINT64_MAX;
}

static void of_the_future(struct tally_header *header, size_t *bytes)
{
    (void)bytes;
    header->version = TALLY_VERSION + 1;
    form_seal(header, true);
}

static const struct {
    void (*damage)(struct tally_header *header, size_t *bytes);
    const char *wrong;
} damages[] = {
    {cut, "its header does not fit its size"},
    {empty, "too short for a tally"},
    {overwrite, "not a tally"},
    {flip_header, "its header is damaged"},
    {cut_names, "its names are damaged"},
    {swell, "it holds implausible totals"},
    {of_the_future, "a tally of another format"},
};

/* Damages the tally in a directory; returns what a warning has to say of it. */
static const char *damage(const char *directory, size_t how)
{
    static char text[2 * PATH_MAX];
    size_t bytes;
    struct tally_header *header = read_file(path_in(directory), &bytes);
    assert_non_null(header);
    damages[how].damage(header, &bytes);
    put_file(directory, header, bytes);
    free((void *)header);
    snprintf(text, sizeof text, "%s: %s; moved to %s.damaged-", path_in(directory), damages[how].wrong,
             path_in(directory));
    return text;
}

/* What is damaged is said, and moved aside under a dated name; the copy takes its place. */
static void test_damaged(void **state)
{
    struct made *made = *state;
    make(made);
    count_and_copy(made, 3, true);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct failure failure;
        assert_true(tally_copy(&made->tally, made->state, (struct tally_marks){.clean = true}, &failure));
        const char *said = damage(made->run, i);
        make(made);
        size_t length = strlen(said);
        const char *date = made->warning.text + length;
        assert_memory_equal(made->warning.text, said, length);
        assert_int_equal(strlen(date), strlen("20251120T101112Z"));
        assert_true(date[8] == 'T' && date[15] == 'Z' && strspn(date, "0123456789") == 8);
        assert_int_equal(access(strstr(made->warning.text, "moved to ") + 9, F_OK), 0);
        assert_int_equal(unlink(strstr(made->warning.text, "moved to ") + 9), 0);
        assert_true(made->persistent);
        assert_int_equal(total_of(made, SERIES_0(push_total)), 3);
        assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
    }
}

/* A damaged copy is of no use either, and then there is nothing: a new tally begins. */
static void test_both_damaged(void **state)
{
    struct made *made = *state;
    char id[33], again[33];
    make(made);
    tally_id_text(&made->tally, id);
    count_and_copy(made, 3, true);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const char *said = strstr(damage(made->state, i), damages[i].wrong);
        assert_int_equal(unlink(path_in(made->run)), 0);
        make(made);
        assert_non_null(strstr(made->warning.text, said));
        assert_int_equal(total_of(made, SERIES_0(push_total)), 0);
        assert_int_equal(atomic_load(&made->tally.header->state), tally_running);
        tally_id_text(&made->tally, again);
        assert_string_not_equal(id, again);
        count_and_copy(made, 3, true);
    }
}

/* A copy carries a checksum of totals and names, since disks lie. */
static void test_copy_checksum(void **state)
{
    struct made *made = *state;
    make(made);
    count_and_copy(made, 3, true);
    size_t bytes;
    struct tally_header *header = read_file(path_in(made->state), &bytes);
    *(uint64_t *)(void *)((char *)header + header->totals_at) ^= 1;
    put_file(made->state, header, bytes);
    free((void *)header);
    assert_int_equal(unlink(path_in(made->run)), 0);
    make(made);
    assert_non_null(strstr(made->warning.text, "its checksum is wrong; moved to "));
    assert_int_equal(total_of(made, SERIES_0(push_total)), 0);
}

/* The node's tally: what it begins with is seen at once, names too, and a name can change; the conversation's is not in it, nor it in that. */
static void test_node(void **state)
{
    struct made *made = *state;
    static uint64_t totals[total_COUNT];
    static struct places places;
    static struct snapshot seen;
    const uint64_t id[2] = {7, 9};
    struct tally node;
    char text[33];
    for (unsigned i = total_node; i < total_COUNT; i++)
        totals[i] = i;
    strcpy(places.names[places_listener], "127.0.0.1:25");
    assert_true(tally_make_node(made->run, id, totals, &places, &node, &made->warning, &made->failure));
    tally_gauge_set(&node, gauge_mta_up + (unsigned)listener_own_0, 1);
    tally_set_place(&node, places_server_version, "3.7.11");
    struct tally_view *view = tally_view_open_node(made->run, &made->failure);
    assert_non_null(view);
    assert_true(tally_view_read(view, &seen));
    assert_true(seen.has_node && !seen.has_totals);
    for (unsigned i = 0; i < total_COUNT; i++)
        assert_int_equal(seen.totals[i], totals[i]);
    assert_int_equal(seen.gauges[gauge_mta_up + (unsigned)listener_own_0], 1);
    assert_string_equal(seen.places.names[places_listener], "127.0.0.1:25");
    assert_string_equal(seen.places.names[places_server_version], "3.7.11");
    assert_true(tally_view_alive(view));
    tally_view_id(view, text);
    assert_string_equal(text, "00000000000000070000000000000009");
    tally_view_close(view);
    assert_null(tally_view_open(made->run, &made->failure)); /* of the conversation there is none */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACES_TEST(test_first),
        PLACES_TEST(test_node),
        PLACES_TEST(test_next_run),
        PLACES_TEST(test_whose_totals),
        PLACES_TEST(test_other_build),
        PLACES_TEST(test_empty_build),
        PLACES_TEST(test_there_and_back),
        PLACES_TEST(test_earlier_boot),
        PLACES_TEST(test_clean_copy),
        PLACES_TEST(test_copy_of_before),
        PLACES_TEST(test_ahead_copy),
        PLACES_TEST(test_ahead_and_clean),
        PLACES_TEST(test_kept_over_a_restart),
        PLACES_TEST(test_run_before_copy),
        PLACES_TEST(test_copy_of_later_run),
        PLACES_TEST(test_damaged),
        PLACES_TEST(test_both_damaged),
        PLACES_TEST(test_copy_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
