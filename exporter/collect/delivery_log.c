/* From the log's places to the node's tally. */
#include "exporter/collect/delivery_log.h"

#include "conf/lib/log.h"
#include "exporter/collect/clock.h"
#include "exporter/collect/failed_sets.h"
#include "exporter/collect/failures.h"
#include "exporter/collect/log_place.h"
#include "exporter/collect/saved_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNPARSED_NAME "unparsed" /* the exporter knows it, too */

enum {
    PLACES_MOST = LOG_FILES_MAX + 1,
    RUN_MS = 500,
    PAUSE_MS = 1000,
    SAVE_MS = 10 * 1000,
    HAND_OVER_MS = 5 * 1000, /* as often as the pusher looks */
    DEADLINE_MS = 10 * 1000,
};

struct delivery_log {
    const struct tally *tally;
    struct log_counter counter;
    size_t count;
    struct log_place places[PLACES_MOST];
    bool is_read;                /* one of the places at least, in the last run */
    bool is_behind;              /* there is more to be read at once */
    bool uncommitted;            /* something was read since the last commit */
    bool unsaved;                /* the same since the last save */
    struct failure save_failure; /* of the last one; EX_OK: it went well */
    int64_t saved_ms;            /* when that was */
    int64_t handed_ms;           /* when the open sets were handed over last */
    uint64_t told;               /* lines that were not understood, of which people can read */
};

static struct log_store *store; /* one a process, which outlives the collector */

void delivery_log_keep_in(struct log_store *kept)
{
    store = kept;
}

/* ---- what can be seen ---- */

static void set_part(const struct delivery_log *self, enum label_part part, bool is_seen)
{
    tally_gauge_set(self->tally, gauge_observable + (unsigned)part, is_seen);
}

static void show_parts(const struct delivery_log *self, bool is_read)
{
    enum mta_kind kind = self->counter.kind;
    set_part(self, part_delivery_log, is_read);
    set_part(self, part_delivery_stages, is_read && (kind == mta_kind_postfix || kind == mta_kind_auto));
    set_part(self, part_scanner_log, is_read && self->counter.counting.settings->spam_scanner == (int64_t)scanner_log);
}

/* ---- reading ---- */

/* The one that is behind the others: of two logs that tell the same neither is read far ahead, since what is remembered is bounded. NULL:
 * all were read. */
static struct log_place *next_place(struct delivery_log *self)
{
    struct log_place *next = NULL;
    for (size_t i = 0; i < self->count; i++) {
        struct log_place *place = &self->places[i];
        if (place->has_more && (next == NULL || place->last_us < next->last_us))
            next = place;
    }
    return next;
}

/* All that there is, for a while; returns how many lines. Each has its turn, whatever times stand in it. */
static uint64_t read_lines(struct delivery_log *self)
{
    const int64_t until_ms = tally_clock_ms() + RUN_MS;
    uint64_t lines = 0;
    struct log_place *place;
    for (size_t i = 0; i < self->count; i++) {
        log_place_open(&self->places[i], store);
        lines += log_place_read(&self->places[i], &self->counter);
    }
    while ((place = next_place(self)) != NULL && tally_clock_ms() < until_ms)
        lines += log_place_read(place, &self->counter);
    self->is_behind = place != NULL;
    return lines;
}

/* The position, and what is wrong, of each; and whether there is one that is read. */
static bool judge_places(struct delivery_log *self, struct failure *failure)
{
    size_t failed = 0;
    self->is_read = false;
    for (size_t i = 0; i < self->count; i++) {
        struct log_place *place = &self->places[i];
        bool changed;
        log_place_keep(place, store, &changed);
        self->uncommitted = self->uncommitted || changed;
        self->unsaved = self->unsaved || changed;
        failed += place->failure.status != EX_OK;
        self->is_read = (place->source != NULL && log_place_is_there(place)) || self->is_read;
        log_place_say(place);
    }
    return failed == 0 || fail(failure, EX_IOERR, "%zu of %zu places of the log fail", failed, self->count);
}

/* ---- handing on ---- */

/* For people, and nothing hangs on it: the last lines that were not understood, the oldest first, in run_directory/unparsed. */
static void tell_unparsed(struct delivery_log *self)
{
    const struct log_unparsed *unparsed = &self->counter.memory->unparsed;
    struct failure failure;
    struct iovec part = {NULL, 0};
    char *text = NULL;
    uint64_t first = unparsed->count < LOG_UNPARSED_KEPT ? 0 : unparsed->count - LOG_UNPARSED_KEPT;
    if (unparsed->count == self->told)
        return;
    self->told = unparsed->count;
    FILE *out = open_memstream(&text, &part.iov_len);
    for (uint64_t i = first; out != NULL && i < unparsed->count; i++)
        fprintf(out, "%s\n", unparsed->lines[i % LOG_UNPARSED_KEPT]);
    if (out != NULL && fclose(out) == 0) {
        part.iov_base = text;
        saved_file_write(self->counter.counting.settings->run_directory, UNPARSED_NAME, &part, 1, false, &failure);
    }
    free(text);
}

