/* Pushing. What Redis holds of an instance, and the rules by which it is written, stand in push.lua; here is what we send and what we
 * make of the answers. */
#include "milter/pusher/push.h"

#include "conf/lib/log.h"
#include "conf/lib/observable.h"
#include "milter/pusher/fields.h"
#include "milter/pusher/history.h"
#include "milter/pusher/node.h"
#include "milter/pusher/publish.h"
#include "milter/pusher/scripts.h"
#include "milter/pusher/settle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FULL_EVERY_MS = 30 * 1000,
    LEASE_INTERVALS = 10, /* a foreign owner waits for so many intervals of silence */
    KEEP_SECONDS = 7 * 24 * 3600,
    GAUGES_SECONDS = 60,
    FIXED_ARGUMENTS = 17, /* EVALSHA sha 3 key key key and eleven of the script's */
    META_PAIRS = 5,
    ARGUMENTS_MAX = FIXED_ARGUMENTS + 2 * (META_PAIRS + (int)total_COUNT + (int)gauge_COUNT),
    VALUE_BYTES = 32,
    TEXTS_BYTES = VALUE_BYTES * ((int)total_COUNT + (int)gauge_COUNT),
};

enum phase { phase_load, phase_settle, phase_push, phase_behind };
enum { SCRIPTS = 4 };

struct push {
    const struct tally *tally;
    const struct settings *settings;
    struct redis *redis;
    struct node *node;
    char node_id[33]; /* of the node's tally in the push under way; empty: there is none */
    enum phase phase;
    uint32_t epoch;
    uint64_t seq;
    bool last;              /* this is the last one of the run: the lease is given back */
    bool full;              /* the next one writes everything */
    bool history;           /* an entry of it is in the exchange behind a push */
    unsigned sets;          /* so many open sets are */
    uint64_t left_seq;      /* what the last push that was written left there */
    unsigned left_counters; /* fields */
    int64_t full_ms;        /* when everything was last written */
    int64_t begun_us;
    char push_sha[41], touch_sha[41], sets_sha[41], history_sha[41];
    uint64_t server; /* who took the scripts, and by which connection */
    unsigned connection;
    struct snapshot sent;          /* what the push under way says */
    uint64_t written[total_COUNT]; /* what Redis holds */
    unsigned hidden[metric_COUNT]; /* how many series of a metric of totals cannot be observed */
    unsigned shown;                /* fields of all others */
    struct fields fields;
    enum label_error error;
    char error_text[256];
    /* The command in preparation */
    const char *arguments[ARGUMENTS_MAX];
    size_t count;
    char texts[TEXTS_BYTES];
    size_t texts_at;
};

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct push *push_new(const struct tally *tally, uint32_t epoch)
{
    struct push *push = calloc(1, sizeof *push);
    if (push == NULL || !fields_fill(&push->fields)) {
        free(push);
        return NULL;
    }
    push->tally = tally;
    push->epoch = epoch;
    push->full = true;
    return push;
}

bool push_connect(struct push *push, const struct settings *settings)
{
    if (push->redis != NULL)
        redis_close(push->redis);
    push->settings = settings;
    push->redis = redis_open(settings, "milterscope-pusher");
    push->push_sha[0] = '\0';
    if (push->node == NULL)
        push->node = node_open(settings->run_directory);
    publish_anew();
    history_anew();
    return push->redis != NULL && push->node != NULL;
}

/* ---- the command ---- */

static void add(struct push *push, const char *argument)
{
    push->arguments[push->count++] = argument;
}

/* Adds a value, whose text is kept until the command is sent. */
static void add_value(struct push *push, enum metric_unit unit, int64_t value)
{
    char *text = push->texts + push->texts_at;
    push->texts_at += catalogue_value_text(unit, value, text) + 1;
    add(push, text);
}

