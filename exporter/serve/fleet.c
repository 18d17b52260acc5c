/* The three phases of a reading. */
#include "exporter/serve/fleet.h"

#include <stdlib.h>
#include <string.h>

enum phase { phase_index, phase_sizes, phase_values };
enum { ask_time, ask_count, ask_index };
enum { INDEX_MAX = 2 * ROSTER_MAX }; /* so many members are looked at: the newest */
#define LAST_OF_INDEX "1999"
_Static_assert(INDEX_MAX == 2000, "LAST_OF_INDEX is one less");

struct fleet {
    enum phase phase;
    struct roster roster;
    struct member *asked[ROSTER_MAX]; /* the instances that are not silent by the index, and can be read */
    unsigned asked_count, asked_next; /* values are asked for from here on */
    int64_t now;                      /* Redis' clock, in microseconds */
    int64_t ignored;
    unsigned unreadable;
    char wrong[600];
};

struct fleet *fleet_new(void)
{
    return calloc(1, sizeof(struct fleet));
}

void fleet_free(struct fleet *fleet)
{
    if (fleet == NULL)
        return;
    roster_clear(&fleet->roster);
    free(fleet);
}

void fleet_begin(struct fleet *fleet)
{
    fleet->phase = phase_index;
    fleet->asked_count = fleet->asked_next = fleet->unreadable = 0;
    fleet->wrong[0] = '\0';
}

/* ---- asking ---- */

static unsigned batch_of(const struct fleet *fleet)
{
    unsigned left = fleet->asked_count - fleet->asked_next;
    return left < FLEET_BATCH ? left : FLEET_BATCH;
}

static void ask_sizes(const struct fleet *fleet, struct redis *redis)
{
    for (unsigned i = 0; i < fleet->asked_count; i++) {
        char counters[INSTANCE_KEY_MAX], gauges[INSTANCE_KEY_MAX];
        instance_key(counters, fleet->asked[i]->name, "counters");
        instance_key(gauges, fleet->asked[i]->name, "gauges");
        redis_command(redis, 2, (const char *const[]){"HLEN", counters}, NULL);
        redis_command(redis, 2, (const char *const[]){"HLEN", gauges}, NULL);
    }
}

void fleet_ask(struct fleet *fleet, struct redis *redis)
{
    static const struct {
        size_t count;
        const char *words[5];
    } index[] = {
        [ask_time] = {1, {"TIME"}},
        [ask_count] = {2, {"ZCARD", "ms1:instances"}},
        [ask_index] = {5, {"ZREVRANGE", "ms1:instances", "0", LAST_OF_INDEX, "WITHSCORES"}},
    };
    for (size_t i = 0; fleet->phase == phase_index && i < sizeof index / sizeof index[0]; i++)
        redis_command(redis, index[i].count, index[i].words, NULL);
    if (fleet->phase == phase_sizes)
        ask_sizes(fleet, redis);
    for (unsigned i = 0; fleet->phase == phase_values && i < batch_of(fleet); i++)
        instance_ask(redis, fleet->asked[fleet->asked_next + i]->name);
}

/* ---- answers ---- */

/* A score is any double, so also one that is no time. */
static int64_t time_of_score(const char *score)
{
    double seconds = strtod(score, NULL);
    return seconds >= 0 && seconds < (double)(INT64_MAX / 1000000) ? (int64_t)(seconds * 1e6) : -1;
}

/* An answer that is not of the right kind: its class and text. */
static enum fleet_progress failed(const struct redis_reply *reply, const char *question, enum label_error *error,
                                  struct failure *failure)
{
    bool is_error = redis_reply_kind(reply) == redis_error_reply;
    *error = is_error ? redis_classify(redis_reply_text(reply, NULL)) : error_protocol;
    fail(failure, EX_PROTOCOL, "%s: %s", question,
         is_error ? redis_reply_text(reply, NULL) : "the answer is of another kind");
    return fleet_failed;
}

/* A key of another type is the fault of that instance's keys: it is left out, and said. Is it that? */
static bool left_out(struct fleet *fleet, const struct member *member, enum label_error error, const char *text)
{
    if (error != error_wrongtype)
        return false;
    if (fleet->unreadable++ == 0)
        snprintf(fleet->wrong, sizeof fleet->wrong, "%s: %s", member->name, text);
    return true;
}

static enum fleet_progress take_index(struct fleet *fleet, const struct redis *redis, enum label_error *error,
                                      struct failure *failure)
{
    const struct redis_reply *count = redis_reply(redis, ask_count), *index = redis_reply(redis, ask_index);
    if (redis_reply_kind(count) != redis_integer)
        return failed(count, "ZCARD ms1:instances", error, failure);
    if (redis_reply_kind(index) != redis_array)
        return failed(index, "ZREVRANGE ms1:instances", error, failure);
    fleet->now = instance_time(redis_reply(redis, ask_time));
    fleet->ignored = redis_reply_integer(count);
    roster_begin(&fleet->roster);
    for (size_t i = 0; i + 1 < redis_reply_count(index); i += 2) {
        size_t length;
        const char *name = redis_reply_text(redis_reply_item(index, i), &length);
        struct member *member = roster_list(&fleet->roster, name, length);
        if (member == NULL)
            continue;
        fleet->ignored--;
        member->indexed_at = time_of_score(redis_reply_text(redis_reply_item(index, i + 1), NULL));
        /* One that is dated in the future is asked: the clock may have been set back since, and what it says itself counts. */
        if (member->indexed_at < 0 || fleet->now - member->indexed_at <= FLEET_UP_SECONDS * INT64_C(1000000))
            fleet->asked[fleet->asked_count++] = member;
    }
    fleet->ignored = fleet->ignored > 0 ? fleet->ignored : 0; /* the index may have changed between the two */
    fleet->phase = phase_sizes;
    return fleet->asked_count > 0 ? fleet_more : fleet_read;
}

