/* Once a minute: take samples, tell what is usual, and now and then write it down. */
#include "exporter/collect/baseline.h"

#include "conf/lib/log.h"
#include "exporter/collect/baseline_file.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PAUSE_MS = 60 * 1000,
    DEADLINE_MS = 30 * 1000,
    SAVE_MS = 10 * 60 * 1000,
    RATE_LEAST_MS =
        PAUSE_MS /
        2, /* of a shorter or longer time there is no rate: the collector has just been started, or it hung */
    RATE_MOST_MS = 2 * PAUSE_MS,
};
#define SCAN_OLD_MICROS                                                                                                \
    (INT64_C(3) * 3600 * 1000000) /* an hour is the longest interval, and a slow scan stretches it */

_Static_assert((int)signal_connections == (int)queue_COUNT && (int)signal_own_0 == (int)queue_own_0,
               "the first signals are the queues");

/* Signals that are the growth of all series of a metric in a minute. */
static const struct rate {
    enum label_signal signal;
    enum metric_id metric;
} rates[] = {{signal_connections, metric_connections_total},
             {signal_messages, metric_messages_total},
             {signal_rejects, metric_rejects_total}};
enum { RATES = sizeof rates / sizeof rates[0] };

struct sums {
    char id[33]; /* of the tally; empty: there are none */
    int64_t at_ms;
    uint64_t of[RATES];
};

struct baseline {
    const struct settings *settings;
    const struct tally *tally;
    struct tally_view *view; /* of the conversation; NULL: there is none */
    struct sums before;
    int64_t saved_ms;
    bool unsaved; /* the last writing failed */
    struct snapshot seen;
    struct baseline_signal signals[signal_COUNT];
};

/* ---- the node ---- */

static int64_t gauge(const struct baseline *self, unsigned number)
{
    return atomic_load_explicit(&self->tally->self->gauges[number], memory_order_relaxed);
}

static int64_t queue_messages(const struct baseline *self, unsigned queue, int64_t now)
{
    int64_t scanned = gauge(self, (unsigned)gauge_queue_scan_timestamp_seconds + queue);
    if (scanned == GAUGE_ABSENT || now * 1000000 - scanned > SCAN_OLD_MICROS)
        return GAUGE_ABSENT;
    return gauge(self, (unsigned)gauge_queue_messages + queue);
}

/* ---- the conversation ---- */

static bool look(struct baseline *self)
{
    struct failure failure; /* that there is none, is what milterscope says itself */
    const char *directory = self->settings->run_directory;
    if (self->view != NULL && tally_view_outdated(self->view, directory)) {
        tally_view_close(self->view);
        self->view = NULL;
    }
    if (self->view == NULL)
        self->view = tally_view_open(directory, &failure);
    return self->view != NULL && tally_view_read(self->view, &self->seen) && self->seen.has_totals &&
           self->seen.gauges[gauge_filter_up] == 1;
}

static uint64_t sum_of(const struct snapshot *seen, const struct metric *metric)
{
    uint64_t sum = 0;
    for (unsigned slot = 0; slot < metric->slots; slot++)
        sum += seen->totals[metric->first + slot];
    return sum;
}

static void add_rates(struct baseline *self, struct baseline_time hour, int64_t now_ms)
{
    struct sums now = {.at_ms = now_ms};
    if (look(self))
        tally_view_id(self->view, now.id);
    int64_t passed_ms = now_ms - self->before.at_ms;
    bool is_rate = now.id[0] != '\0' && strcmp(now.id, self->before.id) == 0 && passed_ms >= RATE_LEAST_MS &&
                   passed_ms <= RATE_MOST_MS;
    for (unsigned i = 0; i < RATES && now.id[0] != '\0'; i++) {
        const struct metric *metric = &catalogue[rates[i].metric];
        now.of[i] = sum_of(&self->seen, metric);
        uint64_t growth = now.of[i] - self->before.of[i];
        if (is_rate && growth <= UINT32_MAX)
            baseline_add(&self->signals[rates[i].signal], hour,
                         ((int64_t)growth * PAUSE_MS + passed_ms / 2) / passed_ms);
    }
    self->before = now;
}

