/* One pipeline: who owns the instance, its values, and again who owns it. Values that were read while the owner changed belong to
 * nobody known and are not shown. */
#include "exporter/serve/instance.h"

#include <string.h>
#include <time.h>

enum { ask_meta, ask_counters, ask_gauges, ask_owner };
static const char *const question_names[INSTANCE_QUESTIONS] = {"HMGET meta", "HGETALL counters", "HGETALL gauges",
                                                               "HMGET meta"};

void instance_key(char key[INSTANCE_KEY_MAX], const char *name, const char *kind)
{
    snprintf(key, INSTANCE_KEY_MAX, "ms1:{%s}:%s", name, kind);
}

void instance_ask(struct redis *redis, const char *name)
{
    char meta[INSTANCE_KEY_MAX], counters[INSTANCE_KEY_MAX], gauges[INSTANCE_KEY_MAX];
    instance_key(meta, name, "meta");
    instance_key(counters, name, "counters");
    instance_key(gauges, name, "gauges");
    const struct {
        size_t count;
        const char *words[5];
    } questions[INSTANCE_QUESTIONS] = {
        [ask_meta] = {5, {"HMGET", meta, "owner", "pushed_at", "node"}},
        [ask_counters] = {2, {"HGETALL", counters}},
        [ask_gauges] = {2, {"HGETALL", gauges}},
        [ask_owner] = {4, {"HMGET", meta, "owner", "node"}},
    };
    for (size_t i = 0; i < INSTANCE_QUESTIONS; i++)
        redis_command(redis, questions[i].count, questions[i].words, NULL);
}

int64_t instance_time(const struct redis_reply *reply)
{
    int64_t seconds, micros;
    size_t seconds_length, micros_length;
    const char *seconds_text = redis_reply_text(redis_reply_item(reply, 0), &seconds_length);
    const char *micros_text = redis_reply_text(redis_reply_item(reply, 1), &micros_length);
    if (catalogue_value_parse(unit_seconds, seconds_text, seconds_length, &seconds) && seconds >= 0 &&
        catalogue_value_parse(unit_one, micros_text, micros_length, &micros) && micros >= 0 && micros < 1000000)
        return seconds + micros;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Owner: 32 hexadecimal digits, a colon, the boot id. */
static bool take_owner(struct instance *instance, const struct redis_reply *owner,
                       const struct redis_reply *owner_after)
{
    const char *text = redis_reply_text(owner, NULL);
    if (strcmp(text, redis_reply_text(owner_after, NULL)) != 0 ||
        strspn(text, "0123456789abcdef") != TALLY_ID_BYTES - 1 || text[TALLY_ID_BYTES - 1] != ':')
        return false;
    memcpy(instance->id, text, TALLY_ID_BYTES - 1);
    instance->id[TALLY_ID_BYTES - 1] = '\0';
    return true;
}

/* The same of the node's tally, which has no more than the digits: where it changed meanwhile, its totals are of nobody known. */
static void take_node(struct instance *instance, const struct redis_reply *node, const struct redis_reply *node_after)
{
    const char *text = redis_reply_text(node, NULL);
    instance->node_id[0] = '\0';
    if (strcmp(text, redis_reply_text(node_after, NULL)) == 0 && strlen(text) == TALLY_ID_BYTES - 1 &&
        strspn(text, "0123456789abcdef") == TALLY_ID_BYTES - 1)
        memcpy(instance->node_id, text, TALLY_ID_BYTES);
    else
        instance->values.has_node = false;
}

static bool take_total(struct snapshot *values, const char *field, size_t length, const char *text, size_t text_length)
{
    int64_t value;
    int total = domains_take_total(&values->domains, field, length);
    if (total < 0 || !catalogue_value_parse(catalogue_total_unit((unsigned)total), text, text_length, &value) ||
        value < 0)
        return false;
    int place = domains_place((unsigned)total);
    if (place >= 0)
        values->domains.shown |= UINT64_C(1) << place;
    values->totals[total] = (uint64_t)value;
    if (total >= (int)total_node)
        values->has_node = true;
    else
        values->has_totals = true;
    return true;
}

/* What the exporter says of itself or of an instance is never taken from Redis. */
static bool is_of_exporter(const struct metric *metric, unsigned series)
{
    if (metric->writer == writer_each) /* the first label is the program */
        return series / (metric->slots / metric->labels[0]->count) == program_exporter;
    return metric->writer == writer_exporter;
}

static bool take_gauge(struct snapshot *values, const char *field, size_t length, const char *text, size_t text_length)
{
    int gauge = places_take_gauge(&values->places, field, length);
    if (gauge < 0)
        return false;
    const struct metric *metric = catalogue_gauge_metric((unsigned)gauge);
    return !is_of_exporter(metric, (unsigned)gauge - metric->first) &&
           catalogue_value_parse(metric->unit, text, text_length, &values->gauges[gauge]);
}

static void take_hash(struct instance *instance, const struct redis_reply *hash,
                      bool (*take)(struct snapshot *, const char *, size_t, const char *, size_t))
{
    for (size_t i = 0; i + 1 < redis_reply_count(hash); i += 2) {
        size_t field_length, text_length;
        const char *field = redis_reply_text(redis_reply_item(hash, i), &field_length);
        const char *text = redis_reply_text(redis_reply_item(hash, i + 1), &text_length);
        if (!take(&instance->values, field, field_length, text, text_length))
            instance->dropped++;
    }
}

/* The first answer that is not what was asked for: false, with its class and text. */
static bool all_arrays(const struct redis *redis, size_t first, enum label_error *error, struct failure *failure)
{
    for (size_t i = 0; i < INSTANCE_QUESTIONS; i++) {
        const struct redis_reply *reply = redis_reply(redis, first + i);
        if (redis_reply_kind(reply) == redis_array)
            continue;
        bool is_error = redis_reply_kind(reply) == redis_error_reply;
        *error = is_error ? redis_classify(redis_reply_text(reply, NULL)) : error_protocol;
        return fail(failure, EX_PROTOCOL, "%s: %s", question_names[i],
                    is_error ? redis_reply_text(reply, NULL) : "the answer is of another kind");
    }
    return true;
}

bool instance_take(const struct redis *redis, size_t first, int64_t now, struct instance *instance,
                   enum label_error *error, struct failure *failure)
{
    instance->known = false;
    instance->id[0] = instance->node_id[0] = '\0';
    instance->dropped = 0;
    snapshot_clear(&instance->values);
    if (!all_arrays(redis, first, error, failure))
        return false;
    const struct redis_reply *meta = redis_reply(redis, first + ask_meta);
    const struct redis_reply *after = redis_reply(redis, first + ask_owner);
    size_t length;
    int64_t pushed_at;
    const char *pushed_text = redis_reply_text(redis_reply_item(meta, 1), &length);
    if (!take_owner(instance, redis_reply_item(meta, 0), redis_reply_item(after, 0)) ||
        !catalogue_value_parse(unit_seconds, pushed_text, length, &pushed_at) || pushed_at < 0)
        return true;
    instance->known = true;
    instance->pushed_at = pushed_at;
    instance->age = now - pushed_at;
    take_hash(instance, redis_reply(redis, first + ask_counters), take_total);
    take_hash(instance, redis_reply(redis, first + ask_gauges), take_gauge);
    take_node(instance, redis_reply_item(meta, 2), redis_reply_item(after, 1));
    return true;
}
