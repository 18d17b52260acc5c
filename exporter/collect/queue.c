/* From directories to gauges: each run gives every place its part of the time, and the pause keeps the share of a processor. */
#include "exporter/collect/queue.h"

#include "conf/lib/log.h"
#include "exporter/collect/clock.h"
#include "exporter/collect/failures.h"
#include "exporter/collect/queue_places.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 120 * 1000,
    WALL_MICROS = 90 * 1000000,
    CPU_MICROS = 12 * 1000000, /* at 2 % this is ten minutes */
    CPU_SHARE = 50,            /* one part of so many */
    PAUSE_LEAST_MS = 100
};

/* What a run has found of a queue, in all its directories. */
struct result {
    struct queue_sum sum;
    int64_t micros; /* that it took */
    int64_t ended;  /* microseconds since the Unix epoch */
    bool seen, failed, complete, shows_tried;
};

struct queue_collector {
    const struct settings *settings;
    const struct tally *tally;
    struct queue_places places;
    struct result results[queue_COUNT];
    struct queue_sum sums[queue_COUNT];
    int64_t pause_ms;
};

/* ---- gauges ---- */

static void show(const struct queue_collector *self, enum label_queue queue)
{
    const struct tally *tally = self->tally;
    const struct result *result = &self->results[queue];
    const struct queue_sum *sum = &result->sum;
    bool is_shown = result->seen && !result->failed;
    bool is_counted = is_shown && (result->complete || sum->messages > 0); /* nothing in a part of it is not 0 */
    bool is_read = is_counted && sum->unreadable == 0;
#define SET(name, condition, value)                                                                                    \
    tally_gauge_set(tally, (unsigned)gauge_##name + (unsigned)queue, (condition) ? (int64_t)(value) : GAUGE_ABSENT)
    SET(queue_messages, is_counted, sum->messages);
    SET(queue_bytes, is_read, sum->bytes);
    SET(queue_oldest_seconds, is_read, sum->oldest);
    SET(queue_tried_messages, is_read && result->shows_tried, sum->tried);
    SET(queue_null_sender_messages, is_read, sum->null_sender);
    SET(queue_scan_seconds, is_shown, result->micros);
    SET(queue_scan_complete, is_shown, result->complete);
    SET(queue_scan_timestamp_seconds, is_shown, result->ended);
#undef SET
    for (unsigned age = 0; age < age_COUNT; age++)
        tally_gauge_set(tally, (unsigned)gauge_queue_age_messages + (unsigned)queue * width_queue_age_messages + age,
                        is_read ? (int64_t)sum->ages[age] : GAUGE_ABSENT);
}

/* ---- a run ---- */

/* Of what is left of the run's time, each place still to come gets the same; the last, which may be the largest, all that is left. A part of
 * it is for counting what there is no time to read. */
static struct queue_bounds bounds_for(const struct queue_time *end, unsigned places_left)
{
    struct queue_time now = queue_time_now();
    int64_t wall = (end->wall - now.wall) / places_left;
    int64_t cpu = (end->cpu - now.cpu) / places_left;
    return (struct queue_bounds){.read = {now.wall + wall * 8 / 10, now.cpu + cpu * 8 / 10},
                                 .end = {now.wall + wall, now.cpu + cpu}};
}

static void add_sum(struct queue_sum *sum, const struct queue_sum *more)
{
    sum->messages += more->messages;
    sum->bytes += more->bytes;
    sum->tried += more->tried;
    sum->null_sender += more->null_sender;
    sum->unreadable += more->unreadable;
    sum->oldest = more->oldest > sum->oldest ? more->oldest : sum->oldest;
    for (int i = 0; i < age_COUNT; i++)
        sum->ages[i] += more->ages[i];
}

static void add_result(struct queue_collector *self, const struct queue_place *place, enum label_queue queue,
                       int64_t micros, bool complete)
{
    struct result *result = &self->results[queue];
    result->complete = (!result->seen || result->complete) && complete && self->places.cuts[queue] == queue_cut_none;
    result->seen = true;
    result->shows_tried = place->shows_tried;
    result->micros += micros;
    result->ended = clock_us(CLOCK_REALTIME);
    add_sum(&result->sum, &self->sums[queue]);
}

/* Of a queue that is in more directories than are looked at: what it shows is less than there is, or nothing where none was found. */
static bool tell_cut(const struct queue_collector *self, enum label_queue queue, struct failure *failure)
{
    struct failure one;
    const char *name = queue >= queue_own_0 ? self->settings->collector_queues.list[queue - queue_own_0].name
                                            : catalogue[metric_queue_messages].labels[0]->values[queue];
    switch (self->places.cuts[queue]) {
    case queue_cut_none:
        return true;
    case queue_cut_room:
        fail(&one, EX_CONFIG,
             "queue %s has more directories than the %d that are looked at; what is in the others is not counted", name,
             QUEUE_DIRECTORIES_MAX);
        break;
    case queue_cut_search:
        if (atomic_load_explicit(&collectors_end, memory_order_relaxed))
            return true;
        fail(&one, EX_CONFIG,
             "queue %s: there is too much to be looked through for its directories; those that were not found in time "
             "are not counted",
             name);
        break;
    }
    return failures_add(failure, &one);
}

static bool scan_place(struct queue_collector *self, const struct queue_place *place, const struct queue_time *end,
                       unsigned places_left, struct failure *failure)
{
    struct failure one = {EX_OK, ""};
    struct queue_bounds bounds = bounds_for(end, places_left);
    int64_t begin = queue_time_now().wall;
    bool complete = true;
    const enum label_queue parts[] = {place->queue, place->apart, place->lost};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        self->sums[parts[i]] = (struct queue_sum){.messages = 0};
    if (!queue_scan(place, &bounds, clock_us(CLOCK_REALTIME), self->sums, &complete, &one)) {
        enum queue_missing missing = errno == ENOENT || errno == ENOTDIR ? place->missing : queue_missing_fails;
        if (missing == queue_missing_says_nothing)
            return true;
        if (missing == queue_missing_fails) {
            for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
                self->results[parts[i]].failed = true;
            return failures_add(failure, &one);
        }
    }
    int64_t micros = queue_time_now().wall - begin;
    add_result(self, place, place->queue, micros, complete);
    if (place->apart != place->queue)
        add_result(self, place, place->apart, micros, complete);
    if (place->lost != place->queue && place->lost != place->apart)
        add_result(self, place, place->lost, micros, complete);
    uint64_t unreadable = self->sums[place->queue].unreadable;
    if (unreadable == 0)
        return true;
    fail(&one, EX_NOPERM,
         "queue %s: %" PRIu64 " messages cannot be read: Permission denied; milterscope-collector is to run as root or "
         "with CAP_DAC_READ_SEARCH",
         place->directory, unreadable);
    return failures_add(failure, &one);
}

/* Milliseconds until the next run, so that runs take one part in CPU_SHARE of a processor at most, and a slow disk has as much rest as
 * work. */
static int64_t pause_after(int64_t interval, int64_t wall, int64_t cpu)
{
    int64_t period = interval;
    period = cpu * CPU_SHARE > period ? cpu * CPU_SHARE : period;
    period = 2 * wall > period ? 2 * wall : period;
    int64_t pause = (period - wall) / 1000;
    return pause > PAUSE_LEAST_MS ? pause : PAUSE_LEAST_MS;
}

static bool run(void *context, struct failure *failure)
{
    struct queue_collector *self = context;
    struct queue_time begin = queue_time_now();
    struct queue_time limit = {.wall = begin.wall + WALL_MICROS, .cpu = begin.cpu + CPU_MICROS};
    *failure = (struct failure){EX_OK, ""};
    memset(self->results, 0, sizeof self->results);
    bool good = queue_places_find(self->settings, &self->places, failure);
    for (int queue = 0; queue < queue_COUNT; queue++)
        good = tell_cut(self, (enum label_queue)queue, failure) && good;
    for (unsigned i = 0; i < self->places.count; i++)
        good = scan_place(self, &self->places.list[i], &limit, self->places.count - i, failure) && good;
    for (int queue = 0; queue < queue_COUNT; queue++)
        show(self, (enum label_queue)queue);
    struct queue_time end = queue_time_now();
    self->pause_ms = pause_after(self->settings->collector_queue_interval, end.wall - begin.wall, end.cpu - begin.cpu);
    return good;
}

/* ---- the collector ---- */

static void *open_queues(const struct settings *settings, const struct tally *tally, struct failure *failure)
{
    struct queue_collector *self = calloc(1, sizeof *self);
    if (self == NULL) {
        fail(failure, EX_OSERR, "no memory for the queues");
        return NULL;
    }
    self->settings = settings;
    self->tally = tally;
    if (!queue_places_find(settings, &self->places, failure) && self->places.count == 0) {
        free(self);
        return NULL;
    }
    if (self->places.has_instances)
        log_info(
            "Postfix has more instances (multi_instance_directories); their queues are scanned where collector.queues "
            "names them");
    return self;
}

static int64_t pause_ms(const void *self)
{
    return ((const struct queue_collector *)self)->pause_ms;
}

const struct collector collect_queue = {collector_queue, DEADLINE_MS, open_queues, run, pause_ms, free};
