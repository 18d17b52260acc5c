/* Fuzz target: top lists and sketches as Redis holds them, of several instances; the input is the answers to HGETALL and GETRANGE, in turn.
 * What is shown then is in order, each member once and fit to be shown, and no sum has run over. */
#include "tests/kit/canned_redis.h"

#include "exporter/serve/top_slot.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INSTANCES = 8, HOURS = 2, LIMIT = 5 };

static void require(bool good)
{
    if (!good)
        abort();
}

static void check_slot(const struct top_slot *slot)
{
    require(slot->count <= TOP_ROWS_MAX && slot->instances <= INSTANCES);
    for (size_t i = 0; i < slot->count; i++)
        require(top_is_member(slot->rows[i].member, strlen(slot->rows[i].member)));
}

static void check_list(const struct top_list *list, enum top_by by)
{
    const uint64_t most = (UINT64_C(1) << TOP_VALUE_BITS) * INSTANCES * HOURS * 2; /* counts, and what is beyond them */
    require(list->count <= LIMIT && list->bound <= most && list->distinct <= UINT64_C(1000000000000000000));
    for (size_t i = 0; i < list->count; i++) {
        const struct top_entry *entry = &list->entries[i];
        require(top_is_member(entry->member, strlen(entry->member)));
        require(entry->counts[by] > 0 && entry->counts[by] <= most && entry->error <= most);
        require(i == 0 || list->entries[i - 1].counts[by] >= entry->counts[by]);
        for (size_t j = 0; j < i; j++)
            require(strcmp(list->entries[j].member, entry->member) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct top_slot *slots[HOURS] = {top_slot_new(1), top_slot_new(2)};
    canned_load((const char *)data, size);
    for (size_t i = 0; i < INSTANCES * HOURS; i++) {
        canned_exchange();
        canned_command(NULL, 0, NULL, NULL);
        canned_command(NULL, 0, NULL, NULL);
        require(top_slot_add(slots[i % HOURS], redis_reply(NULL, 0), redis_reply(NULL, 1)));
    }
    for (int i = 0; i < HOURS; i++) {
        top_slot_finish(slots[i]);
        check_slot(slots[i]);
    }
    enum top_by by = (enum top_by)(size % top_by_COUNT); /* all of them would take long */
    struct top_list list;
    require(top_list_make(slots, HOURS, by, LIMIT, &list));
    check_list(&list, by);
    top_list_free(&list);
    for (int i = 0; i < HOURS; i++)
        top_slot_release(slots[i]);
    return 0;
}
