/* milter/pusher/sets.c and drain.c: what each record adds to which set; hours; and a pusher that is killed at any moment, again and again:
 * the next one goes on so that every record is counted once. */
#include "milter/pusher/drain.h"
#include "milter/pusher/sets.h"
#include "milter/pusher/sets_memory.h"
#include "tests/unit/tally_form.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h> /* last: its fail is not ours */

enum { NOW = 1700000000, ALL_SETS = (1 << top_COUNT) - 1 };

static struct settings settings;
static struct tally tally;
static struct ring_header *ring;
static int ring_fd, sets_fd;

static void open_sets(int64_t now)
{
    struct failure failure;
    if (!sets_open(sets_fd, &settings, now, &failure))
        fail_msg("%s", failure.text);
}

static int begin(void **state)
{
    struct failure failure;
    (void)state;
    settings = (struct settings){.top_sets = ALL_SETS, .top_size = 10, .top_hours = 24};
    form_fresh(&tally);
    ring_fd = ring_make(&ring, &failure);
    sets_fd = memfd_create("sets", MFD_CLOEXEC);
    return ring_fd < 0 || sets_fd < 0;
}

static int end(void **state)
{
    (void)state;
    form_free(&tally);
    ring_detach(ring);
    close(ring_fd);
    close(sets_fd);
    return 0;
}

/* ---- writing ---- */

static void put_text(struct ring_record *record, unsigned *used, unsigned number, const char *text)
{
    ring_add_text(record, used, number, text, strlen(text));
}

static struct ring_record *take(uint64_t *place, uint8_t kind, uint8_t flags, uint64_t message, uint8_t client)
{
    if (!ring_take(ring, 1, place))
        return NULL;
    struct ring_record *record = ring_at(ring, *place);
    memset(record, 0, sizeof *record);
    record->kind = kind;
    record->flags = flags;
    record->message = message;
    record->family = 4;
    memcpy(record->address, (const uint8_t[]){192, 0, 2, client}, 4);
    return record;
}

static bool put_message(uint8_t client, const char *sender, const char *user, uint64_t message, uint32_t recipients,
                        uint32_t refused, uint8_t flags)
{
    uint64_t place;
    unsigned used = 0;
    struct ring_record *record = take(&place, ring_message, flags, message, client);
    if (record == NULL)
        return false;
    record->recipients = recipients;
    record->refused = refused;
    put_text(record, &used, ring_message_sender, sender);
    put_text(record, &used, ring_message_helo, "HELO.example");
    put_text(record, &used, ring_message_user, user);
    ring_publish(ring, place);
    return true;
}

static bool put_recipient(const char *address, uint64_t message, uint8_t flags)
{
    uint64_t place;
    unsigned used = 0;
    struct ring_record *record = take(&place, ring_recipient, flags, message, 1);
    if (record == NULL)
        return false;
    put_text(record, &used, ring_recipient_address, address);
    ring_publish(ring, place);
    return true;
}

/* ---- reading ---- */

static bool table_of(enum top_set set, int64_t hour, struct sets_table *table)
{
    for (unsigned i = 0; sets_table(i, table); i++) {
        if (table->set == set && table->hour == hour)
            return true;
    }
    return false;
}

/* "member messages recipients refused spam", or nothing. */
static const char *row_of(enum top_set set, int64_t hour, const char *member)
{
    static char text[512];
    struct sets_table table;
    text[0] = '\0';
    if (!table_of(set, hour, &table))
        return "no such table";
    for (unsigned i = 0; i < table.sum->used; i++) {
        const struct heavy_entry *entry = &table.entries[i];
        if (entry->length != strlen(member) || memcmp(entry->member, member, entry->length) != 0)
            continue;
        size_t length = (size_t)snprintf(text, sizeof text, "%s ", member);
        top_write(text + length, entry->counts, top_by_COUNT);
    }
    return text;
}

static uint64_t dropped(void)
{
    return atomic_load(&tally.totals[SERIES_0(ring_dropped_total)]);
}

