/* exporter/collect/queue_postfix.c, queue_scan.c: a queue of Postfix as it lies on the disk, whatever else lies there. */
#include "tests/unit/queue_spool.h"

#include "exporter/collect/collector.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
static const int64_t now = 1700000000 * SECOND;

static struct queue_place place_of(enum label_queue queue)
{
    return (struct queue_place){.format = &queue_format_postfix, .queue = queue, .apart = queue, .lost = queue};
}

static struct pass pass_over(const char *directory, enum label_queue queue)
{
    return spool_pass(place_of(queue), directory, now, &unbounded);
}

static void test_gauges(void **state)
{
    static const int64_t ages[] = {0,        300,   301,   1200,  1201,      3600,   3601,
                                   4 * 3600, 14401, 86400, 86401, 2 * 86400, 172801, 5 * 86400};
    (void)state;
    for (unsigned i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "deferred/%c/%05X%X", "0123456789ABCDEF"[i], i * 0x10000, 4711 + i);
        put_postfix(name, 1000 + i, now - ages[i] * SECOND, i % 3 == 0 ? "" : "a@ext.test");
    }
    struct pass pass = pass_over("deferred", queue_deferred);
    const struct queue_sum *sum = &pass.sums[queue_deferred];
    assert_true(pass.good && pass.complete);
    assert_int_equal(sum->messages, 14);
    assert_int_equal(sum->tried, 14);
    assert_int_equal(sum->null_sender, 5);
    assert_int_equal(sum->bytes, 14 * 1000 + 13 * 14 / 2);
    assert_int_equal(sum->oldest, 5 * 86400 * SECOND);
    for (int age = 0; age < age_COUNT; age++)
        assert_int_equal(sum->ages[age], 2); /* bounds belong to the bucket that they end */
}

/* The next attempt is what the times of the file tell. */
static void test_time_is_that_of_arrival(void **state)
{
    const struct timespec later[2] = {{.tv_sec = 1700004000}, {.tv_sec = 1700004000}};
    (void)state;
    put_postfix("deferred/A/A00001234", 10, now - 7 * SECOND - 5, "a@ext.test");
    assert_int_equal(utimensat(AT_FDCWD, in_spool("deferred/A/A00001234"), later, 0), 0);
    struct pass pass = pass_over("deferred", queue_deferred);
    assert_int_equal(pass.sums[queue_deferred].oldest, 7 * SECOND + 5);
    assert_int_equal(pass.sums[queue_deferred].ages[age_to_5m], 1);
}

/* A file without a time: a long name has one, a short one leaves that of the file; and one from the future is new. */
static void test_time_without_record(void **state)
{
    const struct timespec before[2] = {{.tv_sec = 1699999000}, {.tv_sec = 1699999000}};
    (void)state;
    spool_put("corrupt/4SGwPX0000zBcd", "", 0, 0400); /* 1700000000 - ... in base 52 */
    struct pass pass = pass_over("corrupt", queue_corrupt);
    int64_t expected = 0;
    for (const char *digit = "4SGwPX"; *digit != '\0'; digit++)
        expected = expected * 52 + (strchr("0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz", *digit) -
                                    "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz");
    assert_in_range(expected, 1600000000, 1700000000);
    assert_int_equal(pass.sums[queue_corrupt].oldest, now - expected * SECOND);
    spool_put("short/12345ABC", "garbage", 7, 0700);
    assert_int_equal(utimensat(AT_FDCWD, in_spool("short/12345ABC"), before, 0), 0);
    put_postfix("short/12345ABD", 1, now + 3600 * SECOND, "");
    pass = pass_over("short", queue_hold);
    assert_int_equal(pass.sums[queue_hold].messages, 2);
    assert_int_equal(pass.sums[queue_hold].oldest, 1000 * SECOND);
    assert_int_equal(pass.sums[queue_hold].ages[age_to_5m], 1);
    assert_int_equal(pass.sums[queue_hold].tried, 0);
}

/* Messages that cleanup and postdrop still write are not there yet; the size in maildrop is the file's. */
static void test_unfinished(void **state)
{
    struct records_made made = postfix_file(0, now - 10 * SECOND, "a@ext.test");
    (void)state;
    spool_put("incoming/12345A", made.bytes, made.length, 0600);
    spool_put("incoming/12345B", made.bytes, made.length, 0700);
    spool_put("incoming/12345.77", made.bytes, made.length, 0600);
    spool_put("maildrop/12345A", made.bytes, made.length, 0644);
    spool_put("maildrop/12345B", made.bytes, made.length, 0744);
    assert_int_equal(pass_over("incoming", queue_incoming).sums[queue_incoming].messages, 1);
    struct pass pass = pass_over("maildrop", queue_maildrop);
    assert_int_equal(pass.sums[queue_maildrop].messages, 1);
    assert_int_equal(pass.sums[queue_maildrop].bytes, made.length);
}

