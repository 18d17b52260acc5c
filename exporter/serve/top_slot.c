/* Rows are gathered, sorted by name, and equal ones made one. */
#include "exporter/serve/top_slot.h"

#include <stdlib.h>
#include <string.h>

struct top_slot *top_slot_new(int64_t hour)
{
    struct top_slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL)
        return NULL;
    slot->holders = 1;
    slot->hour = hour;
    return slot;
}

void top_slot_hold(struct top_slot *slot)
{
    slot->holders++;
}

void top_slot_release(struct top_slot *slot)
{
    if (slot == NULL || --slot->holders > 0)
        return;
    for (size_t i = 0; i < slot->count; i++)
        free((char *)(uintptr_t)slot->rows[i].member);
    free(slot->rows);
    free(slot);
}

/* ---- what an instance says ---- */

static bool has_room(struct top_slot *slot)
{
    if (slot->count < slot->room)
        return true;
    size_t room = slot->room * 2 + 64;
    struct top_row *rows = realloc(slot->rows, room * sizeof *rows);
    if (rows == NULL)
        return false;
    slot->rows = rows;
    slot->room = room;
    return true;
}

/* The field without a name: sums, and what others may have. */
static bool read_sums(const struct redis_reply *top, uint64_t *sums)
{
    for (size_t i = 0; i + 1 < redis_reply_count(top); i += 2) {
        size_t name, length;
        redis_reply_text(redis_reply_item(top, i), &name);
        const char *text = redis_reply_text(redis_reply_item(top, i + 1), &length);
        if (name == 0)
            return top_read(text, length, sums, 2 * top_by_COUNT);
    }
    return false;
}

static bool add_row(struct top_slot *slot, const char *member, size_t length, const uint64_t *values,
                    const uint64_t *rest)
{
    if (!has_room(slot))
        return false;
    struct top_row row = {.member = strndup(member, length)};
    if (row.member == NULL)
        return false;
    for (int by = 0; by < top_by_COUNT; by++) {
        row.counts[by] = values[by];
        row.errors[by] = (int64_t)values[top_by_COUNT] - (int64_t)rest[by];
    }
    slot->rows[slot->count++] = row;
    return true;
}

bool top_slot_add(struct top_slot *slot, const struct redis_reply *top, const struct redis_reply *distinct)
{
    uint64_t sums[2 * top_by_COUNT];
    size_t bytes;
    if (redis_reply_count(top) / 2 > TOP_FIELDS_MAX || !read_sums(top, sums))
        return true;
    slot->instances++;
    for (int by = 0; by < top_by_COUNT; by++) {
        slot->totals[by] += sums[by];
        slot->rest[by] += sums[top_by_COUNT + by];
    }
    for (size_t i = 0; i + 1 < redis_reply_count(top); i += 2) {
        uint64_t values[top_by_COUNT + 1];
        size_t name_length, length;
        const char *name = redis_reply_text(redis_reply_item(top, i), &name_length);
        const char *text = redis_reply_text(redis_reply_item(top, i + 1), &length);
        if (top_is_member(name, name_length) && top_read(text, length, values, top_by_COUNT + 1) &&
            !add_row(slot, name, name_length, values, sums + top_by_COUNT))
            return false;
    }
    const char *sketch = redis_reply_text(distinct, &bytes);
    hyperloglog_merge(slot->registers, (const uint8_t *)sketch, bytes);
    return true;
}

/* ---- members once ---- */

static int compare_members(const void *a, const void *b)
{
    return strcmp(((const struct top_row *)a)->member, ((const struct top_row *)b)->member);
}

static void join_rows(struct top_row *row, const struct top_row *other)
{
    for (int by = 0; by < top_by_COUNT; by++) {
        row->counts[by] += other->counts[by];
        row->errors[by] += other->errors[by];
    }
}

/* Sorts, and makes equal ones one; `owned`: the names of those that go are freed. Returns how many stay. */
static size_t unite(struct top_row *rows, size_t count, bool owned)
{
    size_t kept = 0;
    if (count > 0)
        qsort(rows, count, sizeof *rows, compare_members);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && strcmp(rows[kept - 1].member, rows[i].member) == 0) {
            join_rows(&rows[kept - 1], &rows[i]);
            if (owned)
                free((char *)(uintptr_t)rows[i].member);
        } else {
            rows[kept++] = rows[i];
        }
    }
    return kept;
}

/* ---- orders ---- */