static void test_records(void **state)
{
    const int64_t hour = top_hour(NOW);
    struct sets_table table;
    (void)state;
    open_sets(NOW);
    drain_add(dup(ring_fd));
    put_message(7, "@Mail.Example.co.uk", "Anna", 1, 4, 2, 0);
    put_recipient("@a.example.org", 1, 0);
    put_recipient("@B.example.ORG.", 1, 0);
    put_recipient("Nobody@example.org", 1, ring_refused | ring_unknown_user);
    put_recipient("@other.test", 1, ring_refused);
    put_message(7, "<>", "", 2, 1, 0, ring_spam);
    put_recipient("@example.org", 2, ring_spam);
    put_recipient("@example.org", 0, 0); /* one that came before its message ended */
    put_message(8, "", "", 3, 0, 0, 0);
    assert_false(drain_step(&tally));
    assert_int_equal(ring_taken(ring, atomic_load(&ring->head)), 0);
    assert_string_equal(row_of(top_client, hour, "192.0.2.7"), "192.0.2.7 2 5 2 1");
    assert_string_equal(row_of(top_client, hour, "192.0.2.8"), "192.0.2.8 1 0 0 0");
    assert_string_equal(row_of(top_sender_domain, hour, "example.co.uk"), "example.co.uk 1 4 2 0");
    assert_string_equal(row_of(top_sender_domain, hour, "<>"), "<> 1 1 0 1");
    assert_string_equal(row_of(top_recipient_domain, hour, "example.org"), "example.org 2 5 1 1");
    assert_string_equal(row_of(top_recipient_domain, hour, "other.test"), "other.test 1 1 1 0");
    assert_string_equal(row_of(top_user, hour, "anna"), "anna 1 4 2 0");
    assert_string_equal(row_of(top_unknown_recipient, hour, "nobody@example.org"), "nobody@example.org 0 1 1 0");
    assert_string_equal(row_of(top_helo, hour, "helo.example"), "helo.example 3 5 2 1");
    assert_true(table_of(top_sender_domain, hour, &table));
    assert_int_equal(table.sum->used, 2); /* no domain is no member */
    assert_int_equal(dropped(), 0);
    atomic_store(&ring->closed, 1);
    drain_step(&tally);
    assert_int_equal(atomic_load(&ring->done), 1);
}

/* A filter that was killed: what it published counts, what it only began is dropped. */
static void test_holes(void **state)
{
    uint64_t hole;
    (void)state;
    open_sets(NOW);
    drain_add(dup(ring_fd));
    put_message(1, "@a.test", "", 1, 1, 0, 0);
    ring_take(ring, 3, &hole);
    put_message(1, "@a.test", "", 2, 1, 0, 0);
    ring_publish(ring, hole + 1); /* kind 0: a record that says nothing */
    drain_step(&tally);
    drain_step(&tally);
    assert_string_equal(row_of(top_client, top_hour(NOW), "192.0.2.1"), "192.0.2.1 1 1 0 0");
    assert_int_equal(dropped(), 0);
    assert_int_equal(atomic_load(&ring->done), 0);
    atomic_store(&ring->closed, 1);
    drain_step(&tally);
    assert_string_equal(row_of(top_client, top_hour(NOW), "192.0.2.1"), "192.0.2.1 2 2 0 0");
    assert_int_equal(dropped(), 2);
    assert_int_equal(atomic_load(&ring->done), 1);
}

static void test_hours(void **state)
{
    const int64_t hour = top_hour(NOW);
    struct sets_table table;
    (void)state;
    open_sets(NOW);
    drain_add(dup(ring_fd));
    for (int i = 0; i < 4; i++) {
        put_message(1, "@a.test", "", (uint64_t)i + 1, (uint32_t)i + 1, 0, 0);
        sets_tick(NOW + i * 3600);
        drain_step(&tally);
    }
    assert_string_equal(row_of(top_client, hour + 3, "192.0.2.1"), "192.0.2.1 1 4 0 0");
    assert_string_equal(row_of(top_client, hour + 2, "192.0.2.1"), "192.0.2.1 1 3 0 0");
    assert_false(table_of(top_client, hour + 1, &table));
    open_sets(NOW + 3 * 3600 + 1); /* another process */
    assert_string_equal(row_of(top_client, hour + 3, "192.0.2.1"), "192.0.2.1 1 4 0 0");
    assert_string_equal(row_of(top_client, hour + 2, "192.0.2.1"), "192.0.2.1 1 3 0 0");
    sets_tick(NOW + 2 * 3600); /* the clock was put back, and what is there goes on */
    put_message(1, "@a.test", "", 9, 10, 0, 0);
    drain_step(&tally);
    assert_string_equal(row_of(top_client, hour + 2, "192.0.2.1"), "192.0.2.1 2 13 0 0");
    sets_tick(NOW - 5 * 3600); /* far back: the future is what is given up */
    assert_false(table_of(top_client, hour + 3, &table) && table_of(top_client, hour + 2, &table));
    assert_true(table_of(top_client, hour - 5, &table));
    atomic_store(&ring->closed, 1);
    drain_step(&tally);
}

