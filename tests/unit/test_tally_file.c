/* conf/lib/tally_file.c: the form of a tally. Whatever is changed in one is either said, or can be read to its last byte without leaving
 * it. */
#include "tests/unit/tally_form.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct form_series totals[] = {{"one_total", 1}, {"two_total", 2}, {"three_total{a=\"b\"}", 3}};
static const char *const gauges[] = {"first", "second"};

static struct tally_header *sound(void)
{
    return form_make(totals, 3, gauges, 2);
}

/* Reads everything that a reader would: the sanitizers, or the kernel, tell when it leaves the tally. */
static uint64_t read_all(struct tally_header *header)
{
    uint64_t sum = tally_file_copy_checksum(header);
    const char *name = NULL;
    for (unsigned i = 0; i < header->total_count; i++) {
        name = tally_file_next_name(header, name);
        sum += atomic_load(&tally_file_totals(header)[i]) + strlen(name);
    }
    for (unsigned i = 0; i < header->gauge_count; i++) {
        name = tally_file_next_name(header, name);
        for (unsigned process = 0; process < TALLY_PROCESSES; process++)
            sum += (uint64_t)atomic_load(&tally_file_process(header, process)->gauges[i]) + strlen(name);
    }
    struct tally_inheritance inheritance = {.from = header};
    size_t bytes = tally_file_bytes(&inheritance);
    struct tally_header *next = aligned_alloc(64, (bytes + 63) / 64 * 64);
    memset((void *)next, 0, bytes);
    tally_file_build(next, &inheritance);
    assert_null(tally_file_check(next, bytes));
    free((void *)next);
    return sum;
}

static void test_sound(void **state)
{
    (void)state;
    struct tally_header *header = sound();
    assert_null(tally_file_check(header, header->bytes));
    read_all(header);
    free((void *)header);
    struct tally tally;
    form_fresh(&tally);
    assert_null(tally_file_check(tally.header, tally.header->bytes));
    assert_int_equal(tally.header->catalogue, catalogue_hash());
    read_all(tally.header);
    form_free(&tally);
}

static void test_cut(void **state)
{
    (void)state;
    struct tally_header *header = sound();
    for (size_t bytes = 0; bytes < header->bytes; bytes++) {
        struct tally_header *cut = malloc(bytes + 1);
        memcpy((void *)cut, header, bytes);
        const char *wrong = tally_file_check(cut, bytes);
        assert_string_equal(wrong,
                            bytes < sizeof *header ? "too short for a tally" : "its header does not fit its size");
        free((void *)cut);
    }
    assert_non_null(tally_file_check(header, header->bytes + 1));
    free((void *)header);
}

/* Every bit of what the checksum covers. */
static void test_every_bit_of_the_header(void **state)
{
    (void)state;
    struct tally_header *header = sound();
    unsigned char *bytes = (unsigned char *)header;
    size_t size = header->bytes;
    for (size_t i = 0; i < offsetof(struct tally_header, checksum) + sizeof header->checksum; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (unsigned char)(1u << bit);
            const char *wrong = tally_file_check(header, size);
            const char *expected = i < 8                                          ? "not a tally"
                                   : i < offsetof(struct tally_header, catalogue) ? "a tally of another format"
                                                                                  : "its header is damaged";
            if (wrong == NULL || strcmp(wrong, expected) != 0)
                fail_msg("byte %zu, bit %u: %s", i, bit, wrong == NULL ? "nothing said" : wrong);
            bytes[i] ^= (unsigned char)(1u << bit);
        }
    }
    assert_null(tally_file_check(header, header->bytes));
    free((void *)header);
}

#define FIELD(name)                                                                                                    \
    {                                                                                                                  \
#name, offsetof(struct tally_header, name), sizeof((struct tally_header *)NULL)->name                          \
    }

/* Fields that say where things are, each with every doubtful value, under a right checksum. */
static void test_every_place(void **state)
{
    static const struct {
        const char *name;
        size_t at, bytes;
    } fields[] = {FIELD(bytes),   FIELD(total_count),  FIELD(gauge_count), FIELD(totals_at),
                  FIELD(kept_at), FIELD(processes_at), FIELD(names_at),    FIELD(process_bytes)};
    static const int64_t steps[] = {-4096, -64, -24, -8, -1, 1, 8, 24, 64, 4096};
    static const uint64_t values[] = {0,
                                      1,
                                      7,
                                      8,
                                      65536,
                                      65537,
                                      UINT32_MAX,
                                      (uint64_t)UINT32_MAX + 1,
                                      UINT64_C(1) << 60,
                                      (UINT64_C(1) << 60) + 1,
                                      UINT64_C(1) << 61,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX - 7,
                                      UINT64_MAX};
    enum { STEPS = sizeof steps / sizeof steps[0], VALUES = sizeof values / sizeof values[0] };
    (void)state;
    for (size_t field = 0; field < sizeof fields / sizeof fields[0]; field++) {
        for (size_t i = 0; i < STEPS + VALUES; i++) {
            struct tally_header *header = sound();
            size_t bytes = header->bytes;
            uint64_t before = 0, value;
            memcpy(&before, (char *)header + fields[field].at, fields[field].bytes);
            value = i < STEPS ? before + (uint64_t)steps[i] : values[i - STEPS];
            memcpy((char *)header + fields[field].at, &value, fields[field].bytes);
            form_seal(header, false);
            const char *wrong = tally_file_check(header, bytes);
            if (wrong == NULL)
                read_all(header);
            else if (strcmp(wrong, "its header does not fit its size") != 0 &&
                     strcmp(wrong, "its names are damaged") != 0 && strcmp(wrong, "it holds implausible totals") != 0)
                fail_msg("%s = %llu: %s", fields[field].name, (unsigned long long)value, wrong);
            if (wrong == NULL && strcmp(fields[field].name, "bytes") == 0 && value != bytes)
                fail_msg("a size of %llu is believed", (unsigned long long)value);
            free((void *)header);
        }
    }
}