/* A milter has changed the sender: where it stood, a pointer leads to the new one behind the message. */
static void test_changed_sender(void **state)
{
    struct records_made made = postfix_file(3, now - SECOND, "someone@ext.test");
    char pointer[32], pad[9000];
    (void)state;
    memset(pad, 'x', sizeof pad);
    put_record(&made, 'N', pad, sizeof pad); /* the new one is beyond what is read at first */
    char *sender = memmem(made.bytes, made.length, "S\020someone@ext.test", 18);
    assert_non_null(sender);
    snprintf(pointer, sizeof pointer, "%15zu", made.length);
    sender[0] = 'p';
    sender[1] = 15;
    memcpy(sender + 2, pointer, 15);
    sender[17] = 'M'; /* what is left of the old one */
    put_record(&made, 'S', "", 0);
    spool_put("active/12345A", made.bytes, made.length, 0700);
    struct pass pass = pass_over("active", queue_active);
    assert_int_equal(pass.sums[queue_active].null_sender, 1);
    assert_int_equal(pass.sums[queue_active].bytes, 3);
    assert_int_equal(pass.sums[queue_active].oldest, SECOND);
}

/* Pointers in a circle, records longer than the file, no end of records. */
static void test_garbage(void **state)
{
    struct records_made circle = {.length = 0}, long_one = {.length = 0}, many = {.length = 0};
    (void)state;
    put_record(&circle, 'T', "1699999999 0", 12);
    put_record(&circle, 'p', "              1", 15);
    circle.bytes[1] = 'p'; /* read from there, it is a pointer once more */
    spool_put("active/AAAA1", circle.bytes, circle.length, 0700);
    put_record(&long_one, 'T', "1699999999 0", 12);
    spool_put("active/AAAA2", "T\377\377\377\377\377\377\377\377\177x", 11, 0700);
    spool_put("active/AAAA3", "T\377\377\377\001x", 6, 0700);
    for (int i = 0; i < 4000; i++)
        put_record(&many, 'A', "", 0);
    spool_put("active/AAAA4", many.bytes, many.length, 0700);
    spool_put("active/AAAA5", "", 0, 0700);
    struct records_made back = {.length = 0};
    put_record(&back, 'p', "              0", 15); /* means: go on */
    put_record(&back, 'p', "            -40", 15);
    spool_put("active/AAAA6", back.bytes, back.length, 0700);
    put_record(&back, 'p', "999999999999999", 15);
    spool_put("active/AAAA7", back.bytes + 17 * 2, 17, 0700);
    struct pass pass = pass_over("active", queue_active);
    assert_true(pass.good && pass.complete);
    assert_int_equal(pass.sums[queue_active].messages, 7);
    assert_int_equal(pass.sums[queue_active].null_sender, 0);
}

/* What is no message: other names, links, pipes, sockets, directories, also in a circle. */
static void test_other_things(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    put_postfix("hold/12345A", 1, now, "");
    put_postfix("hold/12345A.old", 1, now, "");
    put_postfix("hold/A-B", 1, now, "");
    put_postfix("hold/.hidden", 1, now, "");
    put_postfix("hold/longer/12345B", 1, now, ""); /* Postfix looks only into those of one character */
    put_postfix("hold/\xff\n\"\x1b[2J", 1, now, "");
    put_postfix("elsewhere/12345C", 1, now, "");
    assert_int_equal(symlink("12345A", in_spool("hold/12345D")), 0);
    assert_int_equal(symlink("../elsewhere", in_spool("hold/E")), 0);
    assert_int_equal(symlink(".", in_spool("hold/F")), 0);
    assert_int_equal(symlink("/dev/zero", in_spool("hold/12345E")), 0);
    assert_int_equal(mkfifo(in_spool("hold/12345F"), 0700), 0);
    assert_int_equal(mkdir(in_spool("hold/123456"), 0700), 0);
    strcpy(address.sun_path, in_spool("hold/1234567"));
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    struct pass pass = pass_over("hold", queue_hold);
    assert_true(pass.good && pass.complete);
    assert_int_equal(pass.sums[queue_hold].messages, 1);
    close(listener);
}

/* As deep as Postfix hashes, and no deeper. */
static void test_depth(void **state)
{
    char path[256] = "deferred";
    (void)state;
    for (int i = 0; i < QUEUE_DEPTH_MAX; i++)
        strcat(path, "/A");
    strcat(path, "/12345A");
    put_postfix(path, 1, now, "");
    struct pass pass = pass_over("deferred", queue_deferred);
    assert_true(pass.good && pass.complete);
    assert_int_equal(pass.sums[queue_deferred].messages, 1);
    *strrchr(path, '/') = '\0';
    strcat(path, "/A/12345B");
    put_postfix(path, 1, now, "");
    pass = pass_over("deferred", queue_deferred);
    assert_true(pass.good);
    assert_false(pass.complete);
    assert_int_equal(pass.sums[queue_deferred].messages, 1);
}

