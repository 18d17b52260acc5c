/* exporter/collect/queue_sendmail.c, queue_exim.c: queues of sendmail and Exim as they lie on the disk. */
#include "tests/unit/queue_spool.h"

#include <cmocka.h>

#define SECOND INT64_C(1000000)
static const int64_t now = 1700000000 * SECOND;

static const struct queue_place mqueue = {.format = &queue_format_sendmail,
                                          .queue = queue_mqueue,
                                          .apart = queue_quarantined,
                                          .lost = queue_corrupt,
                                          .shows_tried = true};
static const struct queue_place own = {.format = &queue_format_sendmail,
                                       .queue = queue_own_0,
                                       .apart = queue_own_0,
                                       .lost = queue_corrupt,
                                       .is_own = true,
                                       .shows_tried = true};
static const struct queue_place input = {.format = &queue_format_exim,
                                         .queue = queue_input,
                                         .apart = queue_frozen,
                                         .lost = queue_input,
                                         .shows_tried = true};

static struct pass pass_over(struct queue_place place, const char *directory)
{
    struct pass pass = spool_pass(place, directory, now, &unbounded);
    assert_true(pass.good && pass.complete);
    return pass;
}

/* ---- sendmail ---- */

static void put_sendmail(const char *name, int64_t age, int tries, const char *sender)
{
    char text[1024];
    snprintf(text, sizeof text,
             "V8\nT%lld\nK1700000000\nN%d\nP30365\nI254/1/4711\nMDeferred: Connection refused by x.test.\nFrs\n"
             "$_localhost [127.0.0.1]\n$rESMTP\n${daemon_flags}\nS%s\nrRFC822; user@x.test\nRPFD:<user@x.test>\n"
             "H?P?Return-Path: <N9>\nH??Subject: T1\n\tS<>\n.\n",
             (long long)(now / SECOND - age), tries, sender);
    spool_put_text(name, text);
}

static void test_sendmail(void **state)
{
    (void)state;
    put_sendmail("mqueue/qf5AK100000001", 10, 0, "<a@ext.test>");
    put_sendmail("mqueue/qf5AK100000002", 400, 3, "<>");
    put_sendmail("mqueue/qf5AK100000003", 90000, 1, "");
    put_sendmail("mqueue/hf5AK100000004", 5000, 0, "a@ext.test");
    put_sendmail("mqueue/Qf5AK100000005", 5000, 9, "<>"); /* lost */
    spool_put_text("mqueue/Qf5AK100000009", "no envelope \x01");
    spool_put_text("mqueue/df5AK100000009", "012");
    put_sendmail("mqueue/tf5AK100000006", 5000, 9, "<>"); /* being written */
    put_sendmail("mqueue/xf5AK100000006", 5000, 9, "<>");
    put_sendmail("mqueue/qf", 5000, 9, "<>");
    spool_put_text("mqueue/qf5AK100000007", ""); /* just coming in */
    spool_put_text("mqueue/df5AK100000001", "0123456789");
    spool_put_text("mqueue/df5AK100000002", "01234");
    spool_put_text("mqueue/df5AK100000004", "0123456");
    put_sendmail("mqueue/old/qf5AK100000008", 5000, 9, "<>"); /* not of this queue */
    struct pass pass = pass_over(mqueue, "mqueue");
    const struct queue_sum *sum = &pass.sums[queue_mqueue], *apart = &pass.sums[queue_quarantined],
                           *lost = &pass.sums[queue_corrupt];
    assert_int_equal(sum->messages, 3);
    assert_int_equal(sum->tried, 2);
    assert_int_equal(sum->null_sender, 2);
    assert_int_equal(sum->bytes, 15);
    assert_int_equal(sum->oldest, 90000 * SECOND);
    assert_int_equal(sum->ages[age_to_5m], 1);
    assert_int_equal(sum->ages[age_to_20m], 1);
    assert_int_equal(sum->ages[age_to_2d], 1);
    assert_int_equal(apart->messages, 1);
    assert_int_equal(apart->tried, 0);
    assert_int_equal(apart->bytes, 7);
    assert_int_equal(apart->oldest, 5000 * SECOND);
    assert_int_equal(lost->messages, 2);
    assert_int_equal(lost->bytes, 3);
}

