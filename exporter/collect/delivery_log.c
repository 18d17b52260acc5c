/* From the log's places to the node's tally. */
#include "exporter/collect/delivery_log.h"

#include "conf/lib/log.h"
#include "exporter/collect/clock.h"
#include "exporter/collect/failed_sets.h"
#include "exporter/collect/log_count.h"
#include "exporter/collect/log_source.h"
#include "exporter/collect/saved_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNPARSED_NAME "unparsed" /* the exporter knows it, too */

enum {
    PLACES_MOST = LOG_FILES_MAX + 1,
    RUN_MS = 500,
    PAUSE_MS = 1000,
    SAVE_MS = 10 * 1000,
    HAND_OVER_MS = 5 * 1000, /* as often as the pusher looks */
    SAY_MS = 10 * 1000,      /* between two words on a place that fails now and then */
    DEADLINE_MS = 10 * 1000,
    LINES_A_TURN = 256,
};

struct place {
    char name[SETTINGS_PATH_MAX];
    enum log_exim_file exim_file; /* by its name, as Exim calls them */
    struct log_source *source;    /* NULL: cannot be opened or read, and is tried again */
    bool is_there;                /* it was, once: a file that never was may be a name that is misspelt */
    bool has_more;                /* in this run */
    int64_t last_us;              /* when the last line was written that was read */
    struct failure failure;       /* of the last run; EX_OK: it was read */
    char said[sizeof((struct failure *)0)->text]; /* of it in our own log; empty: nothing, or that it is read again */
    int64_t said_ms;                              /* when that was; 0: never */
};

