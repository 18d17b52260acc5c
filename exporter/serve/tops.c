/* The thread: every few seconds the hour that runs, and a few of the others, which seldom change. */
#include "exporter/serve/tops.h"

#include "conf/lib/log.h"
#include "exporter/serve/instance.h"
#include "exporter/serve/roster.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    EVERY_MS = 2 * 1000,
    FLEET_EVERY_MS = 10 * 1000,
    REFUSED_MS = 60 * 1000,     /* a wrong password stays wrong until somebody does something */
    AGAIN_MS = 10 * 60 * 1000,  /* a past hour is read again after this */
    AFTERMATH_SECONDS = 3 * 60, /* in which an hour that is over may still be written */
    PAST_EACH = 3,              /* past hours that are read in one round */
    BATCH = 50,                 /* instances that are asked for at once */
};
#define LAST_OF_INDEX "999"
_Static_assert(ROSTER_MAX == 1000, "LAST_OF_INDEX is one less");

struct held {
    struct top_slot *slot; /* NULL: not read yet */
    int64_t read_ms;
};

struct tops {
    pthread_t thread;
    int wake; /* eventfd */
    pthread_mutex_t lock;
    struct held held[top_COUNT][TOP_HOURS_MAX]; /* by hour modulo TOP_HOURS_MAX; written by the thread alone */
    int64_t hour;                               /* 0: nothing was read yet */
    char trouble[TOPS_TROUBLE_MAX];             /* empty: none */
    bool stopping, reloaded;
    struct settings next_settings;