/* Envelopes and bodies in directories of their own; an operator's queue may be several directories. */
static void test_sendmail_directories(void **state)
{
    (void)state;
    put_sendmail("mqueue/qf/qf5AK100000001", 10, 0, "<>");
    spool_put_text("mqueue/df/df5AK100000001", "0123456789");
    put_sendmail("mqueue/qf/qf5AK100000002", 10, 0, "<>");
    spool_put_text("mqueue/df5AK100000002", "012");
    struct pass pass = pass_over(mqueue, "mqueue");
    assert_int_equal(pass.sums[queue_mqueue].messages, 2);
    assert_int_equal(pass.sums[queue_mqueue].bytes, 13);
    put_sendmail("in/q1/qf5AK100000001", 10, 0, "<a@ext.test>");
    put_sendmail("in/q2/qf/hf5AK100000001", 10, 0, "<a@ext.test>");
    spool_put_text("in/q2/df/df5AK100000001", "0123");
    put_sendmail("in/q2/df/qf5AK100000003", 10, 0, "<>");
    put_sendmail("in/.gone/qf5AK100000003", 10, 0, "<>");
    pass = pass_over(own, "in");
    assert_int_equal(pass.sums[queue_own_0].messages, 2);
    assert_int_equal(pass.sums[queue_own_0].bytes, 4);
    assert_int_equal(pass.sums[queue_own_0].null_sender, 0);
}

static void test_sendmail_garbage(void **state)
{
    char long_line[12000];
    (void)state;
    memset(long_line, 'M', sizeof long_line);
    spool_put("mqueue/qf1", long_line, sizeof long_line, 0600);
    spool_put("mqueue/qf2", "\0\0\0T1\nN1\nS", 10, 0600);
    spool_put_text("mqueue/qf3", "T99999999999999999999999999\nN-1\nS<");
    spool_put_text("mqueue/qf4", "\n\n\nT\nN\nS\nS<>x\nRx\nS<>");
    spool_put_text("mqueue/qf.\xff\x01..\\..", "T1699999990\nN7\nS<>\n");
    assert_int_equal(symlink("qf2", in_spool("mqueue/qf5")), 0);
    assert_int_equal(symlink("/dev/zero", in_spool("mqueue/df4")), 0);
    struct pass pass = pass_over(mqueue, "mqueue");
    assert_int_equal(pass.sums[queue_mqueue].messages, 5);
    assert_int_equal(pass.sums[queue_mqueue].tried, 1);
    assert_int_equal(pass.sums[queue_mqueue].null_sender, 1);
    assert_int_equal(pass.sums[queue_mqueue].bytes, 0);
}

/* ---- Exim ---- */

static const char *id_of(int64_t age, int number)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static char id[32];
    int64_t seconds = now / SECOND - age;
    snprintf(id, sizeof id, number % 2 == 0 ? "......-%06d-00" : "......-%011d-0000", number);
    for (int i = 5; i >= 0; i--, seconds /= 62)
        id[i] = digits[seconds % 62];
    return id;
}

static void put_exim(const char *directory, const char *id, const char *sender, const char *options)
{
    char name[256], text[2048];
    snprintf(text, sizeof text,
             "%s-H\nDebian-exim 101 101\n<%s>\n1699999999 0\n-received_time_usec .712345\n%s-body_linecount 1\nXX\n1\n"
             "user@x.test\n\n017  Subject: -frozen\n-frozen 1\n-deliver_firsttime\n",
             id, sender, options);
    snprintf(name, sizeof name, "%s/%s-H", directory, id);
    spool_put_text(name, text);
    snprintf(name, sizeof name, "%s/%s-D", directory, id);
    spool_put_text(name, "0123456789");
}

