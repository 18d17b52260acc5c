/* milter/ring.c: many writers and one reader, a ring that is full, places behind the end of the array, holes of a writer that was killed,
 * and contents that no writer makes. Under the thread sanitizer it shows that a record is published before it is read. */
#include "milter/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct ring_header *ring;

static int begin(void **state)
{
    struct failure failure;
    (void)state;
    int fd = ring_make(&ring, &failure);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

static int end(void **state)
{
    (void)state;
    ring_detach(ring);
    return 0;
}

static bool put(unsigned count, uint64_t message)
{
    uint64_t place;
    if (!ring_take(ring, count, &place))
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct ring_record *record = ring_at(ring, place + i);
        record->message = message;
        record->recipients = i;
        ring_publish(ring, place + i);
    }
    return true;
}

static void test_order_and_full(void **state)
{
    struct ring_record record;
    uint64_t head = 0, next = 0, put_next = 0;
    (void)state;
    assert_int_equal(ring_look(ring, 0, &record), ring_nothing);
    for (int round = 0; round < 5; round++) { /* of the array, in steps that do not divide it */
        while (put(3, put_next))
            put_next++;
        assert_int_equal(put_next, (unsigned)(round + 1) * (RING_RECORDS / 3)); /* what is left is less than three */
        assert_true(ring_taken(ring, head) <= RING_RECORDS);
        for (unsigned i = 0; i < RING_RECORDS / 3 * 3; i++) {
            assert_int_equal(ring_look(ring, head, &record), ring_record);
            assert_int_equal(record.message, next / 3);
            assert_int_equal(record.recipients, next++ % 3);
            ring_free(ring, head++);
        }
        assert_int_equal(ring_look(ring, head, &record), ring_nothing);
        assert_int_equal(ring_taken(ring, head), 0);
    }
    assert_int_equal(atomic_load(&ring->head), head);
}

/* A writer that is slow holds up what is behind it, and only that. */
static void test_hole(void **state)
{
    struct ring_record record;
    uint64_t hole;
    (void)state;
    assert_true(put(1, 1));
    assert_true(ring_take(ring, 2, &hole));
    assert_true(put(1, 2));
    assert_int_equal(ring_look(ring, 0, &record), ring_record);
    ring_free(ring, 0);
    assert_int_equal(ring_look(ring, 1, &record), ring_nothing);
    assert_int_equal(ring_taken(ring, 1), 3);
    ring_publish(ring, hole + 1);
    assert_int_equal(ring_look(ring, 1, &record), ring_nothing);
    ring_publish(ring, hole);
    assert_int_equal(ring_look(ring, 1, &record), ring_record);
    assert_int_equal(ring_look(ring, 3, &record), ring_record);
    assert_int_equal(record.message, 2);
}

/* A reader that is killed has said where it is, and not given back the place before. */
static void test_reader_killed(void **state)
{
    uint64_t head = 0;
    (void)state;
    for (; head < 100; head++) {
        assert_true(put(1, head));
        if (head < 99)
            ring_free(ring, head);
    }
    atomic_store(&ring->head, 100);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ring_resume(ring), 100);
    for (; head < 100 + RING_RECORDS; head++)
        assert_true(put(1, head));
    assert_int_equal(ring_resume(ring), 100); /* what is there now is another record */
    assert_false(put(1, head));
    for (uint64_t i = 100; i < 100 + RING_RECORDS; i++) {
        struct ring_record record;
        assert_int_equal(ring_look(ring, i, &record), ring_record);
        assert_int_equal(record.message, i);
    }
}

/* ---- threads ---- */

enum { WRITERS = 4, GROUPS = 40000 };

struct writer {
    pthread_t thread;
    uint64_t number, written, dropped;
};

