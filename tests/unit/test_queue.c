/* exporter/collect/queue.c, queue_places.c, queue_pattern.c: which directories are looked at, what the gauges are then, and when the next pass is due. */
#include "exporter/collect/queue.c"

#include "tests/unit/queue_stage.h"

#include "conf/lib/options.h"

static struct queue_places places;

static bool find(void)
{
    failure = (struct failure){EX_OK, ""};
    return queue_places_find(&settings, &places, &failure);
}

/* The directories of a queue, in the spool, with blanks between. */
static const char *directories_of(enum label_queue queue)
{
    static char text[2048];
    text[0] = '\0';
    for (unsigned i = 0; i < places.count; i++) {
        if (places.list[i].queue != queue)
            continue;
        assert_int_equal(strncmp(places.list[i].directory, spool, strlen(spool)), 0);
        strcat(strcat(text, text[0] != '\0' ? " " : ""), places.list[i].directory + strlen(spool) + 1);
    }
    return text;
}

/* ---- places ---- */

static void test_postfix_places(void **state)
{
    (void)state;
    put_config("main.cf", "# queue_directory = /wrong\nqueue_directory = /wrong\n\nqueue_directory =\n\t%s/q \nx = y\n",
               spool);
    configure(mta_kind_postfix, "");
    settings.mta_config[strlen(settings.mta_config) - 1] = '\0';
    assert_true(find());
    assert_int_equal(places.count, 6);
    assert_int_equal(places.list[5].queue, queue_deferred);
    assert_string_equal(directories_of(queue_deferred), "q/deferred");
    assert_string_equal(directories_of(queue_maildrop), "q/maildrop");
    assert_false(places.has_instances);
    settings.mta_kind = mta_kind_auto; /* a folder is Postfix' */
    assert_true(find());
    assert_int_equal(places.count, 6);
    put_config("main.cf", "multi_instance_directories = /etc/postfix-out\n");
    assert_true(find());
    assert_true(places.has_instances);
    assert_string_equal(places.list[0].directory, "/var/spool/postfix/active");
    put_config("main.cf", "queue_directory = ${elsewhere}/q\n");
    assert_false(find());
    assert_non_null(strstr(failure.text, "queue_directory = ${elsewhere}/q is not a plain path"));
    assert_int_equal(remove(in_spool("main.cf")), 0);
    assert_false(find());
    assert_non_null(strstr(failure.text,
                           "main.cf, which says where the queues are, cannot be read: No such file or directory; see"));
}

static void test_sendmail_places(void **state)
{
    (void)state;
    put_config("etc/sendmail.cf", "O QueueDirectory=%s/mqueue\nQslow, F=f, P=%s/mqueue/slow*, R=1\nQmqueue, R=1\n",
               spool, spool);
    put_config("etc/submit.cf", "O QueueDirectory = %s/clientmqueue\n", spool);
    spool_put_text("mqueue/slow1/x", "");
    spool_put_text("mqueue/slow2", "");
    spool_put_text("elsewhere/x", "");
    assert_int_equal(symlink("../elsewhere", in_spool("mqueue/slow3")), 0);
    configure(mta_kind_sendmail, "etc/sendmail.cf");
    assert_true(find());
    const char *found = directories_of(queue_mqueue);
    assert_true(strcmp(found, "mqueue/slow1 mqueue/slow3 mqueue") == 0 ||
                strcmp(found, "mqueue/slow3 mqueue/slow1 mqueue") == 0);
    assert_string_equal(directories_of(queue_clientmqueue), "clientmqueue");
    put_config("etc/sendmail.cf", "O queuedirectory = %s/mqueue/slow*\n", spool);
    assert_int_equal(remove(in_spool("etc/submit.cf")), 0);
    settings.mta_kind = mta_kind_auto; /* a file is sendmail's */
    assert_true(find());
    assert_int_equal(places.count, 2);
    settings.mta_kind = mta_kind_sendmail;
    assert_int_equal(remove(in_spool("etc/sendmail.cf")), 0);
    assert_false(find());
    assert_non_null(strstr(failure.text, "sendmail.cf, which says where the queues are, cannot be read"));
}

static void test_exim_places(void **state)
{
    (void)state;
    put_config("exim.conf", "spool_directory = %s/exim\n", spool);
    spool_put_text("exim/slow/input/x", "");
    spool_put_text("exim/msglog/x", "");
    configure(mta_kind_exim, "exim.conf");
    assert_true(find());
    assert_string_equal(directories_of(queue_input), "exim/input exim/slow/input");

    /* The first message makes its directory. */
    struct queue_collector *self = opened();
    assert_true(run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_input), 0);
    assert_int_equal(GAUGE_OF(queue_messages, queue_frozen), 0);
    assert_int_equal(rename(in_spool("exim"), in_spool("away")), 0);
    assert_false(run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_input), GAUGE_ABSENT);
    free(self);
}