/* Parts that lie over each other, though all within the file. */
static void test_overlaps(void **state)
{
    (void)state;
    for (int part = 0; part < 4; part++) {
        struct tally_header *header = sound();
        if (part == 0)
            header->kept_at = header->totals_at;
        else if (part == 1)
            header->processes_at = header->kept_at;
        else if (part == 2)
            header->names_at = header->processes_at;
        else
            header->totals_at = sizeof *header - 8;
        form_seal(header, false);
        assert_string_equal(tally_file_check(header, header->bytes), "its header does not fit its size");
        free((void *)header);
    }
}

static void test_boot_id_without_end(void **state)
{
    (void)state;
    struct tally_header *header = sound();
    memset(header->boot_id, 'x', sizeof header->boot_id);
    form_seal(header, true);
    assert_string_equal(tally_file_check(header, header->bytes), "its header does not fit its size");
    free((void *)header);
}

static void test_names(void **state)
{
    (void)state;
    struct tally_header *header = sound();
    char *names = (char *)header + header->names_at;
    size_t length = header->bytes - header->names_at;
    for (size_t i = 0; i < length; i++) {
        char before = names[i];
        names[i] = before == '\0' ? 'x' : '\0';
        assert_string_equal(tally_file_check(header, header->bytes), "its names are damaged");
        form_seal(header, true); /* one name too many, or too few, is damage also under right checksums */
        assert_string_equal(tally_file_check(header, header->bytes), "its names are damaged");
        names[i] = before;
        form_seal(header, true);
    }
    names[0] ^= 1; /* would be a total that this build does not know, and one less of those that it knows */
    assert_string_equal(tally_file_check(header, header->bytes), "its names are damaged");
    form_seal(header, true);
    assert_null(tally_file_check(header, header->bytes));
    free((void *)header);
}

static void test_implausible_totals(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct tally_header *header = sound();
        uint64_t *slots = (uint64_t *)(void *)((char *)header + (i < 3 ? header->totals_at : header->kept_at));
        slots[i % 3] = (UINT64_C(1) << 62) - 1;
        assert_null(tally_file_check(header, header->bytes));
        slots[i % 3] = UINT64_C(1) << 62;
        assert_string_equal(tally_file_check(header, header->bytes), "it holds implausible totals");
        free((void *)header);
    }
}

/* The checksum of a copy sees every bit of totals and names. */
static void test_copy_checksum(void **state)
{
    (void)state;
    struct tally_header *header = sound();
    unsigned char *bytes = (unsigned char *)header;
    uint64_t right = tally_file_copy_checksum(header);
    assert_int_equal(right, header->copy_checksum);
    for (uint64_t i = 0; i < header->bytes; i++) {
        bool covered =
            (i >= header->totals_at && i < header->totals_at + 3 * sizeof(uint64_t)) || i >= header->names_at;
        if (!covered)
            continue;
        bytes[i] ^= 0x10;
        assert_int_not_equal(tally_file_copy_checksum(header), right);
        bytes[i] ^= 0x10;
    }
    free((void *)header);
}

static void test_ids(void **state)
{
    char first[33], second[33], boot_id[40];
    (void)state;
    struct tally_header *header = sound();
    tally_file_id_text(header, first);
    assert_string_equal(first, "0123456789abcdeffedcba9876543210");
    tally_file_new_id(header);
    tally_file_id_text(header, first);
    tally_file_new_id(header);
    tally_file_id_text(header, second);
    assert_string_not_equal(first, second);
    assert_int_equal(strspn(second, "0123456789abcdef"), 32);
    tally_file_boot_id(boot_id);
    assert_int_equal(strlen(boot_id), 36);
    free((void *)header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_every_bit_of_the_header),
        cmocka_unit_test(test_every_place),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_boot_id_without_end),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_implausible_totals),
        cmocka_unit_test(test_copy_checksum),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
