/* Fuzzes the reading of delivery logs: the input is a log of several lines, the first byte chooses the MTA. Beside memory errors it finds
 * lines that are not one line, and counts that a line cannot have. */
#include "exporter/collect/failed_sets.h"
#include "exporter/collect/log_count.h"

#include <stdlib.h>

static _Atomic uint64_t totals[total_COUNT];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct settings *make_settings(void)
{
    static struct settings settings;
    if (settings.trusted_networks.count == 0) {
        network_parse("10.0.0.0/8", &settings.trusted_networks.list[0]);
        settings.trusted_networks.count = 1;
        strcpy(settings.collector_destinations_ignore.list[0].name, ".ignored.example");
        settings.collector_destinations_ignore.count = 1;
        settings.top_sets = top_of_deliveries;
    }
    return &settings;
}

/* A copy of its own, so that a read beyond the end is seen. */
static void count_line(struct log_counter *counter, const uint8_t *text, size_t length)
{
    char *copy = malloc(length + (length == 0));
    if (copy == NULL)
        abort();
    memcpy(copy, text, length);
    log_count_text(counter, copy, length);
    free(copy);
}

static uint64_t sum(unsigned first, unsigned last)
{
    uint64_t all = 0;
    for (unsigned i = first; i <= last; i++)
        all += totals[i];
    return all;
}

/* Whatever the log says, members can be shown, and are no path, command or address of a person. */
static void check_members(const struct node_sets *sets)
{
    for (unsigned i = 0; i < NODE_SETS_TABLES; i++) {
        const struct node_sets_table *table = &sets->tables[i];
        for (unsigned j = 0; j < table->sum.used; j++) {
            const struct heavy_entry *entry = &table->entries[j];
            if (!top_is_member(entry->member, entry->length))
                abort();
            for (size_t k = 0; k < entry->length; k++) {
                if (strchr("@/|<>\"", entry->member[k]) != NULL)
                    abort();
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log_memory memory;
    struct tally tally = {.totals = totals};
    struct log_counter counter = {.counting = {.settings = make_settings(), .tally = &tally}, .memory = &memory};
    uint64_t lines = 0, bytes = size;
    memset(&memory, 0, sizeof memory);
    counter.counting.failed = failed_sets_open(&memory.failed, counter.counting.settings);
    failed_sets_tick(counter.counting.failed, INT64_C(1795172400000000));
    memset((void *)totals, 0, sizeof totals);
    counter.clock.now_us = INT64_C(1795172400000000);
    if (size > 0) {
        counter.kind = data[0] % 4;
        data++;
        size--;
    }
    while (size > 0) {
        const uint8_t *feed = memchr(data, '\n', size);
        size_t length = feed != NULL ? (size_t)(feed - data) : size;
        count_line(&counter, data, length);
        lines++;
        length += feed != NULL;
        data += length;
        size -= length;
    }
    uint64_t deliveries = sum(total_deliveries_total, total_deliveries_total_LAST);
    if (sum(total_log_lines_total, total_log_lines_total_LAST) != lines ||
        deliveries > 2 * bytes || /* a line can tell of many */
        sum(total_delivery_codes_total, total_delivery_codes_total_LAST) > deliveries ||
        sum(total_delivery_problems_total, total_delivery_problems_total_LAST) > deliveries ||
        sum(total_log_rejects_total, total_log_rejects_total_LAST) > bytes)
        abort();
    check_members(&memory.failed);
    failed_sets_close(counter.counting.failed);
    return 0;
}