static size_t add_meta(struct push *push, char *started)
{
    static char host[256];
    size_t before = push->count;
    gethostname(host, sizeof host - 1);
    snprintf(started, VALUE_BYTES, "%" PRId64,
             clock_us(CLOCK_REALTIME) / 1000000 -
                 (tally_clock_ms() - atomic_load(&push->tally->header->begun_ms)) / 1000);
    const char *const pairs[2 * META_PAIRS] = {
        "version",  MILTERSCOPE_VERSION,      "host", host,         "started", started,
        "instance", push->settings->instance, "node", push->node_id};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        add(push, pairs[i]);
    return push->count - before;
}

static void add_totals(struct push *push, const struct metric *metric)
{
    for (unsigned slot = 0; slot < metric->slots; slot++) {
        unsigned i = metric->first + slot;
        if (!fields_has(&push->fields, metric, slot) || observable_hides_series(&push->sent, metric, slot) ||
            (!push->full && push->sent.totals[i] == push->written[i]))
            continue;
        add(push, push->fields.totals[i]);
        add_value(push, push->fields.total_units[i], (int64_t)push->sent.totals[i]);
    }
}

static size_t add_counters(struct push *push)
{
    size_t before = push->count;
    for (unsigned i = 0; i < metric_COUNT; i++) {
        if (catalogue[i].is_total && push->hidden[i] < catalogue[i].slots)
            add_totals(push, &catalogue[i]);
    }
    return push->count - before;
}

/* What cannot be observed is not in Redis, nor are domains that are not configured; where that changes, everything is written, zeros
 * included. Where memory is short the domains stay as they are until the next push. */
static void find_hidden(struct push *push)
{
    bool changed;
    push->full = (fields_follow(&push->fields, &push->sent.domains, &changed) && changed) || push->full;
    fields_follow_places(&push->fields, &push->sent.places);
    push->shown = 0;
    for (unsigned i = 0; i < metric_COUNT; i++) {
        if (!catalogue[i].is_total)
            continue;
        unsigned hidden = observable_hidden(&push->sent, &catalogue[i]);
        push->full = push->full || hidden != push->hidden[i];
        push->hidden[i] = hidden;
        push->shown += hidden < catalogue[i].slots ? fields_count(&push->fields, &catalogue[i]) - hidden : 0;
    }
}

static void add_gauges(struct push *push)
{
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        if (push->sent.gauges[i] == GAUGE_ABSENT || push->fields.gauges[i] == NULL)
            continue;
        add(push, push->fields.gauges[i]);
        add_value(push, catalogue_gauge_metric(i)->unit, push->sent.gauges[i]);
    }
}

/* EVALSHA push.lua: numbers are texts of their own, put in when they are known. */
static void send_push(struct push *push)
{
    char keys[3][SETTINGS_NAME_MAX + 24], owner[80], epoch[16], seq[24], left_seq[24], left_counters[16], lease[24],
        keep[16], gauges[16], meta_count[16], counter_count[16], run[24], started[VALUE_BYTES];
    static const char *const kinds[] = {"meta", "counters", "gauges"};
    push->count = 0;
    push->texts_at = 0;
    for (int i = 0; i < 3; i++)
        snprintf(keys[i], sizeof keys[i], "ms1:{%s}:%s", push->settings->instance, kinds[i]);
    settle_owner(push->tally, owner);
    snprintf(epoch, sizeof epoch, "%" PRIu32, push->epoch);
    snprintf(seq, sizeof seq, "%" PRIu64, push->seq);
    snprintf(left_seq, sizeof left_seq, "%" PRIu64, push->left_seq);
    snprintf(left_counters, sizeof left_counters, "%u", push->left_counters);
    snprintf(lease, sizeof lease, "%" PRId64,
             push->last ? 0 : LEASE_INTERVALS * push->settings->redis_push_interval / 1000);
    snprintf(run, sizeof run, "%016" PRIx64, push->tally->header->run);
    snprintf(keep, sizeof keep, "%d", KEEP_SECONDS);
    int64_t three_pushes = 3 * push->settings->redis_push_interval / 1000000;
    snprintf(gauges, sizeof gauges, "%d", three_pushes > GAUGES_SECONDS ? (int)three_pushes : GAUGES_SECONDS);
    const char *const fixed[] = {"EVALSHA",
                                 push->push_sha,
                                 "3",
                                 keys[0],
                                 keys[1],
                                 keys[2],
                                 owner,
                                 epoch,
                                 seq,
                                 push->full ? "full" : left_seq,
                                 left_counters,
                                 lease,
                                 keep,
                                 gauges,
                                 meta_count,
                                 counter_count,
                                 run};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        add(push, fixed[i]);
    snprintf(meta_count, sizeof meta_count, "%zu", add_meta(push, started));
    snprintf(counter_count, sizeof counter_count, "%zu", add_counters(push));
    add_gauges(push);
    redis_command(push->redis, push->count, push->arguments, NULL);
    const char *const touch[] = {"EVALSHA", push->touch_sha, "1", "ms1:instances", push->settings->instance, keep};
    redis_command(push->redis, sizeof touch / sizeof touch[0], touch, NULL);
}

