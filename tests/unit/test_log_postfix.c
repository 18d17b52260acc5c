/* The log of Postfix line by line: what each counts. */
#include "exporter/collect/log_postfix.h"

#include "tests/unit/counted_line.h"
#include "tests/unit/log_postfix_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct settings settings;
static const struct counting counting = {.settings = &settings, .tally = &counted_tally};
static struct log_postfix state;

static unsigned check(const struct row *rows, size_t count)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < count; i++) {
        char text[2048];
        struct log_line line = {.program = {rows[i].program, strlen(rows[i].program)},
                                .message = {rows[i].message, strlen(rows[i].message)}};
        counted_text(log_postfix_count(&state, &counting, &line), text);
        if (strcmp(text, rows[i].counted) == 0)
            continue;
        print_error("%s: %s\n  expected %s\n  got      %s\n", rows[i].program, rows[i].message, rows[i].counted, text);
        wrong++;
    }
    return wrong;
}

#define CHECK(rows) assert_int_equal(check(rows, sizeof rows / sizeof rows[0]), 0)

static void test_deliveries(void **unused)
{
    (void)unused;
    CHECK(deliveries);
}

static void test_rejects(void **unused)
{
    (void)unused;
    CHECK(rejects);
}

static void test_events(void **unused)
{
    (void)unused;
    CHECK(events);
}

/* What waited expires where it was to go. */
static void test_expired(void **unused)
{
#define DEFERRED(id, relay)                                                                                            \
    id ": to=<joe@example.com>, relay=" relay ", delay=0, delays=0/0/0/0, dsn=4.4.1, status=deferred (later)"
#define EXPIRED(id) id ": from=<a@ext.example>, status=expired, returned to sender"
    static const struct row rows[] = {
        {"postfix/smtp", DEFERRED("4F2A31C0D5", "mx[10.0.0.4]:25"),
         "used: deliveries internal deferred, delivery_problems other deferred, delivery_codes 4.4.1 deferred"},
        {"postfix/smtp", DEFERRED("4XvKwn5rTdz1c2D", "127.0.0.1[127.0.0.1]:10024"), "ignored"},
        {"postfix/qmgr", EXPIRED("4F2A31C0D5"), "used: deliveries internal expired"},
        {"postfix/qmgr", EXPIRED("4F2A31C0D7"), "used: deliveries external expired"},
        {"postfix/qmgr", EXPIRED("4XvKwn5rTdz1c2D"), "ignored"},
        {"postfix/qmgr", "4F2A31C0D5: from=<>, status=force-expired, returned to sender",
         "used: deliveries internal expired"},
        {"postfix/qmgr", "4F2A31C0D5: from=<a@x>, status=new", "unparsed"},
        {"postfix/qmgr", "4F2A31C0D5: from=<a@x", "unparsed"},
    };
    (void)unused;
    CHECK(rows);
}

/* Any line that is cut anywhere is read without harm, and counts nothing twice. */
static void test_cut(void **unused)
{
    (void)unused;
    const struct row *const tables[] = {deliveries, rejects, events};
    const size_t counts[] = {sizeof deliveries / sizeof deliveries[0], sizeof rejects / sizeof rejects[0],
                             sizeof events / sizeof events[0]};
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < counts[t]; i++) {
            const struct row *row = &tables[t][i];
            for (size_t length = 0; length < strlen(row->message); length++) {
                char text[2048], *copy = malloc(length + (length == 0));
                struct log_line line = {.program = {row->program, strlen(row->program)}, .message = {copy, length}};
                memcpy(copy, row->message, length);
                counted_text(log_postfix_count(&state, &counting, &line), text);
                assert_null(strstr(text, " x"));
                free(copy);
            }
        }
    }
}

static int setup(void **unused)
{
    (void)unused;
    settings.trusted_networks.count = 1;
    assert_null(network_parse("10.0.0.0/8", &settings.trusted_networks.list[0]));
    assert_null(own_domains_add(&settings.domains, "own.example", ""));
    settings.reject_texts.count = 1;
    settings.reject_texts.list[0].class = class_auth_required;
    strcpy(settings.reject_texts.list[0].text, "our own words");
    settings.collector_destinations_ignore.count = 1;
    assert_null(network_parse("127.0.0.1", &settings.collector_destinations_ignore.list[0].network));
    settings.collector_destinations_ignore.list[0].is_network = 1;
    settings.collector_destinations_ignore.list[0].port = 10024;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deliveries), cmocka_unit_test(test_rejects), cmocka_unit_test(test_events),
        cmocka_unit_test(test_expired),    cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