/* Keeps those that can be asked for their values. */
static enum fleet_progress take_sizes(struct fleet *fleet, const struct redis *redis, enum label_error *error,
                                      struct failure *failure)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < fleet->asked_count; i++) {
        struct member *member = fleet->asked[i];
        const struct redis_reply *counters = redis_reply(redis, 2 * (size_t)i);
        const struct redis_reply *gauges = redis_reply(redis, 2 * (size_t)i + 1);
        const struct redis_reply *wrong = redis_reply_kind(counters) != redis_integer ? counters : gauges;
        if (redis_reply_kind(wrong) != redis_integer) {
            failed(wrong, "HLEN", error, failure);
            if (!left_out(fleet, member, *error, failure->text))
                return fleet_failed;
        } else if (redis_reply_integer(counters) > FLEET_FIELDS_MAX || redis_reply_integer(gauges) > FLEET_FIELDS_MAX) {
            member->unknown += (uint64_t)redis_reply_integer(counters) + (uint64_t)redis_reply_integer(gauges);
            left_out(fleet, member, error_wrongtype, "there are too many fields");
        } else {
            fleet->asked[kept++] = member;
        }
    }
    fleet->asked_count = kept;
    fleet->phase = phase_values;
    return kept > 0 ? fleet_more : fleet_read;
}

static enum fleet_progress take_values(struct fleet *fleet, const struct redis *redis, enum label_error *error,
                                       struct failure *failure)
{
    unsigned batch = batch_of(fleet);
    for (unsigned i = 0; i < batch; i++) {
        struct member *member = fleet->asked[fleet->asked_next + i];
        struct instance *said = &member->said;
        if (!instance_take(redis, (size_t)i * INSTANCE_QUESTIONS, fleet->now, said, error, failure) &&
            !left_out(fleet, member, *error, failure->text))
            return fleet_failed;
        member->unknown += said->dropped;
        if (said->known && said->values.has_totals)
            shown_raise(&member->shown, said->id, &said->values);
        if (said->known && said->values.has_node)
            shown_raise_node(&member->shown, said->node_id, &said->values);
    }
    fleet->asked_next += batch;
    return fleet->asked_next < fleet->asked_count ? fleet_more : fleet_read;
}

enum fleet_progress fleet_take(struct fleet *fleet, const struct redis *redis, enum label_error *error,
                               struct failure *failure)
{
    static enum fleet_progress (*const take[])(struct fleet *, const struct redis *, enum label_error *,
                                               struct failure *) = {
        [phase_index] = take_index, [phase_sizes] = take_sizes, [phase_values] = take_values};
    return take[fleet->phase](fleet, redis, error, failure);
}

/* ---- what was read ---- */

/* By what the instance says itself, else by the index. A push that is dated in the future is no better than one of the past. */
static void show(const struct fleet *fleet, const struct member *member, struct fleet_row *row)
{
    const int64_t limit = FLEET_UP_SECONDS * INT64_C(1000000);
    int64_t pushed_at = member->said.known ? member->said.pushed_at : member->indexed_at;
    int64_t age = fleet->now - pushed_at;
    memcpy(row->name, member->name, sizeof row->name);
    row->up = pushed_at >= 0 && age <= limit && age >= -limit;
    row->age = pushed_at < 0 ? -1 : age < 0 ? 0 : age;
    if (row->up && member->said.known)
        row->values = member->said.values;
    else
        snapshot_clear(&row->values);
    row->values.gauges[gauge_instance_up] = row->up;
    row->values.gauges[gauge_last_push_timestamp_seconds] = pushed_at < 0 ? GAUGE_ABSENT : pushed_at;
    row->values.gauges[gauge_unknown_series_total] = (int64_t)member->unknown;
}

struct fleet_view *fleet_show(const struct fleet *fleet)
{
    const struct roster *roster = &fleet->roster;
    unsigned listed = 0;
    for (unsigned i = 0; i < roster->count; i++)
        listed += roster_lists(roster, roster->members[i]);
    struct fleet_view *view = malloc(sizeof *view + listed * sizeof view->rows[0]);
    if (view == NULL)
        return NULL;
    *view = (struct fleet_view){.holders = 1, .ignored = fleet->ignored, .unreadable = fleet->unreadable};
    memcpy(view->wrong, fleet->wrong, sizeof view->wrong);
    for (unsigned i = 0; i < roster->count; i++) {
        if (!roster_lists(roster, roster->members[i]))
            continue;
        show(fleet, roster->members[i], &view->rows[view->count]);
        view->silent += !view->rows[view->count].up;
        view->count++;
    }
    return view;
}

void fleet_view_hold(struct fleet_view *view)
{
    view->holders++;
}

void fleet_view_release(struct fleet_view *view)
{
    if (view != NULL && --view->holders == 0)
        free(view);
}