/* What was counted is seen from now on. */
static bool commit(struct delivery_log *self, struct failure *failure)
{
    struct failure one;
    if (!self->uncommitted)
        return true;
    self->uncommitted = !log_store_commit(store, self->tally, &one);
    return !self->uncommitted || fail(failure, EX_IOERR, "%s; what the log says is not shown until it can", one.text);
}

/* To the disk. One that failed is tried again, and is a failure until then. */
static bool save(struct delivery_log *self, struct failure *failure)
{
    struct failure *last = &self->save_failure;
    if ((self->unsaved || last->status != EX_OK) && tally_clock_ms() - self->saved_ms >= SAVE_MS) {
        self->saved_ms = tally_clock_ms();
        self->unsaved = false;
        last->status = EX_OK;
        log_store_save(store, false, last);
    }
    if (last->status != EX_OK)
        *failure = *last;
    return last->status == EX_OK;
}

/* Best effort, as open sets are: what goes wrong goes wrong with the commit, too. */
static void hand_over(struct delivery_log *self, bool last)
{
    struct failure failure;
    if (!last && tally_clock_ms() - self->handed_ms < HAND_OVER_MS)
        return;
    self->handed_ms = tally_clock_ms();
    failed_sets_hand_over(self->counter.counting.failed, &failure);
}

static void show_lag(const struct delivery_log *self, uint64_t lines)
{
    int64_t last_us = 0;
    for (size_t i = 0; i < self->count; i++)
        last_us = self->places[i].last_us > last_us ? self->places[i].last_us : last_us;
    int64_t lag_us = self->counter.clock.now_us - last_us;
    if (lines > 0 && last_us > 0)
        tally_gauge_set(self->tally, gauge_log_lag_seconds, lag_us > 0 ? lag_us : 0);
}

/* ---- life ---- */

/* What was read and where is kept even where one of the places failed. */
static bool run(void *context, struct failure *failure)
{
    struct delivery_log *self = context;
    self->counter.clock.now_us = clock_us(CLOCK_REALTIME);
    failed_sets_tick(self->counter.counting.failed, self->counter.clock.now_us);
    uint64_t lines = read_lines(self);
    struct failure one;
    failure->status = EX_OK;
    bool read = judge_places(self, &one) || failures_add(failure, &one);
    bool committed = commit(self, &one) || failures_add(failure, &one);
    show_parts(self, self->is_read); /* not before the position is kept */
    hand_over(self, false);
    show_lag(self, lines);
    tell_unparsed(self);
    bool saved = save(self, &one) || failures_add(failure, &one);
    return read && committed && saved;
}

static bool has_place(const void *context, const char *name)
{
    const struct delivery_log *self = context;
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->places[i].name, name) == 0)
            return true;
    }
    return false;
}

static void *open_log(const struct settings *settings, const struct tally *tally, struct failure *failure)
{
    struct log_places chosen = settings->collector_logs;
    struct delivery_log *self = calloc(1, sizeof *self);
    struct log_memory *memory = log_store_memory(store, sizeof *memory);
    struct failed_sets *failed = memory == NULL ? NULL : failed_sets_open(&memory->failed, settings);
    if (self == NULL || failed == NULL) {
        failed_sets_close(failed);
        free(self);
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    if (chosen.automatic)
        log_source_choose(settings, &chosen);
    self->tally = tally;
    self->counter.kind = (enum mta_kind)settings->mta_kind;
    self->counter.counting.settings = settings;
    self->counter.counting.tally = log_store_counting(store);
    self->counter.counting.failed = failed;
    self->counter.memory = memory;
    for (uint32_t i = 0; i < chosen.count; i++)
        log_place_begin(&self->places[self->count++], chosen.files[i]);
    if (chosen.journal)
        log_place_begin(&self->places[self->count++], LOG_JOURNAL);
    self->uncommitted = self->unsaved = log_store_forget_others(store, has_place, self);
    show_parts(self, false);
    return self;
}

static int64_t pause_ms(const void *context)
{
    return ((const struct delivery_log *)context)->is_behind ? 0 : PAUSE_MS;
}

static void close_log(void *context)
{
    struct delivery_log *self = context;
    for (size_t i = 0; i < self->count; i++)
        log_place_close(&self->places[i]);
    hand_over(self, true);
    failed_sets_close(self->counter.counting.failed);
    free(self);
}

const struct collector collect_log = {
    .name = collector_log,
    .deadline_ms = DEADLINE_MS,
    .open = open_log,
    .run = run,
    .pause_ms = pause_ms,
    .close = close_log,
};
