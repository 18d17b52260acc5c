/* Pushing. What Redis holds of an instance, and the rules by which it is written, stand in push.lua; here is what we send and what we
 * make of the answers. */
#include "milter/pusher/push.h"

#include "conf/lib/log.h"
#include "milter/pusher/history.h"
#include "milter/pusher/publish.h"
#include "milter/pusher/scripts.h"
#include "milter/pusher/settle.h"
#include "milter/pusher/values.h"

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
    ARGUMENTS_MAX = FIXED_ARGUMENTS + 2 * META_PAIRS + VALUES_ARGUMENTS_MAX,
    STARTED_BYTES = 32,
};

enum phase { phase_load, phase_settle, phase_push, phase_behind };
enum { SCRIPTS = 4 };

struct push {
    const struct tally *tally;
    const struct settings *settings;
    struct redis *redis;
    struct values *values;
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
    enum label_error error;
    char error_text[256];
    /* The command in preparation */
    const char *arguments[ARGUMENTS_MAX];
    size_t count;
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
    if (push == NULL || (push->values = values_new()) == NULL) {
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
    publish_anew();
    history_anew();
    return push->redis != NULL && values_node_in(push->values, settings->run_directory);
}

/* ---- the command ---- */

static void add(struct push *push, const char *argument)
{
    push->arguments[push->count++] = argument;
}

static size_t add_meta(struct push *push, char *started)
{
    static char host[256];
    size_t before = push->count;
    gethostname(host, sizeof host - 1);
    snprintf(started, STARTED_BYTES, "%" PRId64,
             clock_us(CLOCK_REALTIME) / 1000000 -
                 (tally_clock_ms() - atomic_load(&push->tally->header->begun_ms)) / 1000);
    const char *const pairs[2 * META_PAIRS] = {
        "version", MILTERSCOPE_VERSION,         "host", host, "started", started, "instance", push->settings->instance,
        "node",    values_node_id(push->values)};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        add(push, pairs[i]);
    return push->count - before;
}

/* EVALSHA push.lua: numbers are texts of their own, put in when they are known. */
static void send_push(struct push *push)
{
    char keys[3][SETTINGS_NAME_MAX + 24], owner[80], epoch[16], seq[24], left_seq[24], left_counters[16], lease[24],
        keep[16], gauges[16], meta_count[16], counter_count[16], run[24], started[STARTED_BYTES];
    static const char *const kinds[] = {"meta", "counters", "gauges"};
    push->count = 0;
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
    size_t counters = values_counters(push->values, push->full, push->arguments + push->count);
    snprintf(counter_count, sizeof counter_count, "%zu", counters);
    push->count += counters;
    push->count += values_gauges(push->values, push->arguments + push->count);
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
        push->full = values_take(push->values, push->tally) || push->full;
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
    return values_in_redis(push->values);
}

static enum push_result count_written(struct push *push)
{
    uint64_t server;
    if (!push_server(push, &server))
        push->push_sha[0] = '\0'; /* the server is asked anew who it is */
    values_written(push->values);
    if (push->full)
        push->full_ms = tally_clock_ms();
    push->full = false;
    push->left_seq = push->seq;
    push->left_counters = values_count(push->values);
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
    push->history = history_ask(push->redis, push->history_sha, push->settings, push->tally, values_seen(push->values),
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