/* Out of time for reading, names are counted on; out of all time, what there is so far counts. */
static void test_bounds(void **state)
{
    const struct queue_bounds no_reading[] = {{{0, INT64_MAX}, {INT64_MAX, INT64_MAX}},
                                              {{INT64_MAX, 0}, {INT64_MAX, INT64_MAX}}};
    const struct queue_bounds nothing[] = {{{0, 0}, {0, INT64_MAX}}, {{0, 0}, {INT64_MAX, 0}}};
    (void)state;
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "deferred/%X/12345%X", i, i);
        put_postfix(name, 1, now, "");
    }
    for (int i = 0; i < 2; i++) {
        struct pass pass = spool_pass(place_of(queue_deferred), "deferred", now, &no_reading[i]);
        assert_true(pass.good);
        assert_false(pass.complete);
        assert_int_equal(pass.sums[queue_deferred].messages, 10);
        assert_int_equal(pass.sums[queue_deferred].bytes, 0);
        pass = spool_pass(place_of(queue_deferred), "deferred", now, &nothing[i]);
        assert_true(pass.good);
        assert_false(pass.complete);
        assert_int_equal(pass.sums[queue_deferred].messages, 0);
    }
}

/* The program ends: so does the pass. */
static void test_end(void **state)
{
    (void)state;
    put_postfix("deferred/A/12345A", 1, now, "");
    atomic_store(&collectors_end, true);
    struct pass pass = pass_over("deferred", queue_deferred);
    atomic_store(&collectors_end, false);
    assert_true(pass.good);
    assert_false(pass.complete);
    assert_int_equal(pass.sums[queue_deferred].messages, 0);
}

/* Reading leaves no trace: the access time is older than the change, so that any reading would move it. */
static void test_access_time(void **state)
{
    const struct timespec times[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1650000000}};
    struct stat status;
    (void)state;
    put_postfix("active/12345A", 1, now, "");
    assert_int_equal(utimensat(AT_FDCWD, in_spool("active/12345A"), times, 0), 0);
    assert_int_equal(pass_over("active", queue_active).sums[queue_active].null_sender, 1);
    assert_int_equal(stat(in_spool("active/12345A"), &status), 0);
    assert_int_equal(status.st_atime, 1600000000);
}

static void test_rights(void **state)
{
    (void)state;
    bool rooted = geteuid() == 0;
    if (rooted && (seteuid(65534) != 0 || seteuid(0) != 0))
        skip();
    put_postfix("hold/12345A", 1, now, "");
    put_postfix("deferred/A/12345A", 1, now, "");
    put_postfix("active/12345A", 1, now, "");
    put_postfix("active/12345B", 1, now, "");
    assert_int_equal(chmod(spool, 0755), 0);
    assert_int_equal(chmod(in_spool("hold"), 0000), 0);
    assert_int_equal(chmod(in_spool("deferred"), 0755), 0);
    assert_int_equal(chmod(in_spool("deferred/A"), 0000), 0);
    assert_int_equal(chmod(in_spool("active"), 0755), 0);
    assert_int_equal(chmod(in_spool("active/12345A"), 0000), 0);
    assert_int_equal(chmod(in_spool("active/12345B"), 0444), 0);
    assert_int_equal(rooted ? seteuid(65534) : 0, 0);
    struct pass hold = pass_over("hold", queue_hold), deferred = pass_over("deferred", queue_deferred);
    struct pass active = pass_over("active", queue_active), gone = pass_over("gone", queue_active);
    assert_int_equal(rooted ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(in_spool("hold"), 0700), 0);
    assert_int_equal(chmod(in_spool("deferred/A"), 0700), 0);
    assert_false(hold.good);
    assert_int_equal(hold.error, EACCES);
    assert_int_equal(hold.failure.status, EX_NOPERM);
    assert_non_null(strstr(hold.failure.text, "/hold cannot be read: Permission denied; milterscope-collector is to"));
    assert_false(deferred.good); /* a part of it cannot be read */
    assert_true(active.good);
    assert_int_equal(active.sums[queue_active].messages, 2);
    assert_int_equal(active.sums[queue_active].unreadable, 1);
    assert_false(gone.good);
    assert_int_equal(gone.error, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SPOOL_TEST(test_gauges),
                                       SPOOL_TEST(test_time_is_that_of_arrival),
                                       SPOOL_TEST(test_unfinished),
                                       SPOOL_TEST(test_time_without_record),
                                       SPOOL_TEST(test_changed_sender),
                                       SPOOL_TEST(test_garbage),
                                       SPOOL_TEST(test_other_things),
                                       SPOOL_TEST(test_depth),
                                       SPOOL_TEST(test_bounds),
                                       SPOOL_TEST(test_access_time),
                                       SPOOL_TEST(test_end),
                                       SPOOL_TEST(test_rights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