static void test_own_places(void **state)
{
    (void)state;
    put_config("main.cf", "queue_directory = %s/q\n", spool);
    configure(mta_kind_postfix, ".");
    spool_put_text("in1/x", "");
    spool_put_text("in2/x", "");
    add_own_queue("out/deferred/", queue_form_postfix);
    add_own_queue("in*", queue_form_sendmail);
    add_own_queue("out/active", queue_form_postfix);
    assert_true(find());
    assert_int_equal(places.count, 10);
    assert_string_equal(directories_of(queue_own_0), "out/deferred");
    assert_int_equal(strlen(directories_of(queue_own_1)), strlen("in1 in2"));
    assert_true(places.list[0].is_own && places.list[0].shows_tried && !places.list[3].shows_tried);
    assert_true(places.list[1].format == &queue_format_sendmail && places.list[1].shows_tried);
}

/* ---- gauges ---- */

static void test_run(void **state)
{
    const int64_t now = clock_us(CLOCK_REALTIME);
    (void)state;
    put_config("main.cf", "queue_directory = %s/q\n", spool);
    configure(mta_kind_postfix, ".");
    for (const char *const *name = (const char *const[]){"active", "incoming", "maildrop", "hold", "corrupt", NULL};
         *name != NULL; name++) {
        char path[64];
        snprintf(path, sizeof path, "q/%s/.x", *name);
        spool_put_text(path, "");
    }
    put_postfix("q/deferred/A/ABCDE1", 500, now - 1000000000, "");
    put_postfix("q/deferred/B/ABCDE2", 700, now - 10000000, "a@ext.test");
    put_postfix("q/active/ABCDE3", 11, now, "a@ext.test");
    add_own_queue("gone", queue_form_sendmail);
    struct queue_collector *self = opened();
    assert_false(collect_queue.run(self, &failure)); /* the operator's queue is not there, which spoils no other */
    assert_non_null(strstr(failure.text, "/gone cannot be read: No such file or directory; see collector.queues"));
    assert_int_equal(GAUGE_OF(queue_messages, queue_own_0), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_messages, queue_deferred), 2);
    assert_int_equal(GAUGE_OF(queue_bytes, queue_deferred), 1200);
    assert_int_equal(GAUGE_OF(queue_tried_messages, queue_deferred), 2);
    assert_int_equal(GAUGE_OF(queue_null_sender_messages, queue_deferred), 1);
    assert_in_range(GAUGE_OF(queue_oldest_seconds, queue_deferred), 1000000000, 1000000000 + 600000000);
    assert_int_equal(AGE_OF(queue_deferred, age_to_20m), 1);
    assert_int_equal(AGE_OF(queue_deferred, age_to_5m), 1);
    assert_int_equal(AGE_OF(queue_deferred, age_beyond), 0);
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_deferred), 1);
    assert_in_range(GAUGE_OF(queue_scan_timestamp_seconds, queue_deferred), now, now + 600000000);
    assert_true(GAUGE_OF(queue_scan_seconds, queue_deferred) >= 0);
    assert_int_equal(GAUGE_OF(queue_messages, queue_active), 1);
    assert_int_equal(GAUGE_OF(queue_tried_messages, queue_active), GAUGE_ABSENT); /* not to be seen */
    assert_int_equal(GAUGE_OF(queue_messages, queue_hold), 0);
    assert_int_equal(GAUGE_OF(queue_oldest_seconds, queue_hold), 0);
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), GAUGE_ABSENT); /* of another MTA */
    assert_int_equal(GAUGE_OF(queue_messages, queue_frozen), GAUGE_ABSENT);
    assert_in_range(collect_queue.pause_ms(self), 20000, 30000);

    /* What cannot be seen any more is absent, and seen again when it is back. */
    assert_int_equal(rename(in_spool("q/deferred"), in_spool("q/away")), 0);
    assert_false(collect_queue.run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_deferred), GAUGE_ABSENT);
    assert_int_equal(AGE_OF(queue_deferred, age_to_20m), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_scan_complete, queue_deferred), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_messages, queue_active), 1);
    assert_int_equal(rename(in_spool("q/away"), in_spool("q/deferred")), 0);
    spool_put_text("gone/x", "");
    assert_true(collect_queue.run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_deferred), 2);
    assert_int_equal(GAUGE_OF(queue_messages, queue_own_0), 0);
    collect_queue.close(self);
}