static int64_t exim_bytes(const char *directory, const char *id)
{
    char name[256];
    struct stat status;
    snprintf(name, sizeof name, "%s/%s-H", directory, id);
    assert_int_equal(stat(in_spool(name), &status), 0);
    return status.st_size + 10;
}

static void test_exim(void **state)
{
    char frozen[32], first[32], second[32];
    (void)state;
    strcpy(first, id_of(100, 1));
    put_exim("input", first, "a@ext.test", "-deliver_firsttime\n");
    strcpy(second, id_of(7200, 2));
    put_exim("input/k", second, "", "-helo_name x.test\n");
    strcpy(frozen, id_of(3 * 86400, 3));
    put_exim("input/k", frozen, "", "-frozen 1699999999\n-localerror\n");
    spool_put_text("input/k/hdr.4711", "");
    spool_put_text("input/k/1pXYZa-0000Ab-00-J", "");
    spool_put_text("input/k/1pXYZa-0000Ab-0-H", "");
    spool_put_text("input/k/1pXYZa-0000Ab-00-HH", "");
    put_exim("input/no", id_of(1, 5), "", "");
    struct pass pass = pass_over(input, "input");
    const struct queue_sum *sum = &pass.sums[queue_input], *apart = &pass.sums[queue_frozen];
    assert_int_equal(sum->messages, 2);
    assert_int_equal(sum->tried, 1);
    assert_int_equal(sum->null_sender, 1);
    assert_int_equal(sum->oldest, 7200 * SECOND);
    assert_int_equal(sum->bytes, exim_bytes("input", first) + exim_bytes("input/k", second));
    assert_int_equal(apart->messages, 1);
    assert_int_equal(apart->tried, 1);
    assert_int_equal(apart->null_sender, 1);
    assert_int_equal(apart->oldest, 3 * 86400 * SECOND);
    assert_int_equal(apart->bytes, exim_bytes("input/k", frozen));
}

/* A value that came from outside is skipped by its length, whatever it looks like. */
static void test_exim_values(void **state)
{
    (void)state;
    put_exim("input", id_of(1, 2), "a@x.test", "-aclm 0 10\n-frozen 1\n\n--aclc x 20\n-deliver_firsttime\nx\n");
    put_exim("input", id_of(1, 4), "a@x.test", "-aclm 0 3\nabc\n--helo_name -frozen 1\n-frozen 12\n");
    struct pass pass = pass_over(input, "input");
    assert_int_equal(pass.sums[queue_input].messages, 1);
    assert_int_equal(pass.sums[queue_input].tried, 1);
    assert_int_equal(pass.sums[queue_frozen].messages, 1);
}

static void test_exim_garbage(void **state)
{
    (void)state;
    spool_put_text("input/000000-000000-00-H", "");
    spool_put_text("input/zzzzzz-zzzzzzzzzzz-zzzz-H", "x\ny\n<>\n1 0\n-aclm 0 99999999999999999999\n-frozen 1\n");
    spool_put("input/1pXYZa-0000Ab-00-H", "\0\n\0\n\0", 5, 0600);
    spool_put_text("input/1pXYZa-0000Ac-00-H", "\n\n\n\n-\n--\n-aclm\n-acl \n");
    struct pass pass = pass_over(input, "input");
    assert_int_equal(pass.sums[queue_input].messages, 4);
    assert_int_equal(pass.sums[queue_frozen].messages, 0);
    assert_int_equal(pass.sums[queue_input].null_sender, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SPOOL_TEST(test_sendmail),         SPOOL_TEST(test_sendmail_directories),
                                       SPOOL_TEST(test_sendmail_garbage), SPOOL_TEST(test_exim),
                                       SPOOL_TEST(test_exim_values),      SPOOL_TEST(test_exim_garbage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