/* Memory that is of other settings, cut, or not sound, begins anew or as sound as it is. */
static void test_memory(void **state)
{
    const int64_t hour = top_hour(NOW);
    struct failure failure;
    (void)state;
    open_sets(NOW);
    drain_add(dup(ring_fd));
    put_message(1, "@a.test", "", 1, 1, 0, 0);
    drain_step(&tally);
    open_sets(NOW);
    assert_string_equal(row_of(top_client, hour, "192.0.2.1"), "192.0.2.1 1 1 0 0");
    settings.privacy = 1;
    open_sets(NOW);
    assert_string_equal(row_of(top_client, hour, "192.0.2.1"), "");
    put_message(1, "@a.test", "", 2, 1, 0, 0);
    drain_step(&tally);
    assert_string_equal(row_of(top_client, hour, "192.0.2.0/24"), "192.0.2.0/24 1 1 0 0");
    struct sets_memory *memory = sets_memory_map(sets_fd, &settings, &failure);
    sets_memory_part(memory, 0)->sum.used = UINT32_MAX;
    memory->active = 1;
    memory->changes = UINT32_MAX;
    memory->change[0].part = UINT32_MAX;
    memory->change[1] = (struct sets_change){.part = 1, .entry = UINT32_MAX};
    memory->group_count = memory->group.count = UINT32_MAX;
    memory->ring = UINT32_MAX;
    open_sets(NOW);
    put_message(1, "@a.test", "", 3, 1, 0, 0);
    drain_step(&tally);
    assert_int_equal(ftruncate(sets_fd, 100), 0);
    open_sets(NOW);
    assert_string_equal(row_of(top_client, hour, "192.0.2.0/24"), "");
    assert_int_equal(ftruncate(sets_fd, 0), 0);
    sets_fd = -1;
    open_sets(NOW);
    atomic_store(&ring->closed, 1);
    drain_step(&tally);
}

/* ---- killed ---- */

enum { KILLS = 150, CLIENTS = 40, DOMAINS = 300 };

/* A pusher that does nothing but drain, until it is killed. */
static pid_t start_pusher(void)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    open_sets(NOW);
    drain_add(dup(ring_fd));
    for (;;)
        drain_step(&tally);
}

static void test_killed(void **state)
{
    const int64_t hour = top_hour(NOW);
    uint64_t truth[CLIENTS][2] = {{0}}, messages = 0, recipients = 0, spam = 0;
    struct sets_table table;
    char text[64];
    (void)state;
    settings.top_size = 10; /* 100 places: clients are exact, domains are not */
    srandom(4711);
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        pid_t pid = start_pusher();
        struct timespec begun, now;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        long life_ns = 1000000 + random() % 6000000;
        do {
            unsigned client = (unsigned)(random() % CLIENTS), count = 1 + (unsigned)(random() % 3);
            bool is_spam = random() % 4 == 0;
            if (put_message((uint8_t)client, "@a.test", "", messages + 1, count, 0, is_spam ? ring_spam : 0)) {
                messages++;
                spam += is_spam;
                truth[client][0]++;
                truth[client][1] += count;
                for (unsigned i = 0; i < count; i++) {
                    snprintf(text, sizeof text, "@d%ld.test", random() % DOMAINS);
                    while (!put_recipient(text, messages, 0) && kill(pid, 0) == 0)
                        usleep(10);
                    recipients++;
                }
            }
            clock_gettime(CLOCK_MONOTONIC, &now);
        } while ((now.tv_sec - begun.tv_sec) * 1000000000 + now.tv_nsec - begun.tv_nsec < life_ns);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    open_sets(NOW);
    drain_add(dup(ring_fd));
    atomic_store(&ring->closed, 1);
    while (atomic_load(&ring->done) == 0)
        drain_step(&tally);
    for (unsigned i = 0; i < CLIENTS; i++) {
        char expected[128];
        snprintf(text, sizeof text, "192.0.2.%u", i);
        const char *row = row_of(top_client, hour, text);
        int length = snprintf(expected, sizeof expected, "%s %llu %llu 0 ", text, (unsigned long long)truth[i][0],
                              (unsigned long long)truth[i][1]);
        if (strncmp(row, expected, (size_t)length) != 0)
            fail_msg("counted %s, truth %s", row, expected);
    }
    assert_true(table_of(top_client, hour, &table));
    assert_int_equal(table.sum->counts[top_by_messages], messages);
    assert_int_equal(table.sum->counts[top_by_spam], spam);
    assert_true(table_of(top_recipient_domain, hour, &table));
    assert_int_equal(table.sum->counts[top_by_recipients], recipients);
    uint64_t weights = 0;
    for (unsigned i = 0; i < table.sum->used; i++)
        weights += table.entries[i].weight;
    assert_int_equal(weights,
                     table.sum->counts[0] + table.sum->counts[1] + table.sum->counts[2] + table.sum->counts[3]);
    assert_int_equal(dropped(), 0);
    printf("figure: pusher killed %d times among %llu messages: every one counted once\n", KILLS,
           (unsigned long long)messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_records, begin, end),
        cmocka_unit_test_setup_teardown(test_holes, begin, end),
        cmocka_unit_test_setup_teardown(test_hours, begin, end),
        cmocka_unit_test_setup_teardown(test_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_killed, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
