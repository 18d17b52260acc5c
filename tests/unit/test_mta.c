/* exporter/collect/mta.c: what a run of the collector makes of its listeners, and what an MTA calls itself. */
#include "exporter/collect/mta.c"

#include "tests/unit/smtp_script.h"
#include "tests/unit/tally_form.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h> /* last: its fail is not ours */

static struct settings settings = {.run_directory = "/nonexistent", .log_level = log_level_error};
static struct tally tally;

static int64_t gauge(unsigned number)
{
    return atomic_load(&tally.self->gauges[number]);
}

/* A collector of listeners on loopback, with these deadlines. */
static struct mta *open_at(const uint16_t *ports, uint32_t count, int64_t deadline_ms)
{
    struct failure failure;
    settings.mta_listeners.count = count;
    for (uint32_t i = 0; i < count; i++) {
        assert_null(network_parse("127.0.0.1", &settings.mta_listeners.list[i].address));
        settings.mta_listeners.list[i].port = ports[i];
    }
    struct mta *self = collect_mta.open(&settings, &tally, &failure);
    assert_non_null(self);
    for (uint32_t i = 0; i < count; i++)
        self->list[i].check.greeting_ms = self->list[i].check.rest_ms = deadline_ms;
    return self;
}

static const struct script good = {{{.say = "220 mx ESMTP Sendmail 8.17.1.9/8.17.1.9/Debian-2; Fri\r\n"},
                                    {.hear = "EHLO", .say = "250 mx\r\n"},
                                    {.hear = "QUIT", .say = "221 bye\r\n"}},
                                   false};
static const struct script busy = {{{.say = "421 busy\r\n"}}, false};
static const struct script silent = {{{.say = NULL}}, true};

/* Those that say nothing make no other late. */
static void test_run(void **state)
{
    enum { SILENT = 6, COUNT = SILENT + 2, DEADLINE_OF_TEST_MS = 1000 };
    struct script_server scripted[COUNT];
    struct failure failure;
    uint16_t ports[COUNT];
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        assert_true(script_listen(&scripted[i]));
        ports[i] = scripted[i].port;
        assert_true(script_begin(&scripted[i], i < SILENT ? &silent : i == SILENT ? &good : &busy));
    }
    struct mta *self = open_at(ports, COUNT, DEADLINE_OF_TEST_MS);
    assert_true(collect_mta.run(self, &failure));
    assert_true(self->took_ms >= DEADLINE_OF_TEST_MS && self->took_ms < SILENT * DEADLINE_OF_TEST_MS);
    for (unsigned i = 0; i < COUNT; i++) {
        script_end(&scripted[i]);
        close(scripted[i].listener);
        assert_int_equal(gauge(gauge_mta_up + i), i == SILENT);
        assert_int_equal(gauge(gauge_milter_attached + i), GAUGE_ABSENT);
        assert_int_equal(gauge(gauge_tls_certificate_expiry_timestamp_seconds + i), GAUGE_ABSENT);
    }
    assert_int_equal(gauge(gauge_mta_up + COUNT), GAUGE_ABSENT); /* no listener */
    assert_string_equal(mta_version(self), "8.17.1.9");
    assert_int_equal(gauge(gauge_mta_info + (unsigned)server_sendmail), 1);
    assert_int_equal(gauge(gauge_mta_info + (unsigned)server_postfix), GAUGE_ABSENT);

    assert_true(collect_mta.run(self, &failure)); /* nobody is there any more; what it was is known still */
    assert_int_equal(gauge(gauge_mta_up + SILENT), 0);
    assert_int_equal(gauge(gauge_mta_info + (unsigned)server_sendmail), 1);
    collect_mta.close(self);
}

static void *end_soon(void *unused)
{
    poll(NULL, 0, 100);
    collectors_end = true;
    return unused;
}

