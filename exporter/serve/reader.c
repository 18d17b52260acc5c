/* The reader thread: one poll loop over the Redis connection and a descriptor that wakes it. Values are handed over under a lock that is
 * never held during I/O. */
#include "exporter/serve/reader.h"

#include "conf/lib/log.h"
#include "exporter/serve/own_process.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_MAX_MS = 1000, /* progress is shown at least so often */
    BACK_OFF_MIN_MS = 100,
    BACK_OFF_MAX_MS = 30 * 1000,
    BACK_OFF_DOUBLINGS = 10,
};

struct reader {
    pthread_t thread;
    int wake; /* eventfd */
    _Atomic int64_t progress_ms;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct reading reading;
    bool stopping, reloaded;
    struct settings next_settings;

    /* The thread's own. */
    struct settings settings;
    const char *tally_from; /* the directory; NULL: there is none */
    bool node_wrong;        /* the node's cannot be read, which was said */
    struct redis *redis;
    bool asking;
    int64_t ask_ms, tick_ms; /* when to do so next */
    unsigned failures;       /* in a row */
    enum label_error error;  /* of the last failure; error_COUNT: none since all was well or the settings changed */
    unsigned dropped;
    struct instance instance;
    struct fleet *fleet; /* NULL in scope node */
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the tally of this host, and ourselves ---- */

/* The tally, or where there is none a copy that tells something; *from is set to where it lies. */
static struct tally_view *open_tally(const struct settings *settings, const char **from, struct failure *failure)
{
    struct failure no_copy;
    struct tally_view *tally = tally_view_open(*from = settings->run_directory, failure);
    if (tally != NULL || failure->status != EX_NOINPUT)
        return tally;
    return tally_view_open_copy(*from = settings->state_directory, &no_copy);
}

static void look_for_tally(struct reader *reader)
{
    struct failure failure = {0};
    struct tally_view *before = reader->reading.tally; /* only this thread changes it */
    if (before != NULL && !tally_view_outdated(before, reader->settings.run_directory))
        return;
    const char *from;
    struct tally_view *tally = open_tally(&reader->settings, &from, &failure);
    bool wrong = tally == NULL && failure.status != EX_NOINPUT;
    bool moved = tally != NULL && from != reader->tally_from;
    reader->tally_from = tally != NULL ? from : NULL;
    if (moved || (tally == NULL) != (before == NULL) || (wrong && !reader->reading.tally_wrong)) {
        if (tally != NULL)
            log_info("the tally in %s is read", from);
        else if (wrong)
            log_warning("no tally: %s", failure.text);
        else
            log_info("no tally: %s", failure.text);
    }
    pthread_mutex_lock(&reader->lock);
    reader->reading.tally = tally;
    reader->reading.tally_wrong = wrong;
    memcpy(reader->reading.tally_error, failure.text, sizeof failure.text);
    pthread_mutex_unlock(&reader->lock);
    if (before != NULL)
        tally_view_close(before);
}

static void look_for_node(struct reader *reader)
{
    struct failure failure = {0};
    struct tally_view *before = reader->reading.node; /* only this thread changes it */
    if (before != NULL && !tally_view_outdated(before, reader->settings.run_directory))
        return;
    struct tally_view *node = tally_view_open_node(reader->settings.run_directory, &failure);
    if (node == NULL && failure.status != EX_NOINPUT && !reader->node_wrong)
        log_warning("no tally of the collector: %s", failure.text);
    else if ((node == NULL) != (before == NULL))
        log_info("the tally of the collector is %s", node != NULL ? "read" : "gone");
    reader->node_wrong = node == NULL && failure.status != EX_NOINPUT;
    pthread_mutex_lock(&reader->lock);
    reader->reading.node = node;
    pthread_mutex_unlock(&reader->lock);
    if (before != NULL)
        tally_view_close(before);
}

static void look_at_process(struct reader *reader)
{
    struct snapshot process;
    memcpy(&process, &reader->reading.process, sizeof process);
    own_process_read(process.gauges);
    pthread_mutex_lock(&reader->lock);
    reader->reading.process = process;
    pthread_mutex_unlock(&reader->lock);
}

/* ---- Redis ---- */

/* Everything was tried once. */
static void complete(struct reader *reader)
{
    reader->reading.complete = true;
    pthread_cond_broadcast(&reader->changed);
}

/* The view of a reading of the fleet; what is odd in it is said when it begins. NULL in scope node. */
static struct fleet_view *show_fleet(struct reader *reader)
{
    const struct fleet_view *before = reader->reading.fleet; /* only this thread changes it */
    struct fleet_view *view = reader->fleet == NULL ? NULL : fleet_show(reader->fleet);
    if (view == NULL)
        return NULL;
    if (view->unreadable > 0 && (before == NULL || before->unreadable == 0))
        log_warning("an instance cannot be read and is left out: %s", view->wrong);
    if (view->ignored > 0 && (before == NULL || before->ignored == 0))
        log_warning("%" PRId64 " members of ms1:instances are no names of instances, or beyond %d, and are left out",
                    view->ignored, ROSTER_MAX);
    return view;
}

static void redis_is_well(struct reader *reader)
{
    struct fleet_view *fleet = show_fleet(reader), *before = reader->reading.fleet;
    if (reader->failures > 0)
        log_info("Redis is read again");
    if (reader->dropped != reader->instance.dropped && reader->instance.dropped > 0)
        log_debug("Redis: %u fields that this version does not know", reader->instance.dropped);
    reader->dropped = reader->instance.dropped;
    reader->failures = 0;
    reader->error = error_COUNT;
    reader->ask_ms = clock_ms() + reader->settings.redis_push_interval / 1000;
    pthread_mutex_lock(&reader->lock);
    reader->reading.redis_well = true;
    reader->reading.instance = reader->instance;
    reader->reading.fleet = fleet;
    complete(reader);
    pthread_mutex_unlock(&reader->lock);
    fleet_view_release(before);
}

/* Full jitter: any time up to a limit that doubles. A wrong password does not become right by asking often. */
static int64_t back_off(const struct reader *reader)
{
    unsigned doublings = reader->failures < BACK_OFF_DOUBLINGS ? reader->failures : BACK_OFF_DOUBLINGS;
    int64_t limit = (reader->settings.redis_push_interval / 1000) << doublings;
    if (limit > BACK_OFF_MAX_MS)
        limit = BACK_OFF_MAX_MS;
    if (reader->error == error_auth || reader->error == error_noperm)
        return BACK_OFF_MAX_MS / 2 + arc4random_uniform(BACK_OFF_MAX_MS / 2);
    return BACK_OFF_MIN_MS + arc4random_uniform((uint32_t)limit);
}

static void redis_is_not_well(struct reader *reader, enum label_error error, const char *text)
{
    if (error != reader->error)
        log_warning("Redis cannot be read: %s", text);
    reader->error = error;
    reader->ask_ms = clock_ms() + back_off(reader);
    reader->failures++;
    pthread_mutex_lock(&reader->lock);
    reader->reading.redis_well = false;
    snprintf(reader->reading.redis_error, sizeof reader->reading.redis_error, "%s", text);
    complete(reader);
    pthread_mutex_unlock(&reader->lock);
}

static void connect_redis(struct reader *reader)
{
    redis_close(reader->redis);
    reader->redis = redis_open(&reader->settings, "milterscope-exporter");
    reader->asking = false;
}

static void ask(struct reader *reader)
{
    if (reader->fleet != NULL) {
        fleet_ask(reader->fleet, reader->redis);
    } else {
        instance_ask(reader->redis, reader->settings.instance);
        redis_command(reader->redis, 1, (const char *const[]){"TIME"}, NULL);
    }
    redis_start(reader->redis, reader->settings.redis_timeout);
}

static enum fleet_progress take(struct reader *reader, enum label_error *error, struct failure *failure)
{
    if (reader->fleet != NULL)
        return fleet_take(reader->fleet, reader->redis, error, failure);
    int64_t now = instance_time(redis_reply(reader->redis, INSTANCE_QUESTIONS));
    return instance_take(reader->redis, 0, now, &reader->instance, error, failure) ? fleet_read : fleet_failed;
}

/* Begins to ask where it is time, and takes the answers where they are there. */
static void ask_redis(struct reader *reader)
{
    if (!reader->asking && clock_ms() < reader->ask_ms)
        return;
    if (reader->redis == NULL) {
        redis_is_not_well(reader, error_other, "no memory");
        connect_redis(reader);
        return;
    }
    if (!reader->asking) {
        if (reader->fleet != NULL)
            fleet_begin(reader->fleet);
        ask(reader);
        reader->asking = true;
    }
    enum redis_progress progress = redis_step(reader->redis);
    if (progress == redis_pending)
        return;
    struct failure failure;
    enum label_error error;
    reader->asking = false;
    if (progress == redis_failed) {
        redis_is_not_well(reader, redis_error(reader->redis), redis_error_text(reader->redis));
        return;
    }
    enum fleet_progress taken = take(reader, &error, &failure);
    if (taken == fleet_more) {
        ask(reader);
        reader->asking = true;
    } else if (taken == fleet_read) {
        redis_is_well(reader);
    } else {
        redis_is_not_well(reader, error, failure.text);
        redis_hang_up(reader->redis); /* behind the same name there may be another server by now */
    }
}

/* ---- the thread ---- */

/* Takes over new settings; false when it is time to end. */
static bool obey(struct reader *reader)
{
    eventfd_t ignored;
    eventfd_read(reader->wake, &ignored);
    pthread_mutex_lock(&reader->lock);
    bool stopping = reader->stopping, reloaded = reader->reloaded;
    if (reloaded)
        reader->settings = reader->next_settings;
    reader->reloaded = false;
    pthread_mutex_unlock(&reader->lock);
    if (reloaded) {
        connect_redis(reader);
        reader->error = error_COUNT;
        reader->ask_ms = 0;
    }
    return !stopping;
}

static void wait_for_more(const struct reader *reader)
{
    struct pollfd wait[2] = {{.fd = reader->wake, .events = POLLIN}, {.fd = -1}};
    int64_t next_ms = reader->tick_ms;
    if (reader->asking) {
        int64_t deadline_ms = clock_ms() + redis_wait(reader->redis, &wait[1]);
        next_ms = deadline_ms < next_ms ? deadline_ms : next_ms;
    } else if (reader->ask_ms < next_ms) {
        next_ms = reader->ask_ms;
    }
    int64_t left_ms = next_ms - clock_ms();
    poll(wait, 2, left_ms <= 0 ? 0 : (int)left_ms);
}

static void *run(void *context)
{
    struct reader *reader = context;
    connect_redis(reader);
    while (obey(reader)) {
        int64_t now = clock_ms();
        atomic_store(&reader->progress_ms, now);
        if (now >= reader->tick_ms) {
            int64_t interval_ms = reader->settings.redis_push_interval / 1000;
            if (reader->fleet == NULL) {
                look_for_tally(reader);
                look_for_node(reader);
                unparsed_read(&reader->settings, &reader->lock, reader->reading.unparsed);
            }
            look_at_process(reader);
            reader->tick_ms = now + (interval_ms < TICK_MAX_MS ? interval_ms : TICK_MAX_MS);
        }
        ask_redis(reader);
        wait_for_more(reader);
    }
    redis_close(reader->redis);
    return NULL;
}

struct reader *reader_start(const struct settings *settings, struct failure *failure)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->changed, NULL);
    snapshot_clear(&reader->reading.process);
    reader->settings = *settings;
    reader->error = error_COUNT;
    reader->progress_ms = clock_ms();
    if (settings->exporter_scope == scope_fleet && (reader->fleet = fleet_new()) == NULL) {
        free(reader);
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    reader->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    catalogue_find_total("", 0); /* builds the indexes, before there are threads */
    catalogue_find_gauge("", 0);
    if (reader->wake < 0 || pthread_create(&reader->thread, NULL, run, reader) != 0) {
        fail(failure, EX_OSERR, "no thread to read Redis and the tally");
        fleet_free(reader->fleet);
        free(reader);
        return NULL;
    }
    return reader;
}

void reader_stop(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->stopping = true;
    pthread_mutex_unlock(&reader->lock);
    eventfd_write(reader->wake, 1);
    pthread_join(reader->thread, NULL);
    if (reader->reading.tally != NULL)
        tally_view_close(reader->reading.tally);
    if (reader->reading.node != NULL)
        tally_view_close(reader->reading.node);
    fleet_view_release(reader->reading.fleet);
    fleet_free(reader->fleet);
    close(reader->wake);
    free(reader);
}

void reader_reload(struct reader *reader, const struct settings *settings)
{
    pthread_mutex_lock(&reader->lock);
    reader->next_settings = *settings;
    reader->reloaded = true;
    pthread_mutex_unlock(&reader->lock);
    eventfd_write(reader->wake, 1);
}

void reader_wait(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    while (!reader->reading.complete)
        pthread_cond_wait(&reader->changed, &reader->lock);
    pthread_mutex_unlock(&reader->lock);
}

bool reader_alive(const struct reader *reader)
{
    return clock_ms() - atomic_load(&reader->progress_ms) <= READER_STUCK_MS;
}

const struct reading *reader_lock(struct reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    return &reader->reading;
}

void reader_unlock(struct reader *reader)
{
    pthread_mutex_unlock(&reader->lock);
}
