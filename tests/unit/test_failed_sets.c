/* exporter/collect/failed_sets.c and milter/pusher/node_tables.c: which attempts at delivery are members of which set and hour, and that the
 * pusher takes over what the collector hands to it, and nothing else. */
#include "exporter/collect/failed_sets.h"
#include "exporter/collect/log_count.h"
#include "milter/pusher/node_tables.h"
#include "tests/unit/collect_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

enum { HOUR = 490000 };
#define AT(hour) ((int64_t)(hour)*3600 * 1000000)

static struct node_sets sets;
static struct failed_sets *failed;

static void open_sets(void)
{
    failed = failed_sets_open(&sets, &stage.settings);
    assert_non_null(failed);
    failed_sets_tick(failed, AT(HOUR) + 1);
}

static int begin(void **state)
{
    int status = stage_set_up(state);
    memset(&sets, 0, sizeof sets);
    stage.settings.top_sets = top_of_deliveries;
    snprintf(stage.settings.run_directory, sizeof stage.settings.run_directory, "%s", stage.folder);
    open_sets();
    return status;
}

static int end(void **state)
{
    failed_sets_close(failed);
    return stage_tear_down(state);
}

static void count(int64_t time_us, enum label_status status, const char *domain, const char *host, const char *text)
{
    const struct hop hop = {.domain = {domain, strlen(domain)}, .host = {host, strlen(host)}};
    struct delivery delivery = delivery_begin(&stage.settings, &hop, status);
    delivery.text = (struct span){text, strlen(text)};
    failed_sets_count(failed, time_us, &delivery, delivery_problem(delivery.text));
}

/* "MEMBER RECIPIENTS REFUSED, …" of a table that the pusher has, as they lie there; "" where there is none of that hour. */
static const char *held(enum top_set set, int64_t hour)
{
    static char text[4096];
    struct sets_table table;
    char *end = text;
    *text = '\0';
    for (unsigned i = 0; node_tables_table(i, &table); i++) {
        if (table.set != set || table.hour != hour)
            continue;
        for (unsigned j = 0; j < table.sum->used && end < text + 3000; j++) {
            const struct heavy_entry *entry = &table.entries[j];
            end += sprintf(end, "%s%.*s %" PRIu64 " %" PRIu64, j == 0 ? "" : ", ", entry->length, entry->member,
                           entry->counts[top_by_recipients], entry->counts[top_by_refused]);
        }
    }
    return text;
}

static void hand_over(void)
{
    assert_true(failed_sets_hand_over(failed, &stage.failure));
    node_tables_look(&stage.settings, HOUR * 3600);
}

#define FULL   "host mx.example said: 452 4.2.2 The email account that you tried to reach is over quota"
#define LISTED "host mx.example said: 554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org"
#define LATER  "host mx.example said: 450 4.2.0 Recipient address rejected: Greylisted, see http://postgrey"

static void test_members(void **state)
{
    (void)state;
    count(AT(HOUR), status_deferred, "mail.Example.co.uk", "mx1.example.net", FULL);
    count(AT(HOUR), status_deferred, "example.co.uk.", "mx2.example.net", FULL);
    count(AT(HOUR), status_deferred, "example.org", "mx1.example.net", LISTED);
    count(AT(HOUR), status_bounced, "example.com", "mx1.example.net", LISTED);
    count(AT(HOUR), status_bounced, "example.com", "mx1.example.net", "host mx.example said: 550 5.1.1 User unknown");
    count(AT(HOUR), status_deferred, "example.com", "mx1.example.net", LATER);
    count(AT(HOUR), status_deferred, "", "", "connect to x: Connection refused");
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR),
                        "example.co.uk mailbox_full 2 0, example.org blocklisted 1 0, example.com greylisted 1 0, "
                        "localhost connection_refused 1 0");
    assert_string_equal(held(top_refusing_provider, HOUR), "example.net blocklisted 2 1");
}