struct delivery_log {
    const struct tally *tally;
    struct log_counter counter;
    size_t count;
    struct place places[PLACES_MOST];
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

/* ---- a place ---- */

static void take(struct delivery_log *self, const struct log_entry *entry)
{
    if (entry->lost > 0)
        tally_add(self->counter.counting.tally, SERIES_0(log_lines_lost_total), entry->lost);
    else if (entry->is_cut)
        log_count_cut(&self->counter);
    else if (entry->program == NULL)
        log_count_text(&self->counter, entry->text, entry->length);
    else
        log_count_line(&self->counter, &(struct log_line){.time_us = entry->time_us,
                                                          .program = {entry->program, strlen(entry->program)},
                                                          .pid = entry->pid,
                                                          .message = {entry->text, entry->length}});
}

/* Is there a log in which nothing may just not have happened? */
static bool is_there(struct place *place)
{
    place->is_there = place->is_there || strcmp(place->name, LOG_JOURNAL) == 0 ||
                      faccessat(AT_FDCWD, place->name, F_OK, AT_EACCESS) == 0 || errno == EACCES;
    return place->is_there;
}

/* Takes some of what there is; *lines grows with them. */
static bool read_lines(struct delivery_log *self, struct place *place, uint64_t *lines, struct failure *failure)
{
    struct log_entry entry;
    for (unsigned i = 0; i < LINES_A_TURN; i++) {
        enum log_next next = log_source_next(place->source, &entry, failure);
        if (next == log_next_none || next == log_next_failed) {
            place->has_more = false;
            return next == log_next_none;
        }
        if (next == log_next_entry) {
            take(self, &entry);
            ++*lines;
        }
    }
    return true;
}

/* A position may change where no line was read: a file that has nothing in it yet, or was rotated. */
static bool keep_position(struct delivery_log *self, const struct place *place, struct failure *failure)
{
    char position[LOG_POSITION_BYTES];
    const char *before = log_store_position(store, place->name);
    log_source_position(place->source, position);
    if (before != NULL && strcmp(before, position) == 0)
        return true;
    self->uncommitted = self->unsaved = true;
    return log_store_set_position(store, place->name, position) ||
           fail(failure, EX_OSERR, "no memory for the position in %s", place->name);
}

static void open_place(struct place *place)
{
    place->failure.status = EX_OK;
    if (place->source == NULL)
        place->source = log_source_open(place->name, log_store_position(store, place->name), &place->failure);
    place->has_more = place->source != NULL;
}

/* One turn. A source that fails is opened anew in the next run: a journal, say, may be another one by now. */
static void read_place(struct delivery_log *self, struct place *place, uint64_t *lines)
{
    self->counter.memory->exim.file = place->exim_file;
    self->counter.last_us = place->last_us;
    bool read = read_lines(self, place, lines, &place->failure);
    place->last_us = self->counter.last_us;
    if (!place->has_more)
        keep_position(self, place, &place->failure);
    if (!read) {
        log_source_close(place->source);
        place->source = NULL;
    }
}

/* The one that is behind the others: of two logs that tell the same neither is read far ahead, since what is remembered is bounded. NULL:
 * all were read. */
static struct place *next_place(struct delivery_log *self)
{
    struct place *next = NULL;
    for (size_t i = 0; i < self->count; i++) {
        struct place *place = &self->places[i];
        if (place->has_more && (next == NULL || place->last_us < next->last_us))
            next = place;
    }
    return next;
}

/* Says what is new of a place: the runner says one thing of a run, and of places several may fail, each in its own way. */
static void say(struct place *place)
{
    const char *text = place->failure.status == EX_OK ? "" : place->failure.text;
    int64_t now_ms = tally_clock_ms();
    if (strcmp(place->said, text) == 0 || (place->said_ms != 0 && now_ms - place->said_ms < SAY_MS))
        return;
    if (text[0] != '\0')
        log_warning("log: %s", text);
    else
        log_info("log: %s is read again", place->name);
    strcpy(place->said, text);
    place->said_ms = now_ms;
}

/* ---- a run ---- */

/* All that there is, for a while. Each has its turn, whatever times stand in it. */
static void take_turns(struct delivery_log *self, uint64_t *lines)
{
    const int64_t until_ms = tally_clock_ms() + RUN_MS;
    struct place *place;
    for (size_t i = 0; i < self->count; i++) {
        open_place(&self->places[i]);
        if (self->places[i].has_more)
            read_place(self, &self->places[i], lines);
    }
    while ((place = next_place(self)) != NULL && tally_clock_ms() < until_ms)
        read_place(self, place, lines);
    self->is_behind = place != NULL;
}

static bool read_places(struct delivery_log *self, uint64_t *lines, struct failure *failure)
{
    size_t failed = 0;
    bool any = false;
    take_turns(self, lines);
    for (size_t i = 0; i < self->count; i++) {
        struct place *place = &self->places[i];
        if (place->has_more)
            keep_position(self, place, &place->failure);
        failed += place->failure.status != EX_OK;
        any = (place->source != NULL && is_there(place)) || any;
        say(place);
    }
    show_parts(self, any);
    return failed == 0 || fail(failure, EX_IOERR, "%zu of %zu places of the log fail", failed, self->count);
}

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

/* One that failed is tried again, and is a failure until then. */
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

/* What was read and where is kept even where one of the places failed. */
static bool run(void *context, struct failure *failure)
{
    struct delivery_log *self = context;
    uint64_t lines = 0;
    self->counter.clock.now_us = clock_us(CLOCK_REALTIME);
    failed_sets_tick(self->counter.counting.failed, self->counter.clock.now_us);
    bool good = read_places(self, &lines, failure);
    if (self->uncommitted && log_store_commit(store, self->tally, failure))
        self->uncommitted = false;
    hand_over(self, false);
    show_lag(self, lines);
    tell_unparsed(self);
    return save(self, failure) && good && !self->uncommitted;
}

static void add_place(struct delivery_log *self, const char *name)
{
    struct place *place = &self->places[self->count++];
    strcpy(place->name, name);
    place->exim_file = log_exim_file_of(name);
    if (!is_there(place))
        log_info("log: %s is not there yet; it is read from its beginning once it is", name);
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
        add_place(self, chosen.files[i]);
    if (chosen.journal)
        add_place(self, LOG_JOURNAL);
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
    for (size_t i = 0; i < self->count; i++) {
        if (self->places[i].source != NULL)
            log_source_close(self->places[i].source);
    }
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
