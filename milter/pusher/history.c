/* What stands in an entry, and how it goes to Redis. */
#include "milter/pusher/history.h"

#include "conf/lib/log.h"
#include "conf/lib/observable.h"
#include "milter/pusher/scripts.h"
#include "milter/pusher/settle.h"

#include <inttypes.h>
#include <string.h>

/* Totals, added up over all labels, or over all but the last one. */
static const struct sum {
    enum metric_id metric;
    bool by_last;
} sums[] = {{metric_connections_total, false},
            {metric_messages_total, false},
            {metric_rejects_total, false},
            {metric_spam_verdicts_total, true}};

/* Gauges, from the first to the last. */
static const struct gauges {
    unsigned first, last;
} gauges[] = {{gauge_queue_messages, gauge_queue_messages_LAST},
              {gauge_smtp_sockets + (unsigned)socket_established, gauge_smtp_sockets + (unsigned)socket_established}};

enum {
    FIXED = 10, /* EVALSHA sha 2 key key and five of the script's */
    FIELDS_MAX = 3 + spam_COUNT + queue_COUNT + 1,
    VALUE_BYTES = 32,
};

static struct {
    int64_t asked; /* the minute of the entry that was asked for last */
    /* The command in preparation. */
    const char *arguments[FIXED + 2 * FIELDS_MAX];
    size_t count;
    unsigned fields;
    char names[FIELDS_MAX][SERIES_TEXT_MAX];
    char values[FIELDS_MAX][VALUE_BYTES];
} self;

/* ---- an entry ---- */

/* Adds the field whose name has been written. */
static void add_field(enum metric_unit unit, int64_t value)
{
    catalogue_value_text(unit, value, self.values[self.fields]);
    self.arguments[self.count++] = self.names[self.fields];
    self.arguments[self.count++] = self.values[self.fields];
    self.fields++;
}

static void add_sum(const struct snapshot *snapshot, const struct sum *sum)
{
    const struct metric *metric = &catalogue[sum->metric];
    const struct label_set *last = metric->labels[metric->label_count - 1];
    unsigned width = sum->by_last ? last->count : 1;
    if (observable_hides(snapshot, metric))
        return;
    for (unsigned value = 0; value < width; value++) {
        uint64_t total = 0;
        for (unsigned slot = value; slot < metric->slots; slot += width)
            total += snapshot->totals[metric->first + slot];
        char *name = self.names[self.fields];
        if (sum->by_last)
            snprintf(name, SERIES_TEXT_MAX, "%s{%s=\"%s\"}", metric->name, last->label, last->values[value]);
        else
            snprintf(name, SERIES_TEXT_MAX, "%s", metric->name);
        add_field(metric->unit, (int64_t)total);
    }
}

static void add_gauges(const struct snapshot *snapshot, const struct gauges *range)
{
    const struct metric *metric = catalogue_gauge_metric(range->first);
    for (unsigned i = range->first; i <= range->last; i++) {
        if (snapshot->gauges[i] != GAUGE_ABSENT &&
            places_series(&snapshot->places, metric, i - metric->first, self.names[self.fields]) > 0)
            add_field(metric->unit, snapshot->gauges[i]);
    }
}

static void add_entry(const struct snapshot *snapshot)
{
    self.fields = 0;
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
        add_sum(snapshot, &sums[i]);
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++)
        add_gauges(snapshot, &gauges[i]);
}

/* ---- the command ---- */

bool history_ask(struct redis *redis, const char *sha, const struct settings *settings, const struct tally *tally,
                 const struct snapshot *snapshot, int64_t now_ms)
{
    char meta[SETTINGS_NAME_MAX + 24], history[SETTINGS_NAME_MAX + 24], owner[80], run[24], entries[16], seconds[16],
        id[32];
    int64_t minute = now_ms / HISTORY_EVERY_MS;
    if (minute == self.asked)
        return false;
    self.asked = minute;
    snprintf(meta, sizeof meta, "ms1:{%s}:meta", settings->instance);
    snprintf(history, sizeof history, "ms1:{%s}:history", settings->instance);
    settle_owner(tally, owner);
    snprintf(run, sizeof run, "%016" PRIx64, tally->header->run);
    snprintf(entries, sizeof entries, "%d", HISTORY_ENTRIES);
    snprintf(seconds, sizeof seconds, "%d", HISTORY_KEEP_SECONDS);
    snprintf(id, sizeof id, "%" PRId64 "-0", minute * HISTORY_EVERY_MS);
    const char *const fixed[FIXED] = {"EVALSHA", sha, "2", meta, history, owner, run, entries, seconds, id};
    memcpy(self.arguments, fixed, sizeof fixed);
    self.count = FIXED;
    add_entry(snapshot);
    redis_command(redis, self.count, self.arguments, NULL);
    return true;
}

bool history_take(const struct redis *redis, size_t reply, const struct tally *tally)
{
    static enum label_error said = error_COUNT; /* the reason that was said last; this one: none */
    const struct redis_reply *answer = redis_reply(redis, reply);
    const char *text;
    bool good = redis_reply_kind(answer) == redis_string;
    enum label_error error = good ? error_COUNT : script_error(answer, &text);
    if (!good) {
        tally_add(tally, SERIES_1(push_errors_total, error), 1);
        if (error != said)
            log_warning("Redis does not take the history: %s", text);
    }
    said = error;
    return error != error_noscript;
}

void history_anew(void)
{
    self.asked = 0;
}