/* Within the bound of a name; beside what no domain can be. */
static void test_names(void **state)
{
    char name[300], expected[400];
    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[255 - strlen(" mailbox_full")] = '\0';
    count(AT(HOUR), status_deferred, name, "", FULL);
    hand_over();
    sprintf(expected, "%s mailbox_full 1 0", name);
    assert_string_equal(held(top_deferred_domain, HOUR), expected);
    strcat(name, "a");
    count(AT(HOUR), status_deferred, name, "", FULL);
    count(AT(HOUR), status_deferred, "...", "", FULL);
    count(AT(HOUR), status_bounced, "x", "\x1b[1m", LISTED);
    count(AT(HOUR), status_bounced, "x", "a\xff", LISTED);
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR), expected);
    assert_string_equal(held(top_refusing_provider, HOUR), "a? blocklisted 1 1");
}

static void read_line(enum mta_kind kind, const char *program, const char *message)
{
    static struct log_memory memory;
    struct log_counter counter = {
        .kind = kind, .counting = {&stage.settings, &stage.tally, failed, 0}, .memory = &memory};
    memset(&memory, 0, sizeof memory);
    log_count_line(&counter, &(struct log_line){.time_us = AT(HOUR),
                                                .program = {program, strlen(program)},
                                                .message = {message, strlen(message)}});
}

/* Logs have commands and files in place of recipients: none of them is a domain, nor is what stands behind an @ in them. */
static void test_no_names(void **state)
{
    static const struct {
        enum mta_kind kind;
        const char *program, *message;
    } lines[] = {
        {mta_kind_exim, "",
         "1xUVMF-0002qP-0W == /var/mail/@joe.doe/new <joe@example.org> R=f T=address_file defer (-22): mailbox is "
         "full"},
        {mta_kind_exim, "",
         "1xUVMF-0002qP-0W == |/bin/tell joe@doe.example/joe <joe@example.org> R=f T=address_pipe defer (0): mailbox "
         "is "
         "full"},
        {mta_kind_sendmail, "sm-mta",
         "6AKKJas021488: to=\"|/bin/tell -f joe@doe.example /home/joe\", delay=00:00:00, mailer=prog, pri=1, "
         "dsn=4.0.0, "
         "stat=Deferred: mailbox is full"},
        {mta_kind_sendmail, "sm-mta",
         "6AKKJas021488: to=/home/@joe/doe, delay=00:00:00, mailer=*file*, pri=1, dsn=4.0.0, stat=Deferred: mailbox is "
         "full"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        read_line(lines[i].kind, lines[i].program, lines[i].message);
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR), "example.org mailbox_full 2 0, localhost mailbox_full 2 0");
}

/* Who refuses is told by our MTA, not by what a server says. */
static void test_told_by_others(void **state)
{
    (void)state;
    read_line(
        mta_kind_postfix, "postfix/error",
        "4F2A31C0D5: to=<a@example.org>, relay=none, delay=1, delays=1/0/0/0, dsn=4.0.0, status=deferred (delivery "
        "temporarily suspended: host mx.example.org[192.0.2.1] refused to talk to me: 554 blocked using "
        "zen.spamhaus.org, connect to mx.example.net[192.0.2.2]:25)");
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR), "example.org blocklisted 1 0");
    assert_string_equal(held(top_refusing_provider, HOUR), "");
}

/* As sendmail's log has them; with privacy they are networks like any other. */
static void test_addresses(void **state)
{
    static const char *const relays[] = {"[IPv6:2001:db8:1:2::3]", "[IPv6:2001:db8:1:2::3] [IPv6:2001:db8:1:2::3]",
                                         "[192.0.2.17]", "[192.0.2.17] [192.0.2.17]"};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof relays / sizeof relays[0]; i++) {
        char line[512];
        if (i == sizeof relays / sizeof relays[0]) {
            hand_over();
            assert_string_equal(held(top_refusing_provider, HOUR),
                                "2001:db8:1:2::3 blocklisted 2 2, 192.0.2.17 blocklisted 2 2");
            failed_sets_close(failed);
            stage.settings.privacy = true;
            open_sets();
        }
        snprintf(line, sizeof line,
                 "6AKKJas021488: to=<a@example.org>, delay=00:00:00, mailer=esmtp, pri=1, relay=%s, dsn=5.7.1, "
                 "reply=554 5.7.1 blocked using zen.spamhaus.org, stat=Service unavailable",
                 relays[i % (sizeof relays / sizeof relays[0])]);
        read_line(mta_kind_sendmail, "sm-mta", line);
    }
    hand_over();
    assert_string_equal(held(top_refusing_provider, HOUR),
                        "2001:db8:1::/48 blocklisted 2 2, 192.0.2.0/24 blocklisted 2 2");
}