/* ---- a run ---- */

static void add_all(struct baseline *self, int64_t now, int64_t now_ms)
{
    struct baseline_time hour = baseline_time(now);
    for (unsigned queue = 0; queue < queue_COUNT; queue++) {
        int64_t messages = queue_messages(self, queue, now);
        if (messages != GAUGE_ABSENT)
            baseline_add(&self->signals[queue], hour, messages);
    }
    int64_t sockets = gauge(self, (unsigned)gauge_smtp_sockets + (unsigned)socket_established);
    if (sockets != GAUGE_ABSENT)
        baseline_add(&self->signals[signal_sockets], hour, sockets);
    add_rates(self, hour, now_ms);
}

static void show(const struct baseline *self, int64_t now)
{
    struct baseline_time hour = baseline_time(now);
    for (unsigned signal = 0; signal < signal_COUNT; signal++) {
        struct baseline_usual usual;
        if (!baseline_usual(&self->signals[signal], hour, &usual))
            usual = (struct baseline_usual){GAUGE_ABSENT, GAUGE_ABSENT};
        tally_gauge_set(self->tally, (unsigned)gauge_baseline_median + signal, usual.median);
        tally_gauge_set(self->tally, (unsigned)gauge_baseline_p95 + signal, usual.p95);
    }
}

static bool save(struct baseline *self, int64_t now_ms, struct failure *failure)
{
    self->saved_ms = now_ms;
    self->unsaved = !baseline_save(self->settings->state_directory, self->signals, signal_COUNT, failure);
    return !self->unsaved;
}

static bool run_at(struct baseline *self, int64_t now, int64_t now_ms, struct failure *failure)
{
    add_all(self, now, now_ms);
    show(self, now);
    return (!self->unsaved && now_ms - self->saved_ms < SAVE_MS) || save(self, now_ms, failure);
}

/* ---- the collector ---- */

static bool run(void *self, struct failure *failure)
{
    return run_at(self, time(NULL), tally_clock_ms(), failure);
}

/* Names, not numbers: the operator's queues may stand in another order after a reload. */
static void name_signals(struct baseline *self)
{
    const struct own_queues *own = &self->settings->collector_queues;
    for (unsigned signal = 0; signal < signal_COUNT; signal++) {
        unsigned place = signal - signal_own_0;
        bool is_own = signal >= signal_own_0 && signal <= signal_own_7;
        const char *name = !is_own              ? catalogue[metric_baseline_median].labels[0]->values[signal]
                           : place < own->count ? own->list[place].name
                                                : "";
        snprintf(self->signals[signal].name, sizeof self->signals[signal].name, "%s", name);
    }
}

static void *open_baseline(const struct settings *settings, const struct tally *tally, struct failure *failure)
{
    struct failure warning;
    struct baseline *self = calloc(1, sizeof *self);
    if (self == NULL) {
        fail(failure, EX_OSERR, "no memory for the baseline");
        return NULL;
    }
    self->settings = settings;
    self->tally = tally;
    self->saved_ms = tally_clock_ms();
    name_signals(self);
    if (!baseline_load(settings->state_directory, self->signals, signal_COUNT, &warning, failure)) {
        free(self);
        return NULL;
    }
    if (warning.text[0] != '\0')
        log_warning("%s", warning.text);
    return self;
}

static int64_t pause_ms(const void *self)
{
    (void)self;
    return PAUSE_MS;
}

static void close_baseline(void *context)
{
    struct baseline *self = context;
    struct failure failure;
    if (!save(self, tally_clock_ms(), &failure))
        log_warning("%s", failure.text);
    if (self->view != NULL)
        tally_view_close(self->view);
    free(self);
}

const struct collector collect_baseline = {.name = collector_baseline,
                                           .deadline_ms = DEADLINE_MS,
                                           .open = open_baseline,
                                           .run = run,
                                           .pause_ms = pause_ms,
                                           .close = close_baseline};