/* Of what may not be read the number is known, and nothing else. */
static void test_unreadable(void **state)
{
    (void)state;
    if (geteuid() == 0 && (seteuid(65534) != 0 || seteuid(0) != 0))
        skip();
    put_config("main.cf", "queue_directory = %s/q\n", spool);
    configure(mta_kind_postfix, ".");
    put_postfix("q/deferred/A/ABCDE1", 500, 1, "");
    put_postfix("q/deferred/A/ABCDE2", 500, 1, "");
    for (const char *const *name = (const char *const[]){"", "main.cf", "q", "q/deferred", "q/deferred/A", NULL};
         *name != NULL; name++)
        assert_int_equal(chmod(in_spool(*name), 0755), 0);
    assert_int_equal(chmod(in_spool("q/deferred/A/ABCDE2"), 0000), 0);
    struct queue_collector *self = open_queues(&settings, &tally, &failure);
    bool is_root = geteuid() == 0;
    assert_int_equal(is_root ? chmod(in_spool("q/deferred/A/ABCDE1"), 0744) : 0, 0);
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    bool good = run(self, &failure);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_false(good);
    assert_int_equal(GAUGE_OF(queue_messages, queue_deferred), 2);
    assert_int_equal(GAUGE_OF(queue_bytes, queue_deferred), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_oldest_seconds, queue_deferred), GAUGE_ABSENT);
    assert_int_equal(AGE_OF(queue_deferred, age_to_5m), GAUGE_ABSENT);
    free(self);
}

/* A queue of which a part cannot be seen is not seen, and quarantined messages could be there, too; other queues are. */
static void test_part_of_a_queue(void **state)
{
    (void)state;
    put_config("sendmail.cf", "O QueueDirectory=%s/mqueue\nQslow, P=%s/gone\n", spool, spool);
    put_config("submit.cf", "O QueueDirectory=%s/clientmqueue\n", spool);
    spool_put_text("mqueue/qf5AK100000001", "T1\n");
    spool_put_text("clientmqueue/qf5AK100000001", "T1\n");
    configure(mta_kind_sendmail, "sendmail.cf");
    struct queue_collector *self = opened();
    assert_false(run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_messages, queue_quarantined), GAUGE_ABSENT);
    assert_int_equal(GAUGE_OF(queue_messages, queue_clientmqueue), 1);
    spool_put_text("gone/qf5AK100000001", "T1\n");
    assert_true(run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), 2);
    assert_int_equal(GAUGE_OF(queue_messages, queue_quarantined), 0);
    free(self);
}

/* Of a pattern nothing is found, since nothing may be read. */
static void test_pattern_without_rights(void **state)
{
    bool is_root = geteuid() == 0;
    (void)state;
    if (is_root && (seteuid(65534) != 0 || seteuid(0) != 0))
        skip();
    put_config("sendmail.cf", "O QueueDirectory=%s/mqueue/q*\n", spool);
    spool_put_text("mqueue/q1/qf5AK100000001", "T1\n");
    configure(mta_kind_sendmail, "sendmail.cf");
    assert_int_equal(chmod(spool, 0755) + chmod(in_spool("sendmail.cf"), 0644) + chmod(in_spool("mqueue"), 0000), 0);
    struct queue_collector *self = opened();
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    bool good = run(self, &failure);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(in_spool("mqueue"), 0700), 0);
    assert_false(good);
    assert_non_null(
        strstr(failure.text, "/mqueue/ cannot be read: Permission denied; milterscope-collector is to run"));
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), GAUGE_ABSENT);
    assert_true(run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_mqueue), 1);
    free(self);
}

/* Without an MTA there are the operator's queues, or a sentence. */
static void test_no_mta(void **state)
{
    (void)state;
    if (options_installed_mta() != mta_kind_auto)
        skip();
    assert_null(open_queues(&settings, &tally, &failure));
    assert_string_equal(failure.text, "no mail server is found on this host, so there are no queues; set mta.kind");
    spool_put_text("in/qf5AK100000001", "T1\n");
    add_own_queue("in", queue_form_sendmail);
    struct queue_collector *self = opened();
    assert_true(run(self, &failure));
    assert_int_equal(GAUGE_OF(queue_messages, queue_own_0), 1);
    free(self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_postfix_places),
        TEST(test_sendmail_places),
        TEST(test_exim_places),
        TEST(test_own_places),
        TEST(test_run),
        TEST(test_unreadable),
        TEST(test_part_of_a_queue),
        TEST(test_pattern_without_rights),
        TEST(test_no_mta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