/* By the hour of the line: the one that runs, which one of the future is, too, and the one before. */
static void test_hours(void **state)
{
    (void)state;
    count(AT(HOUR) - 1, status_deferred, "before.example", "", FULL);
    count(AT(HOUR - 1) - 1, status_deferred, "old.example", "", FULL);
    count(0, status_deferred, "now.example", "", FULL);
    count(AT(HOUR + 2), status_deferred, "ahead.example", "", FULL);
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR - 1), "before.example mailbox_full 1 0");
    assert_string_equal(held(top_deferred_domain, HOUR),
                        "now.example mailbox_full 1 0, ahead.example mailbox_full 1 0");
    failed_sets_tick(failed, AT(HOUR + 1));
    count(AT(HOUR + 1), status_deferred, "next.example", "", FULL);
    assert_true(failed_sets_hand_over(failed, &stage.failure));
    node_tables_look(&stage.settings, (HOUR + 1) * 3600);
    assert_string_equal(held(top_deferred_domain, HOUR - 1), "");
    assert_string_equal(held(top_deferred_domain, HOUR + 1), "next.example mailbox_full 1 0");
    node_tables_look(&stage.settings, (HOUR + 2) * 3600); /* nobody has written since: an old hour goes */
    assert_string_equal(held(top_deferred_domain, HOUR), "");
    assert_string_equal(held(top_deferred_domain, HOUR + 1), "next.example mailbox_full 1 0");
}

/* A clock that goes ahead for a while takes nothing from the hour that runs. */
static void test_clock(void **state)
{
    (void)state;
    count(0, status_deferred, "now.example", "", FULL);
    failed_sets_tick(failed, AT(HOUR + 2));
    count(0, status_deferred, "ahead.example", "", FULL);
    failed_sets_tick(failed, AT(HOUR));
    count(0, status_deferred, "now.example", "", FULL);
    count(AT(HOUR) - 1, status_deferred, "before.example", "", FULL);
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR), "now.example mailbox_full 2 0");
    assert_string_equal(held(top_deferred_domain, HOUR - 1), "before.example mailbox_full 1 0");
}

static void test_not_asked_for(void **state)
{
    (void)state;
    stage.settings.top_sets = 1 << top_deferred_domain;
    count(AT(HOUR), status_deferred, "example.org", "mx1.example.net", LISTED);
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR), "example.org blocklisted 1 0");
    assert_string_equal(held(top_refusing_provider, HOUR), "");
    stage.settings.top_sets = 0;
    node_tables_look(&stage.settings, HOUR * 3600);
    assert_string_equal(held(top_deferred_domain, HOUR), "");
}

/* A run of the collector goes on with the memory of the one before. */
static void test_next_run(void **state)
{
    (void)state;
    count(AT(HOUR), status_deferred, "example.org", "", FULL);
    failed_sets_close(failed);
    open_sets();
    count(AT(HOUR), status_deferred, "example.org", "", FULL);
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR), "example.org mailbox_full 2 0");
}