    /* The thread's own. */
    struct settings settings;
    struct redis *redis;
    unsigned instances;
    char names[ROSTER_MAX][SETTINGS_NAME_MAX];
    bool refused; /* it was the password */
    bool fits[BATCH];
    char why[TOPS_TROUBLE_MAX];
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Redis ---- */

/* Waits for an event at the connection, or to be woken: then false. */
static bool wait_or_end(const struct tops *tops, const struct redis *redis, int ms)
{
    struct pollfd wait[2] = {{.fd = tops->wake, .events = POLLIN}, {.fd = -1}};
    if (redis != NULL) {
        int left = redis_wait(redis, &wait[1]);
        ms = left < ms ? left : ms;
    }
    poll(wait, 2, ms);
    return wait[0].revents == 0;
}

/* Sends what was added, and waits for the answers. */
static bool exchange(struct tops *tops)
{
    enum redis_progress progress;
    redis_start(tops->redis, tops->settings.redis_timeout);
    while ((progress = redis_step(tops->redis)) == redis_pending) {
        if (!wait_or_end(tops, tops->redis, 1000)) {
            snprintf(tops->why, sizeof tops->why, "starting again");
            return false;
        }
    }
    if (progress == redis_failed) {
        snprintf(tops->why, sizeof tops->why, "%s", redis_error_text(tops->redis));
        tops->refused = redis_error(tops->redis) == error_auth;
    }
    return progress == redis_done;
}

/* Is a reply of this kind, or nil? An error ends the reading. */
static bool is_good(struct tops *tops, const struct redis_reply *reply, enum redis_kind kind)
{
    if (redis_reply_kind(reply) == kind)
        return true;
    snprintf(tops->why, sizeof tops->why, "%s",
             redis_reply_kind(reply) == redis_error_reply ? redis_reply_text(reply, NULL)
                                                          : "the answer is of another kind");
    return false;
}

/* Which instances there are, and what hour Redis has. */
static bool read_index(struct tops *tops, int64_t *seconds)
{
    redis_command(tops->redis, 1, (const char *const[]){"TIME"}, NULL);
    bool is_fleet = tops->settings.exporter_scope == scope_fleet;
    if (is_fleet)
        redis_command(tops->redis, 4, (const char *const[]){"ZREVRANGE", "ms1:instances", "0", LAST_OF_INDEX}, NULL);
    if (!exchange(tops) || (is_fleet && !is_good(tops, redis_reply(tops->redis, 1), redis_array)))
        return false;
    *seconds = instance_time(redis_reply(tops->redis, 0)) / 1000000;
    tops->instances = 0;
    if (!is_fleet)
        memcpy(tops->names[tops->instances++], tops->settings.instance, sizeof tops->names[0]);
    const struct redis_reply *index = redis_reply(tops->redis, 1);
    for (size_t i = 0; is_fleet && i < redis_reply_count(index) && i < ROSTER_MAX; i++) {
        size_t length;
        const char *name = redis_reply_text(redis_reply_item(index, i), &length);
        if (settings_is_name(name, length))
            memcpy(tops->names[tops->instances++], name, length + 1);
    }
    return true;
}

/* A key that is too large, or of another type, is left out: its instance says nothing of this hour. */
static bool ask_sizes(struct tops *tops, unsigned first, unsigned count, enum top_set set, int64_t hour)
{
    for (unsigned i = 0; i < count; i++) {
        char key[TOP_KEY_MAX];
        top_key(key, tops->names[first + i], "top", set, hour);
        redis_command(tops->redis, 2, (const char *const[]){"HLEN", key}, NULL);
    }
    if (!exchange(tops))
        return false;
    for (unsigned i = 0; i < count; i++) {
        const struct redis_reply *reply = redis_reply(tops->redis, i);
        bool is_error = redis_reply_kind(reply) == redis_error_reply;
        if (is_error && redis_classify(redis_reply_text(reply, NULL)) != error_wrongtype)
            return is_good(tops, reply, redis_integer);
        int64_t fields = is_error ? 0 : redis_reply_integer(reply);
        tops->fits[i] = fields > 0 && fields <= TOP_FIELDS_MAX;
    }
    return true;
}

static bool read_batch(struct tops *tops, unsigned first, unsigned count, enum top_set set, struct top_slot *slot)
{
    static const char last[] = "12303";
    unsigned asked = 0;
    _Static_assert(HYPERLOGLOG_BYTES == 12304, "last is one less");
    if (!ask_sizes(tops, first, count, set, slot->hour))
        return false;
    for (unsigned i = 0; i < count; i++) {
        char top[TOP_KEY_MAX], distinct[TOP_KEY_MAX];
        if (!tops->fits[i])
            continue;
        top_key(top, tops->names[first + i], "top", set, slot->hour);
        top_key(distinct, tops->names[first + i], "distinct", set, slot->hour);
        redis_command(tops->redis, 2, (const char *const[]){"HGETALL", top}, NULL);
        redis_command(tops->redis, 4, (const char *const[]){"GETRANGE", distinct, "0", last}, NULL);
        asked++;
    }
    if (asked > 0 && !exchange(tops))
        return false;
    for (unsigned i = 0; i < asked; i++) {
        const struct redis_reply *distinct = redis_reply(tops->redis, (size_t)2 * i + 1);
        bool has_sketch = redis_reply_kind(distinct) == redis_string;
        if (!is_good(tops, redis_reply(tops->redis, (size_t)2 * i), redis_array))
            return false;
        if (!top_slot_add(slot, redis_reply(tops->redis, (size_t)2 * i), has_sketch ? distinct : NULL)) {
            snprintf(tops->why, sizeof tops->why, "no memory");
            return false;
        }
    }
    return true;
}

/* ---- hours ---- */

static bool read_slot(struct tops *tops, enum top_set set, int64_t hour)
{
    struct held *held = &tops->held[set][hour % TOP_HOURS_MAX];
    struct top_slot *slot = top_slot_new(hour), *before = held->slot;
    bool good = slot != NULL;
    for (unsigned first = 0; good && first < tops->instances; first += BATCH) {
        unsigned left = tops->instances - first;
        good = read_batch(tops, first, left < BATCH ? left : BATCH, set, slot);
    }
    if (!good) {
        top_slot_release(slot);
        return false;
    }
    top_slot_finish(slot);
    pthread_mutex_lock(&tops->lock);
    held->slot = slot;
    held->read_ms = clock_ms();
    pthread_mutex_unlock(&tops->lock);
    top_slot_release(before);
    return true;
}

static bool read_hour(struct tops *tops, int64_t hour)
{
    bool good = true;
    for (int set = 0; good && set < top_COUNT; set++)
        good = !top_has(tops->settings.top_sets, (enum top_set)set) || read_slot(tops, (enum top_set)set, hour);
    return good;
}

/* Of all sets alike, so one says it for all. */
static bool is_due(const struct tops *tops, int64_t hour)
{
    for (int set = 0; set < top_COUNT; set++) {
        const struct held *held = &tops->held[set][hour % TOP_HOURS_MAX];
        if (top_has(tops->settings.top_sets, (enum top_set)set) &&
            (held->slot == NULL || held->slot->hour != hour || clock_ms() - held->read_ms > AGAIN_MS))
            return true;
    }
    return false;
}

static bool read_all(struct tops *tops)
{
    int64_t seconds;
    if (!read_index(tops, &seconds))
        return false;
    int64_t hour = top_hour(seconds);
    int past = 0;
    if (!read_hour(tops, hour) || (seconds % 3600 < AFTERMATH_SECONDS && !read_hour(tops, hour - 1)))
        return false;
    for (int64_t before = hour - 1; before > hour - TOP_HOURS_MAX && past < PAST_EACH; before--) {
        if (!is_due(tops, before))
            continue;
        if (!read_hour(tops, before))
            return false;
        past++;
    }
    pthread_mutex_lock(&tops->lock);
    tops->hour = hour;
    pthread_mutex_unlock(&tops->lock);
    return true;
}

/* ---- the thread ---- */

/* Takes over new settings; false when it is time to end. */
static bool obey(struct tops *tops)
{
    eventfd_t ignored;
    pthread_mutex_lock(&tops->lock);
    eventfd_read(tops->wake, &ignored);
    bool stopping = tops->stopping, reloaded = tops->reloaded;
    if (reloaded)
        tops->settings = tops->next_settings;
    tops->reloaded = false;
    pthread_mutex_unlock(&tops->lock);
    if (reloaded || tops->redis == NULL) {
        redis_close(tops->redis);
        tops->redis = redis_open(&tops->settings, "milterscope-exporter-top");
    }
    return !stopping;
}

static int interval_ms(const struct tops *tops)
{
    int usual = tops->settings.exporter_scope == scope_fleet ? FLEET_EVERY_MS : EVERY_MS;
    return tops->refused ? REFUSED_MS : usual;
}

static void *run(void *context)
{
    struct tops *tops = context;
    while (obey(tops)) {
        tops->why[0] = '\0';
        tops->refused = false;
        bool good = tops->redis != NULL && read_all(tops);
        if (!good && tops->redis != NULL)
            redis_hang_up(tops->redis);
        if (!good && tops->why[0] == '\0')
            strcpy(tops->why, "no memory");
        pthread_mutex_lock(&tops->lock);
        memcpy(tops->trouble, tops->why, sizeof tops->trouble);
        pthread_mutex_unlock(&tops->lock);
        wait_or_end(tops, NULL, interval_ms(tops));
    }
    redis_close(tops->redis);
    return NULL;
}

struct tops *tops_open(const struct settings *settings, struct failure *failure)
{
    struct tops *tops = calloc(1, sizeof *tops);
    if (tops == NULL) {
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    pthread_mutex_init(&tops->lock, NULL);
    tops->settings = *settings;
    tops->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (tops->wake < 0 || pthread_create(&tops->thread, NULL, run, tops) != 0) {
        fail(failure, EX_OSERR, "no thread to read the top lists");
        free(tops);
        return NULL;
    }
    return tops;
}

void tops_close(struct tops *tops)
{
    pthread_mutex_lock(&tops->lock);
    tops->stopping = true;
    eventfd_write(tops->wake, 1);
    pthread_mutex_unlock(&tops->lock);
    pthread_join(tops->thread, NULL);
    for (int set = 0; set < top_COUNT; set++) {
        for (int i = 0; i < TOP_HOURS_MAX; i++)
            top_slot_release(tops->held[set][i].slot);
    }
    close(tops->wake);
    free(tops);
}

void tops_reload(struct tops *tops, const struct settings *settings)
{
    pthread_mutex_lock(&tops->lock);
    tops->next_settings = *settings;
    tops->reloaded = true;
    eventfd_write(tops->wake, 1);
    pthread_mutex_unlock(&tops->lock);
}

/* ---- for the answers ---- */

enum tops_state tops_list(struct tops *tops, const struct top_query *query, struct top_list *list, int64_t *hour,
                          char *trouble)
{
    struct top_slot *slots[TOP_HOURS_MAX];
    unsigned count = 0;
    pthread_mutex_lock(&tops->lock);
    bool kept = top_has(tops->next_settings.top_sets | tops->settings.top_sets, query->set);
    bool away = tops->hour == 0 || tops->trouble[0] != '\0';
    snprintf(trouble, TOPS_TROUBLE_MAX, "%s", tops->trouble[0] != '\0' ? tops->trouble : "it is being read");
    *hour = tops->hour;
    for (int64_t i = *hour; kept && !away && i > *hour - (int64_t)query->hours; i--) {
        struct top_slot *slot = tops->held[query->set][i % TOP_HOURS_MAX].slot;
        if (slot == NULL || slot->hour != i)
            continue;
        top_slot_hold(slot);
        slots[count++] = slot;
    }
    pthread_mutex_unlock(&tops->lock);
    if (!kept || away)
        return !kept ? tops_not_kept : tops_away;
    bool made = top_list_make(slots, count, query->by, query->limit, list);
    while (count > 0)
        top_slot_release(slots[--count]);
    if (!made)
        strcpy(trouble, "no memory");
    return made ? tops_well : tops_away;
}
