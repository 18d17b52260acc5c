/* Choosing what is published of a table, and how much a member that is not published may have. */
#include "milter/pusher/publish.h"

#include "conf/lib/hyperloglog.h"
#include "conf/lib/log.h"
#include "milter/pusher/node_tables.h"
#include "milter/pusher/scripts.h"
#include "milter/pusher/settle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    OF_NODE = top_COUNT * SETS_HOURS, /* from this number on tables are the collector's */
    TABLES = OF_NODE + NODE_SETS_TABLES,
    FIXED = 10, /* EVALSHA sha 3 key key key and four of the script's */
    ROWS_MAX = top_by_COUNT * TOP_SIZE_MAX + 1,
    ENTRIES_MAX = TOP_SIZE_MAX * SETS_PLACES_EACH,
};

static struct {
    int64_t next_ms, next_all_ms;
    unsigned asked[TABLES], count; /* the tables of the exchange under way */
    /* The command in preparation. */
    const char *arguments[FIXED + 2 * ROWS_MAX];
    size_t lengths[FIXED + 2 * ROWS_MAX];
    size_t argument_count;
    char texts[ROWS_MAX][TOP_TEXT_MAX];
    unsigned order[ENTRIES_MAX];
    bool chosen[ENTRIES_MAX];
} self;

bool publish_due(int64_t now_ms, bool last)
{
    return last || now_ms >= self.next_ms;
}

void publish_anew(void)
{
    self.next_ms = self.next_all_ms = 0;
}

/* ---- choosing ---- */

static const struct heavy_entry *sorted_entries; /* of the comparison below: qsort has no context */
static enum top_by sorted_by;

static int compare(const void *a, const void *b)
{
    const struct heavy_entry *one = &sorted_entries[*(const unsigned *)a],
                             *other = &sorted_entries[*(const unsigned *)b];
    uint64_t x = one->counts[sorted_by], y = other->counts[sorted_by];
    return x != y ? (x < y) - (x > y) : (one->error > other->error) - (one->error < other->error);
}

/* Marks the first `size` members of one order. */
static void choose(const struct sets_table *table, enum top_by by, unsigned size)
{
    unsigned used = table->sum->used;
    for (unsigned i = 0; i < used; i++)
        self.order[i] = i;
    sorted_entries = table->entries;
    sorted_by = by;
    qsort(self.order, used, sizeof self.order[0], compare);
    for (unsigned i = 0; i < used && i < size && table->entries[self.order[i]].counts[by] > 0; i++)
        self.chosen[self.order[i]] = true;
}

/* What a member that was not chosen may have at most, of one count. */
static uint64_t rest_of(const struct sets_table *table, enum top_by by)
{
    uint64_t most = heavy_least(table->heavy);
    for (unsigned i = 0; i < table->sum->used; i++) {
        uint64_t possible = table->entries[i].counts[by] + table->entries[i].error;
        if (!self.chosen[i] && possible > most)
            most = possible;
    }
    return most;
}

/* ---- the command ---- */

static void add(const char *argument, size_t length)
{
    self.arguments[self.argument_count] = argument;
    self.lengths[self.argument_count++] = length;
}

static void add_text(const char *text)
{
    add(text, strlen(text));
}

static void add_rows(const struct sets_table *table, unsigned size)
{
    unsigned rows = 0;
    uint64_t sums[2 * top_by_COUNT];
    memset(self.chosen, 0, sizeof self.chosen);
    for (int by = 0; by < top_by_COUNT; by++)
        choose(table, (enum top_by)by, size);
    for (int by = 0; by < top_by_COUNT; by++) {
        sums[by] = table->sum->counts[by];
        sums[top_by_COUNT + by] = rest_of(table, (enum top_by)by);
    }
    add("", 0);
    add(self.texts[rows], top_write(self.texts[rows], sums, 2 * top_by_COUNT));
    for (unsigned i = 0; i < table->sum->used; i++) {
        const struct heavy_entry *entry = &table->entries[i];
        uint64_t values[top_by_COUNT + 1];
        if (!self.chosen[i] || ++rows >= ROWS_MAX)
            continue;
        memcpy(values, entry->counts, sizeof entry->counts);
        values[top_by_COUNT] = entry->error;
        add(entry->member, entry->length);
        add(self.texts[rows], top_write(self.texts[rows], values, top_by_COUNT + 1));
    }
}