/* With privacy no address that was counted without it leaves the pusher, whichever of the two is started again first. */
static void test_privacy(void **state)
{
    (void)state;
    count(AT(HOUR), status_bounced, "x", "192.0.2.17", LISTED);
    hand_over();
    assert_string_equal(held(top_refusing_provider, HOUR), "192.0.2.17 blocklisted 1 1");
    stage.settings.privacy = true;
    node_tables_look(&stage.settings, HOUR * 3600);
    assert_string_equal(held(top_refusing_provider, HOUR), "");
    failed_sets_close(failed);
    open_sets();
    count(AT(HOUR), status_bounced, "x", "192.0.2.18", LISTED);
    hand_over();
    assert_string_equal(held(top_refusing_provider, HOUR), "192.0.2.0/24 blocklisted 1 1");
    failed_sets_close(failed);
    open_sets();
    count(AT(HOUR), status_bounced, "x", "192.0.2.19", LISTED);
    hand_over();
    assert_string_equal(held(top_refusing_provider, HOUR), "192.0.2.0/24 blocklisted 2 2");
}

static unsigned changed(void)
{
    struct sets_table table;
    unsigned tables = 0;
    for (unsigned i = 0; node_tables_table(i, &table); i++) {
        tables += table.changed;
        node_tables_take_changed(i);
    }
    return tables;
}

static void test_changed(void **state)
{
    (void)state;
    count(AT(HOUR), status_deferred, "example.org", "", FULL);
    hand_over();
    assert_int_equal(changed(), 1);
    hand_over(); /* nothing new, and the same file */
    assert_int_equal(changed(), 0);
    for (unsigned i = 0; i < NODE_SETS_TABLES; i++)
        node_tables_give_changed(i);
    assert_int_equal(changed(), 1);
    count(AT(HOUR), status_deferred, "example.com", "", FULL);
    hand_over();
    assert_int_equal(changed(), 1);
}

/* What is not whole changes nothing. */
static void test_damaged(void **state)
{
    struct stat status;
    (void)state;
    count(AT(HOUR), status_deferred, "example.org", "", FULL);
    hand_over();
    assert_int_equal(stat(NODE_SETS_FILE, &status), 0);
    const off_t places[] = {0, 8, 16, 24, 40, status.st_size - 1};
    for (size_t i = 0; i <= sizeof places / sizeof places[0]; i++) {
        count(AT(HOUR), status_deferred, "example.com", "", FULL);
        assert_true(failed_sets_hand_over(failed, &stage.failure));
        int fd = open(NODE_SETS_FILE, O_RDWR);
        char byte;
        if (i == sizeof places / sizeof places[0]) {
            assert_int_equal(ftruncate(fd, status.st_size - 1), 0);
        } else {
            assert_int_equal(pread(fd, &byte, 1, places[i]), 1);
            byte ^= 1;
            assert_int_equal(pwrite(fd, &byte, 1, places[i]), 1);
        }
        close(fd);
        node_tables_look(&stage.settings, HOUR * 3600);
        assert_string_equal(held(top_deferred_domain, HOUR), "example.org mailbox_full 1 0");
    }
    assert_int_equal(unlink(NODE_SETS_FILE), 0);
    assert_int_equal(mkfifo(NODE_SETS_FILE, 0600), 0); /* does not hang, either */
    node_tables_look(&stage.settings, HOUR * 3600);
    assert_string_equal(held(top_deferred_domain, HOUR), "example.org mailbox_full 1 0");
}

/* A folder that cannot be written to: said, and tried again. */
static void test_not_written(void **state)
{
    (void)state;
    count(AT(HOUR), status_deferred, "example.org", "", FULL);
    assert_int_equal(mkdir(NODE_SETS_FILE ".new", 0700), 0);
    assert_false(failed_sets_hand_over(failed, &stage.failure));
    assert_non_null(strstr(stage.failure.text, NODE_SETS_FILE));
    assert_int_equal(rmdir(NODE_SETS_FILE ".new"), 0);
    hand_over();
    assert_string_equal(held(top_deferred_domain, HOUR), "example.org mailbox_full 1 0");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_members),        TEST(test_names),   TEST(test_no_names), TEST(test_addresses),
        TEST(test_told_by_others), TEST(test_hours),   TEST(test_clock),    TEST(test_not_asked_for),
        TEST(test_next_run),       TEST(test_privacy), TEST(test_changed),  TEST(test_damaged),
        TEST(test_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
