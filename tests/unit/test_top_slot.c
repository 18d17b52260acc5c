/* exporter/serve/top_slot.c: what several instances and hours say, put together, and that the bounds hold for the sum. The answers are as a
 * server sends them. */
#include "exporter/serve/top_slot.h"

#include "conf/lib/redis_pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Adds an answer to HGETALL: "field=value" texts. */
static void add(struct top_slot *slot, const char *const *pairs, size_t count)
{
    static const char *const ping[] = {"PING"};
    struct redis_pipeline pipeline = {.bytes = NULL};
    struct redis_reader *reader = redis_reader_new();
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    fprintf(out, "*%zu\r\n", 2 * count);
    for (size_t i = 0; i < count; i++) {
        size_t name = strcspn(pairs[i], "=");
        fprintf(out, "$%zu\r\n%.*s\r\n$%zu\r\n%s\r\n", name, (int)name, pairs[i], strlen(pairs[i]) - name - 1,
                pairs[i] + name + 1);
    }
    fclose(out);
    redis_pipeline_add(&pipeline, 1, ping, NULL);
    assert_null(redis_pipeline_take(&pipeline, reader, text, length));
    assert_int_equal(pipeline.replied, 1);
    assert_true(top_slot_add(slot, pipeline.replies[0], NULL));
    redis_pipeline_free(&pipeline);
    redis_reader_free(reader);
    free(text);
}

#define ADD(slot, ...)                                                                                                 \
    add(slot, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void expect(const struct top_list *list, size_t i, const char *member, uint64_t messages, uint64_t refused,
                   uint64_t error)
{
    assert_true(i < list->count);
    const struct top_entry *entry = &list->entries[i];
    assert_string_equal(entry->member, member);
    assert_int_equal(entry->counts[top_by_messages], messages);
    assert_int_equal(entry->counts[top_by_refused], refused);
    assert_int_equal(entry->error, error);
}

/* a is listed by both, b and c by one each: what the other says of the rest is their error. */
static void test_sums(void **state)
{
    struct top_slot *slot = top_slot_new(5), *before = top_slot_new(4);
    struct top_list list;
    (void)state;
    ADD(slot, "=100 200 30 4 7 8 2 1", "a=50 60 10 1 0", "b=20 30 5 0 3");
    ADD(slot, "=10 20 3 4 1 1 1 1", "c=4 5 6 7 0", "a=5 6 1 1 0");
    ADD(slot, "a=1000 1000 1000 1000 0"); /* without sums it says nothing */
    ADD(slot, "=0 0 0 0 0 0 0 0");        /* nothing happened there */
    top_slot_finish(slot);
    top_slot_finish(before);
    assert_int_equal(slot->count, 3);
    assert_true(top_list_make(&slot, 1, top_by_messages, 100, &list));
    assert_int_equal(list.count, 3);
    assert_int_equal(list.instances, 3);
    assert_int_equal(list.totals[top_by_messages], 110);
    assert_int_equal(list.totals[top_by_spam], 8);
    assert_int_equal(list.bound, 8);
    expect(&list, 0, "a", 55, 11, 0);
    expect(&list, 1, "b", 20, 5, 3 + 1);
    expect(&list, 2, "c", 4, 6, 7);
    top_list_free(&list);
    assert_true(top_list_make(&slot, 1, top_by_refused, 1, &list));
    expect(&list, 0, "a", 55, 11, 0);
    assert_int_equal(list.bound, 5 + 3 + 1); /* of b, which is not listed now */
    top_list_free(&list);
    ADD(before, "=9 9 9 9 2 2 2 2", "b=9 9 9 9 1");
    top_slot_finish(before);
    struct top_slot *both[] = {slot, before};
    assert_true(top_list_make(both, 2, top_by_messages, 2, &list));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.totals[top_by_messages], 119);
    expect(&list, 0, "a", 55, 11, 2);
    expect(&list, 1, "b", 29, 14, 3 + 1 + 1);
    assert_int_equal(list.bound, 4 + 7 + 2);
    top_list_free(&list);
    assert_true(top_list_make(both, 0, top_by_messages, 2, &list));
    assert_int_equal(list.count + list.bound + list.distinct + list.instances, 0);
    top_list_free(&list);
    top_slot_release(slot);
    top_slot_release(before);
}

static void test_what_is_no_row(void **state)
{
    struct top_slot *slot = top_slot_new(5);
    struct top_list list;
    (void)state;
    ADD(slot, "=1 1 1 1 0 0 0 0", "\xff=1 1 1 1 0", "a\n=1 1 1 1 0", "b=1 1 1 1", "c=x", "d=-1 1 1 1 0", "e=1 1 1 1 0",
        "f=99999999999999999999 1 1 1 0", "g=0 1 1 1 0");
    ADD(slot, "=1 1 1 1", "h=1 1 1 1 0");
    top_slot_finish(slot);
    assert_true(top_list_make(&slot, 1, top_by_messages, 100, &list));
    assert_int_equal(list.count, 1); /* g has none of what is asked for */
    expect(&list, 0, "e", 1, 1, 0);
    top_list_free(&list);
    top_slot_release(slot);
}

/* More members than are held: those of the first ranks stay, and the bound knows of the others. */
static void test_cut(void **state)
{
    enum { INSTANCES = 4, EACH = 2000 };
    static char rows[EACH + 1][64];
    static const char *pairs[EACH + 1];
    struct top_slot *slot = top_slot_new(5);
    struct top_list list;
    (void)state;
    for (int instance = 0; instance < INSTANCES; instance++) {
        strcpy(rows[0], "=1 1 1 1 10 10 10 10");
        for (int i = 0; i <= EACH; i++) {
            int number = instance * EACH + i;
            if (i > 0)
                snprintf(rows[i], sizeof rows[i], "m%d=%d %d 0 1 2", number, number, INSTANCES * EACH - number);
            pairs[i] = rows[i];
        }
        add(slot, pairs, EACH + 1);
    }
    top_slot_finish(slot);
    assert_true(slot->count <= TOP_ROWS_MAX);
    assert_true(top_list_make(&slot, 1, top_by_messages, 1000, &list));
    assert_int_equal(list.count, 1000);
    for (size_t i = 0; i < 1000; i++) {
        char member[16];
        snprintf(member, sizeof member, "m%zu", (size_t)INSTANCES * EACH - i);
        expect(&list, i, member, (uint64_t)(INSTANCES * EACH) - i, 0, 2 + 30);
    }
    assert_true(list.bound >= (uint64_t)INSTANCES * EACH - 1000 + 32);
    top_list_free(&list);
    assert_true(top_list_make(&slot, 1, top_by_recipients, 1000, &list));
    assert_string_equal(list.entries[0].member, "m1");
    top_list_free(&list);
    top_slot_release(slot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums), cmocka_unit_test(test_what_is_no_row),
                                       cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