/* The program does not wait for a server that says nothing, nor says that it is down. */
static void test_end(void **state)
{
    struct script_server server;
    struct failure failure;
    pthread_t thread;
    (void)state;
    assert_true(script_listen(&server) && script_begin(&server, &silent));
    struct mta *self = open_at(&server.port, 1, 60 * 1000);
    tally_gauge_set(&tally, gauge_mta_up, 1);
    assert_int_equal(pthread_create(&thread, NULL, end_soon, NULL), 0);
    assert_true(collect_mta.run(self, &failure));
    assert_true(self->took_ms < 20 * 1000);
    assert_int_equal(gauge(gauge_mta_up), 1);
    pthread_join(thread, NULL);
    collectors_end = false;
    script_end(&server);
    close(server.listener);
    collect_mta.close(self);
}

static void test_pause(void **state)
{
    struct mta self = {.took_ms = 0};
    (void)state;
    assert_int_equal(collect_mta.pause_ms(&self), 50 * 1000);
    self.took_ms = 20 * 1000;
    assert_int_equal(collect_mta.pause_ms(&self), 30 * 1000);
    self.took_ms = 90 * 1000;
    assert_int_equal(collect_mta.pause_ms(&self), 1000);
}

/* Nothing to check is no failure; and the deadlines of all checks fit into that of a run. */
static void test_limits(void **state)
{
    struct failure failure;
    (void)state;
    struct mta *self = open_at(NULL, 0, 1000);
    assert_true(collect_mta.run(self, &failure));
    collect_mta.close(self);
    const uint16_t ports[] = {25};
    settings.mta_listeners.count = 1;
    settings.mta_listeners.list[0].port = ports[0];
    self = collect_mta.open(&settings, &tally, &failure);
    const struct smtp_check *one = &self->list[0].check;
    assert_int_equal(one->greeting_ms, 10 * 1000);
    assert_true(one->greeting_ms + one->rest_ms < collect_mta.deadline_ms);
    collect_mta.close(self);
}

static const struct {
    const char *macro, *greeting;
    int server; /* -1: it does not say */
    const char *version;
} names[] = {
    {"Postfix 3.7.11", "mx ESMTP Postfix (Debian/GNU)", server_postfix, "3.7.11"},
    {"8.17.1.9", "mx ESMTP", server_sendmail, "8.17.1.9"},
    {"8.17.1.9", "mx ESMTP Sendmail 8.15.2/8.14.9; Fri", server_sendmail, "8.17.1.9"},
    {"", "mx ESMTP Sendmail 8.17.1.9/8.17.1.9/Debian-2; Fri, 20 Nov", server_sendmail, "8.17.1.9"},
    {"", "mx ESMTP Exim 4.96 Fri, 20 Nov 2026", server_exim, "4.96"},
    {"", "mx ESMTP Postfix 3.11-20260101-nonprod", server_postfix, "3.11-20260101-nonprod"},
    {"", "mx ESMTP Postfix (Debian/GNU)", -1, ""},
    {"", "8.mx.example.test ESMTP", -1, ""}, /* a host's name is no version */
    {"", "mx ESMTP ready", -1, ""},
    {"", "Postfix", -1, ""},
    {"", "Postfix ", -1, ""},
    {"", "", -1, ""},
    {"other 1.0", "", -1, ""},
    {"1234567890123456789012345678901", "", server_sendmail, "1234567890123456789012345678901"},
    {"12345678901234567890123456789012", "", -1, ""},
    {"8\"1\n", "", server_sendmail, "8"},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct mta self = {.tally = &tally, .count = 1};
        snprintf(self.list[0].seen.greeting, sizeof self.list[0].seen.greeting, "%s", names[i].greeting);
        bool known = take_macro(&self, names[i].macro) || take_greeting(&self, names[i].greeting);
        assert_int_equal(known ? (int)self.server : -1, names[i].server);
        assert_string_equal(mta_version(&self), names[i].version);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run), cmocka_unit_test(test_end),
                                       cmocka_unit_test(test_pause), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_names)};
    log_open("test", log_level_error, log_to_stderr);
    form_fresh(&tally);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    form_free(&tally);
    return failed;
}