#define COMPARE(by)                                                                                                    \
    static int compare_##by(const void *a, const void *b)                                                              \
    {                                                                                                                  \
        const struct top_row *one = a, *other = b;                                                                     \
        uint64_t x = one->counts[top_by_##by], y = other->counts[top_by_##by];                                         \
        return x != y ? (x < y) - (x > y) : strcmp(one->member, other->member);                                        \
    }
COMPARE(messages)
COMPARE(recipients)
COMPARE(refused)
COMPARE(spam)

static int (*const orders[top_by_COUNT])(const void *, const void *) = {
    [top_by_messages] = compare_messages,
    [top_by_recipients] = compare_recipients,
    [top_by_refused] = compare_refused,
    [top_by_spam] = compare_spam,
};

/* What a row may have at most. */
static uint64_t possible(const struct top_row *row, enum top_by by, uint64_t rest)
{
    int64_t error = (int64_t)rest + row->errors[by];
    return row->counts[by] + (error > 0 ? (uint64_t)error : 0);
}

/* Takes out all but the first of each order; what they may have goes into `rest`. */
static void cut(struct top_slot *slot)
{
    const size_t each = TOP_ROWS_MAX / top_by_COUNT;
    uint64_t rest[top_by_COUNT];
    size_t kept = 0;
    memcpy(rest, slot->rest, sizeof rest);
    for (int by = 0; by < top_by_COUNT; by++) { /* each time those behind the ones that are chosen already */
        size_t left = slot->count - kept;
        qsort(slot->rows + kept, left, sizeof *slot->rows, orders[by]);
        kept += left < each ? left : each;
    }
    for (size_t i = kept; i < slot->count; i++) {
        for (int by = 0; by < top_by_COUNT; by++) {
            uint64_t most = possible(&slot->rows[i], (enum top_by)by, slot->rest[by]);
            rest[by] = most > rest[by] ? most : rest[by];
        }
        free((char *)(uintptr_t)slot->rows[i].member);
    }
    for (size_t i = 0; i < kept; i++) {
        for (int by = 0; by < top_by_COUNT; by++)
            slot->rows[i].errors[by] += (int64_t)slot->rest[by] - (int64_t)rest[by];
    }
    memcpy(slot->rest, rest, sizeof rest);
    slot->count = kept;
}

void top_slot_finish(struct top_slot *slot)
{
    slot->count = unite(slot->rows, slot->count, true);
    if (slot->count > TOP_ROWS_MAX)
        cut(slot);
}

/* ---- lists ---- */

static bool copy_entries(const struct top_row *rows, size_t count, enum top_by by, uint64_t rest, struct top_list *list)
{
    list->entries = calloc(count + 1, sizeof *list->entries);
    if (list->entries == NULL)
        return false;
    for (; list->count < count; list->count++) {
        const struct top_row *row = &rows[list->count];
        struct top_entry *entry = &list->entries[list->count];
        if ((entry->member = strdup(row->member)) == NULL)
            return false;
        memcpy(entry->counts, row->counts, sizeof entry->counts);
        entry->error = possible(row, by, rest) - row->counts[by];
    }
    return true;
}

bool top_list_make(struct top_slot *const *slots, unsigned count, enum top_by by, unsigned limit, struct top_list *list)
{
    static const uint8_t none[HYPERLOGLOG_REGISTERS];
    uint8_t registers[HYPERLOGLOG_REGISTERS];
    uint64_t rest = 0;
    size_t rows_count = 0, at = 0;
    *list = (struct top_list){.count = 0};
    memcpy(registers, none, sizeof registers);
    for (unsigned i = 0; i < count; i++)
        rows_count += slots[i]->count;
    struct top_row *rows = calloc(rows_count + 1, sizeof *rows);
    if (rows == NULL)
        return false;
    for (unsigned i = 0; i < count; i++) {
        const struct top_slot *slot = slots[i];
        if (slot->count > 0)
            memcpy(rows + at, slot->rows, slot->count * sizeof *rows);
        at += slot->count;
        rest += slot->rest[by];
        list->instances = slot->instances > list->instances ? slot->instances : list->instances;
        for (int j = 0; j < top_by_COUNT; j++)
            list->totals[j] += slot->totals[j];
        for (unsigned j = 0; j < HYPERLOGLOG_REGISTERS; j++)
            registers[j] = slot->registers[j] > registers[j] ? slot->registers[j] : registers[j];
    }
    list->distinct = hyperloglog_estimate(registers);
    rows_count = unite(rows, rows_count, false);
    qsort(rows, rows_count, sizeof *rows, orders[by]);
    size_t shown = 0;
    while (shown < rows_count && shown < limit && rows[shown].counts[by] > 0)
        shown++;
    list->bound = rest;
    for (size_t i = shown; i < rows_count; i++) {
        uint64_t most = possible(&rows[i], by, rest);
        list->bound = most > list->bound ? most : list->bound;
    }
    bool good = copy_entries(rows, shown, by, rest, list);
    free(rows);
    if (!good)
        top_list_free(list);
    return good;
}

void top_list_free(struct top_list *list)
{
    for (size_t i = 0; list->entries != NULL && i < list->count; i++)
        free(list->entries[i].member);
    free(list->entries);
    *list = (struct top_list){.count = 0};
}