static void ask_for(struct redis *redis, const char *sha, const struct settings *settings, const struct tally *tally,
                    const struct sets_table *table)
{
    char meta[SETTINGS_NAME_MAX + 24], top[TOP_KEY_MAX], distinct[TOP_KEY_MAX], owner[80], run[24], seconds[24];
    snprintf(meta, sizeof meta, "ms1:{%s}:meta", settings->instance);
    top_key(top, settings->instance, "top", table->set, table->hour);
    top_key(distinct, settings->instance, "distinct", table->set, table->hour);
    settle_owner(tally, owner);
    snprintf(run, sizeof run, "%016" PRIx64, tally->header->run);
    snprintf(seconds, sizeof seconds, "%" PRId64, settings->top_hours * 3600);
    const char *const fixed[] = {"EVALSHA", sha, "3", meta, top, distinct, owner, run, seconds};
    self.argument_count = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        add_text(fixed[i]);
    add((const char *)table->sketch, HYPERLOGLOG_BYTES);
    add_rows(table, (unsigned)settings->top_size);
    redis_command(redis, self.argument_count, self.arguments, self.lengths);
}

/* The i-th table of all; one of the hour 0 is none. */
static struct sets_table table_at(unsigned i)
{
    struct sets_table table;
    bool found = i < OF_NODE ? sets_table(i, &table) : node_tables_table(i - OF_NODE, &table);
    return found ? table : (struct sets_table){.hour = 0};
}

static void take_changed(unsigned i)
{
    if (i < OF_NODE)
        sets_take_changed(i);
    else
        node_tables_take_changed(i - OF_NODE);
}

static void give_changed(unsigned i)
{
    if (i < OF_NODE)
        sets_give_changed(i);
    else
        node_tables_give_changed(i - OF_NODE);
}

unsigned publish_ask(struct redis *redis, const char *sha, const struct settings *settings, const struct tally *tally,
                     int64_t now_ms)
{
    bool all = now_ms >= self.next_all_ms;
    self.count = 0;
    node_tables_look(settings, time(NULL));
    self.next_ms = now_ms + PUBLISH_EVERY_MS;
    self.next_all_ms = all ? now_ms + PUBLISH_ALL_EVERY_MS : self.next_all_ms;
    for (unsigned i = 0; i < TABLES; i++) {
        const struct sets_table table = table_at(i);
        if (table.hour == 0 || !(table.changed || all))
            continue;
        ask_for(redis, sha, settings, tally, &table);
        self.asked[self.count++] = i;
        take_changed(i);
    }
    return self.count;
}

/* ---- the answers ---- */

/* The first answer that is an error; NULL: there is none. */
static const struct redis_reply *take_answers(const struct redis *redis)
{
    const struct redis_reply *wrong = NULL;
    for (unsigned i = 0; i < self.count; i++) {
        const struct redis_reply *reply = redis_reply(redis, i);
        if (redis_reply_kind(reply) == redis_string)
            continue;
        give_changed(self.asked[i]);
        wrong = wrong == NULL ? reply : wrong;
    }
    self.count = 0;
    return wrong;
}

bool publish_take(const struct redis *redis, const struct tally *tally)
{
    static enum label_error said = error_COUNT; /* the reason that was said last; this one: none */
    const char *text;
    const struct redis_reply *wrong = take_answers(redis);
    enum label_error error = wrong == NULL ? error_COUNT : script_error(wrong, &text);
    if (wrong != NULL) {
        tally_add(tally, SERIES_1(push_errors_total, error), 1);
        if (error != said)
            log_warning("Redis does not take the open sets: %s", text);
    }
    said = error;
    return error != error_noscript;
}

void publish_failed(void)
{
    while (self.count > 0)
        give_changed(self.asked[--self.count]);
}