void push_begin(struct push *push, bool last)
{
    push->last = last;
    push->begun_us = clock_us(CLOCK_MONOTONIC);
    if (push->push_sha[0] == '\0') {
        static const char *const scripts[SCRIPTS] = {script_push, script_touch, script_sets, script_history};
        push->phase = phase_load;
        for (int i = 0; i < SCRIPTS; i++)
            redis_command(push->redis, 3, (const char *const[]){"SCRIPT", "LOAD", scripts[i]}, NULL);
        settle_ask_identity(push->redis);
    } else if (atomic_load(&push->tally->header->state) == tally_settling) {
        push->phase = phase_settle;
        settle_ask(push->redis, push->settings->instance);
    } else {
        push->phase = phase_push;
        push->seq++;
        push->full = push->full || tally_clock_ms() - push->full_ms >= FULL_EVERY_MS;
        tally_snapshot(push->tally, &push->sent);
        push->full = node_add(push->node, &push->sent, push->node_id) || push->full;
        find_hidden(push);
        send_push(push);
    }
    redis_start(push->redis, push->settings->redis_timeout);
}

int push_wait(const struct push *push, struct pollfd *wait)
{
    return redis_wait(push->redis, wait);
}

/* ---- the answers ---- */

static enum push_result failed(struct push *push, enum label_error error, const char *text)
{
    push->error = error;
    snprintf(push->error_text, sizeof push->error_text, "%s", text);
    push->full = true; /* a push that failed may have been written, or half of it */
    tally_add(push->tally, SERIES_1(push_errors_total, error), 1);
    tally_gauge_set(push->tally, gauge_redis_up + (unsigned)program_pusher, 0);
    return push_failed;
}

/* A reply that should not be an error is one: the class decides what is done. Our own scripts speak for a server that is in order; all
 * other errors may mean that another server is the one to talk to by now. */
static enum push_result refused(struct push *push, const struct redis_reply *reply)
{
    const char *text;
    enum label_error error = script_error(reply, &text);
    bool scripts_gone = error == error_noscript && push->push_sha[0] != '\0';
    push->push_sha[0] = error == error_noscript ? '\0' : push->push_sha[0];
    failed(push, error, text);
    if (error != error_noscript && error != error_fenced)
        redis_hang_up(push->redis);
    return scripts_gone ? push_again : push_failed;
}

static enum push_result take_scripts(struct push *push)
{
    char *const shas[SCRIPTS] = {push->push_sha, push->touch_sha, push->sets_sha, push->history_sha};
    for (size_t i = 0; i < SCRIPTS; i++) {
        const struct redis_reply *reply = redis_reply(push->redis, i);
        if (redis_reply_kind(reply) != redis_string) {
            push->push_sha[0] = '\0';
            return refused(push, reply);
        }
        snprintf(shas[i], sizeof push->push_sha, "%s", redis_reply_text(reply, NULL));
    }
    push->server = settle_identity(push->redis, SCRIPTS);
    push->connection = redis_connections(push->redis);
    return push_again;
}

bool push_server(const struct push *push, uint64_t *server)
{
    *server = push->server;
    return push->connection == redis_connections(push->redis);
}