/* Message numbers of a writer grow; a group has 1 to 5 records. */
static void *write_groups(void *context)
{
    struct writer *writer = context;
    for (uint64_t i = 0; i < GROUPS; i++) {
        unsigned count = 1 + (unsigned)(i % 5);
        if (put(count, writer->number << 32 | i))
            writer->written += count;
        else
            writer->dropped += count;
        if (i % 1000 == 0)
            sched_yield();
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct writer writers[WRITERS];
    uint64_t read = 0, last[WRITERS], expected = 0, written = 0, dropped = 0, ended = 0;
    struct ring_record record = {.message = 0}, before = {.message = UINT64_MAX};
    (void)state;
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.number = i};
        last[i] = 0;
        pthread_create(&writers[i].thread, NULL, write_groups, &writers[i]);
    }
    for (uint64_t head = 0; ended < 2;) {
        if (ring_look(ring, head, &record) != ring_record) {
            for (unsigned i = 0; ended == 0 && i < WRITERS; i++)
                pthread_join(writers[i].thread, NULL); /* while nobody reads: the ring fills */
            ended++;
            continue;
        }
        ring_free(ring, head++);
        read++;
        uint64_t writer = record.message >> 32, group = record.message & UINT32_MAX;
        assert_true(writer < WRITERS && group >= last[writer]);
        if (record.message != before.message) { /* a group is not parted */
            assert_int_equal(expected, 0);
            expected = 1 + group % 5;
            assert_int_equal(record.recipients, 0);
        } else {
            assert_int_equal(record.recipients, before.recipients + 1);
        }
        expected--;
        last[writer] = group;
        before = record;
        ended = ended > 0;
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        written += writers[i].written;
        dropped += writers[i].dropped;
    }
    assert_int_equal(expected, 0);
    assert_int_equal(read, written);
    assert_int_equal(written + dropped, (uint64_t)WRITERS * GROUPS * 3);
    assert_true(dropped > 0);
}

/* ---- contents that nobody writes ---- */

static void test_texts(void **state)
{
    struct ring_record record = {.kind = ring_message};
    char bytes[300];
    unsigned used = 0;
    size_t length;
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    ring_add_text(&record, &used, 0, bytes, 300);
    ring_add_text(&record, &used, 1, bytes, 0);
    ring_add_text(&record, &used, 2, bytes, 255);
    ring_text(&record, 0, &length);
    assert_int_equal(length, 255);
    ring_text(&record, 1, &length);
    assert_int_equal(length, 0);
    assert_ptr_equal(ring_text(&record, 2, &length), record.text + 255);
    assert_int_equal(length, RING_TEXT_BYTES - 255);
    memset(record.lengths, 255, sizeof record.lengths);
    for (unsigned i = 0; i < RING_TEXTS; i++) {
        const char *text = ring_text(&record, i, &length);
        assert_true(text >= record.text && text + length <= record.text + RING_TEXT_BYTES);
    }
}

static void test_broken(void **state)
{
    struct ring_record record;
    uint64_t place;
    (void)state;
    const uint64_t sequences[] = {2, 17, RING_RECORDS, RING_RECORDS + 1, UINT64_MAX, UINT64_MAX / 2};
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        atomic_store(&ring->cells[0].sequence, sequences[i]);
        assert_int_equal(ring_look(ring, 0, &record), ring_broken);
    }
    atomic_store(&ring->tail, UINT64_MAX / 3);
    assert_int_equal(ring_taken(ring, 5), RING_RECORDS);
    for (unsigned i = 0; i < RING_RECORDS; i++) /* nobody waits for a ring that makes no sense */
        atomic_store(&ring->cells[i].sequence, UINT64_MAX / 2);
    assert_false(ring_take(ring, 1, &place));
    atomic_store(&ring->head, UINT64_MAX - 1);
    assert_int_equal(ring_look(ring, UINT64_MAX - 1, &record), ring_broken);
    ring_free(ring, UINT64_MAX);
}

static void test_attach(void **state)
{
    struct failure failure;
    struct ring_header *made, *other;
    (void)state;
    int fd = ring_make(&made, &failure);
    other = ring_attach(fd);
    assert_non_null(other);
    made->id = 7;
    assert_int_equal(other->id, 7);
    assert_int_not_equal(ftruncate(fd, 10), 0);
    ring_detach(other);
    made->version++;
    assert_null(ring_attach(fd));
    ring_detach(made);
    close(fd);
    assert_null(ring_attach(fd));
    fd = memfd_create("other", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, sizeof(struct ring_header)), 0);
    assert_null(ring_attach(fd)); /* its size is not sealed */
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_and_full, begin, end),
        cmocka_unit_test_setup_teardown(test_hole, begin, end),
        cmocka_unit_test_setup_teardown(test_reader_killed, begin, end),
        cmocka_unit_test_setup_teardown(test_threads, begin, end),
        cmocka_unit_test(test_texts),
        cmocka_unit_test_setup_teardown(test_broken, begin, end),
        cmocka_unit_test(test_attach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