const uint64_t *push_totals(const struct push *push)
{
    return push->written;
}

static enum push_result count_written(struct push *push)
{
    uint64_t server;
    if (!push_server(push, &server))
        push->push_sha[0] = '\0'; /* the server is asked anew who it is */
    memcpy(push->written, push->sent.totals, sizeof push->written);
    if (push->full)
        push->full_ms = tally_clock_ms();
    push->full = false;
    push->left_seq = push->seq;
    push->left_counters = push->shown;
    uint64_t took = (uint64_t)(clock_us(CLOCK_MONOTONIC) - push->begun_us);
    tally_add(push->tally, SERIES_0(push_total), 1);
    tally_observe(push->tally, metric_push_seconds, 0, took);
    tally_gauge_set(push->tally, gauge_redis_up + (unsigned)program_pusher, 1);
    tally_gauge_set(push->tally, gauge_last_push_timestamp_seconds, clock_us(CLOCK_REALTIME));
    return push_written;
}

/* Goes on with open sets and history where it is time for them; else the push is over. */
static enum push_result begin_behind(struct push *push, enum push_result result)
{
    int64_t now_ms = tally_clock_ms();
    push->sets = publish_due(now_ms, push->last)
                     ? publish_ask(push->redis, push->sets_sha, push->settings, push->tally, now_ms)
                     : 0;
    push->history = history_ask(push->redis, push->history_sha, push->settings, push->tally, &push->sent,
                                clock_us(CLOCK_REALTIME) / 1000);
    if (push->sets == 0 && !push->history)
        return result;
    push->phase = phase_behind;
    redis_start(push->redis, push->settings->redis_timeout);
    return push_pending;
}

static enum push_result take_push(struct push *push)
{
    const struct redis_reply *reply = redis_reply(push->redis, 0);
    const struct redis_reply *touched = redis_reply(push->redis, 1);
    const struct redis_reply *word = redis_reply_kind(reply) == redis_array ? redis_reply_item(reply, 0) : NULL;
    if (word == NULL || redis_reply_kind(word) != redis_string)
        return refused(push, reply);
    if (strcmp(redis_reply_text(word, NULL), "again") == 0) {
        log_info("Redis does not hold what was left there: everything is written again");
        push->full = true;
        push->push_sha[0] = '\0'; /* the server is asked anew who it is */
        publish_anew();
        history_anew();
        return push_again;
    }
    if (redis_reply_kind(touched) == redis_error_reply)
        return refused(push, touched);
    return begin_behind(push, count_written(push));
}

static enum push_result take_behind(struct push *push)
{
    bool known = push->sets == 0 || publish_take(push->redis, push->tally);
    known = (!push->history || history_take(push->redis, push->sets, push->tally)) && known;
    if (!known)
        push->push_sha[0] = '\0';
    return push_written;
}

static enum push_result take_settled(struct push *push)
{
    uint64_t server;
    if (settle_is_leased(push->redis, push->tally))
        return failed(push, error_fenced,
                      "another run of this instance pushed a moment ago; totals are settled when its lease is over");
    bool known = push_server(push, &server);
    const struct redis_reply *wrong = known ? settle_take(push->redis, push->tally, server) : NULL;
    if (!known)
        push->push_sha[0] = '\0'; /* the server is asked anew who it is */
    return wrong != NULL ? refused(push, wrong) : push_again;
}

enum push_result push_step(struct push *push)
{
    enum redis_progress progress = redis_step(push->redis);
    if (progress == redis_pending)
        return push_pending;
    if (progress == redis_failed) {
        publish_failed();
        history_anew();
        return failed(push, redis_error(push->redis), redis_error_text(push->redis));
    }
    if (push->phase == phase_behind)
        return take_behind(push);
    if (push->phase == phase_load)
        return take_scripts(push);
    if (push->phase == phase_push)
        return take_push(push);
    return take_settled(push);
}

enum label_error push_error(const struct push *push)
{
    return push->error;
}

const char *push_error_text(const struct push *push)
{
    return push->error_text;
}
