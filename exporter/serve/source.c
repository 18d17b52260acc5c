/* The rules of source.h. */
#include "exporter/serve/source.h"

#include "exporter/serve/reader.h"
#include "exporter/serve/shown.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    FRESH_SECONDS = 10, /* pushes arrive, so the gauges in Redis are of now; as a heartbeat in the tally */
    ID_TRIES = 3,
};

struct source {
    struct reader *reader;
    pthread_mutex_t lock;
    struct shown shown;
    bool is_fleet, reload_successful;
    int64_t read_at, push_interval;
};

/* What one scrape knows of its two sources. */
struct facts {
    bool has_tally, tally_lives;
    char tally_id[TALLY_ID_BYTES];
    struct snapshot tally;
    bool has_node, node_lives;
    char node_id[TALLY_ID_BYTES];
    struct snapshot node;
    const struct instance *instance; /* NULL: Redis is not well, or holds nothing of ours */
};

static int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A tally that begins anew between id and values would put the old values under the new id: read until the id stays. */
static bool read_tally(const struct tally_view *tally, char id[TALLY_ID_BYTES], struct snapshot *values)
{
    char id_after[TALLY_ID_BYTES];
    for (int i = 0; tally != NULL && i < ID_TRIES; i++) {
        tally_view_id(tally, id);
        bool read = tally_view_read_kept(tally, values);
        tally_view_id(tally, id_after);
        if (read && strcmp(id, id_after) == 0)
            return true;
    }
    return false;
}

static void gather(const struct reading *reading, struct facts *facts)
{
    facts->instance = NULL;
    facts->has_tally = read_tally(reading->tally, facts->tally_id, &facts->tally);
    facts->tally_lives = facts->has_tally && tally_view_alive(reading->tally);
    facts->has_node = read_tally(reading->node, facts->node_id, &facts->node);
    facts->node_lives = facts->has_node && tally_view_alive(reading->node);
    if (reading->redis_well && reading->instance.known &&
        (!facts->has_tally || strcmp(reading->instance.id, facts->tally_id) == 0))
        facts->instance = &reading->instance;
}

/* A tally that is counted in says what may be shown; beyond it Redis holds what was never counted here (altered by hand, or a clone's). */
static void choose_totals(struct source *source, const struct facts *facts, struct snapshot *values)
{
    const struct instance *instance = facts->instance;
    if (facts->has_tally) {
        *values = facts->tally;
        if (instance != NULL && !facts->tally_lives)
            domains_raise(values->totals, &values->domains, instance->values.totals, &instance->values.domains);
    } else if (instance != NULL) {
        *values = instance->values;
    }
    if (values->has_totals)
        shown_raise(&source->shown, facts->has_tally ? facts->tally_id : instance->id, values);
}

/* What the collector says here, else what Redis holds of that. */
static void choose_node(struct source *source, const struct facts *facts, struct snapshot *values)
{
    const struct instance *instance = facts->instance;
    values->has_node = facts->has_node || (instance != NULL && instance->values.has_node);
    if (facts->has_node)
        snapshot_add_node(values, &facts->node);
    else if (instance != NULL)
        memcpy(values->totals + total_node, instance->values.totals + total_node,
               NODE_TOTALS * sizeof values->totals[0]);
    if (values->has_node)
        shown_raise_node(&source->shown, facts->has_node ? facts->node_id : instance->node_id, values);
}

static bool is_fresh(const struct source *source, const struct instance *instance)
{
    return instance->age <= FRESH_SECONDS * INT64_C(1000000) + 2 * source->push_interval;
}

/* Returns whether Redis is the source in use. */
static bool choose_gauges(const struct source *source, const struct facts *facts, struct snapshot *values)
{
    const struct instance *instance = facts->instance;
    bool from_redis = instance != NULL && (is_fresh(source, instance) || !facts->has_tally);
    const struct snapshot *from = from_redis ? &instance->values : facts->has_tally ? &facts->tally : NULL;
    if (from != NULL) {
        memcpy(values->gauges, from->gauges, sizeof values->gauges);
        values->places = from->places;
    }
    return from_redis;
}

/* ---- about ourselves ---- */

static void set_own(const struct source *source, const struct reading *reading, int64_t *gauges)
{
    const unsigned self = program_exporter;
    gauges[gauge_build_info + self * (unsigned)width_build_info] = 1;
    gauges[gauge_config_last_reload_successful + self] = source->reload_successful;
    gauges[gauge_config_last_reload_timestamp_seconds + self] = source->read_at;
    gauges[gauge_redis_up + self] = reading->complete ? reading->redis_well : GAUGE_ABSENT;
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        if (reading->process.gauges[i] != GAUGE_ABSENT)
            gauges[i] = reading->process.gauges[i];
    }
}

static void set_sources(const struct reading *reading, const struct facts *facts, bool from_redis, int64_t *gauges)
{
    const struct instance *instance = facts->instance;
    bool pushed = instance != NULL && instance->age <= FLEET_UP_SECONDS * INT64_C(1000000);
    gauges[gauge_up] = facts->has_tally ? facts->tally_lives : pushed;
    gauges[gauge_instance_up] = reading->redis_well ? pushed : GAUGE_ABSENT;
    gauges[gauge_data_source + (unsigned)data_redis] = from_redis;
    gauges[gauge_data_source + (unsigned)data_tally] = facts->has_tally && !from_redis;
    gauges[gauge_scrape_errors] = !reading->redis_well + reading->tally_wrong;
}

__attribute__((format(printf, 2, 3))) static void add_trouble(struct view *view, const char *format, ...)
{
    size_t length = strlen(view->trouble);
    va_list arguments;
    if (length + 3 > sizeof view->trouble)
        return;
    if (length > 0) {
        strcpy(view->trouble + length, "; ");
        length += 2;
    }
    va_start(arguments, format);
    vsnprintf(view->trouble + length, sizeof view->trouble - length, format, arguments);
    va_end(arguments);
}

/* What the collector of this host has to say, where there has been one since the boot. */
static void describe_node(const struct facts *facts, struct view *view)
{
    const char *const *names = catalogue[metric_collector_success].labels[0]->values;
    if (facts->has_node && !facts->node_lives)
        add_trouble(view, "milterscope-collector does not run on this host");
    for (unsigned i = 0; facts->node_lives && i < collector_COUNT; i++) {
        if (facts->node.gauges[(unsigned)gauge_collector_success + i] == 0)
            add_trouble(view, "the collector fails at %s, and its log says why", names[i]);
    }
}

static void describe(const struct source *source, const struct reading *reading, const struct facts *facts,
                     bool from_redis, struct view *view)
{
    view->ready = facts->has_tally || facts->has_node || facts->instance != NULL;
    view->from = from_redis         ? "Redis"
                 : facts->has_tally ? "the tally of this host"
                 : facts->has_node  ? "the collector of this host alone"
                                    : "nothing";
    view->trouble[0] = '\0';
    if (!reading->complete)
        add_trouble(view, "starting");
    else if (!reading->redis_well)
        add_trouble(view, "Redis cannot be read: %s", reading->redis_error);
    else if (!reading->instance.known)
        add_trouble(view, "Redis holds nothing of this instance");
    else if (facts->instance == NULL)
        add_trouble(view, "what Redis holds under this instance's name was pushed from another tally and is ignored");
    else if (!is_fresh(source, facts->instance))
        add_trouble(view, "nothing was pushed to Redis for %" PRId64 " s", facts->instance->age / 1000000);
    if (!facts->has_tally && (reading->tally_wrong || facts->instance == NULL) && reading->complete)
        add_trouble(view, "no tally on this host: %s", reading->tally_error);
    if (facts->has_tally && !facts->tally_lives)
        add_trouble(view, "milterscope does not run on this host");
    if (facts->has_tally && !facts->tally.has_totals)
        add_trouble(view, "totals are absent until the tally has been settled with Redis");
    describe_node(facts, view);
}

static void read_node(struct source *source, const struct reading *reading, struct view *view)
{
    struct facts facts;
    gather(reading, &facts);
    choose_totals(source, &facts, &view->values);
    bool from_redis = choose_gauges(source, &facts, &view->values);
    choose_node(source, &facts, &view->values);
    set_own(source, reading, view->values.gauges);
    set_sources(reading, &facts, from_redis, view->values.gauges);
    describe(source, reading, &facts, from_redis, view);
    memcpy(view->unparsed, reading->unparsed, sizeof view->unparsed);
}

/* ---- all instances ---- */

static void describe_fleet(const struct reading *reading, struct view *view)
{
    const struct fleet_view *fleet = view->fleet;
    view->ready = fleet != NULL;
    view->from = fleet != NULL ? "Redis" : "nothing";
    view->trouble[0] = '\0';
    if (!reading->complete)
        add_trouble(view, "starting");
    else if (!reading->redis_well)
        add_trouble(view, "Redis cannot be read: %s", reading->redis_error);
    else if (fleet == NULL)
        add_trouble(view, "no memory");
    if (fleet != NULL && fleet->count == 0)
        add_trouble(view, "no instance has pushed to Redis");
    if (fleet != NULL && fleet->silent > 0)
        add_trouble(view, "silent: %u of %u instances", fleet->silent, fleet->count);
    if (fleet != NULL && fleet->unreadable > 0)
        add_trouble(view, "cannot be read: %u instances, the first is %s", fleet->unreadable, fleet->wrong);
    if (fleet != NULL && fleet->ignored > 0)
        add_trouble(view, "ignored: %" PRId64 " members of ms1:instances", fleet->ignored);
}

static void read_fleet(const struct source *source, const struct reading *reading, struct view *view)
{
    int64_t *gauges = view->values.gauges;
    if (reading->redis_well && reading->fleet != NULL) {
        view->fleet = reading->fleet;
        fleet_view_hold(view->fleet);
    }
    const struct fleet_view *fleet = view->fleet;
    set_own(source, reading, gauges);
    gauges[gauge_up] = fleet != NULL;
    gauges[gauge_data_source + (unsigned)data_redis] = fleet != NULL;
    gauges[gauge_data_source + (unsigned)data_tally] = 0;
    gauges[gauge_scrape_errors] = fleet == NULL ? 1 : fleet->unreadable;
    gauges[gauge_instances_ignored] = fleet == NULL ? GAUGE_ABSENT : fleet->ignored;
    describe_fleet(reading, view);
}

void source_read(struct source *source, struct view *view)
{
    int64_t begun = clock_us();
    snapshot_clear(&view->values);
    view->is_fleet = source->is_fleet;
    view->fleet = NULL;
    view->unparsed[0] = '\0';
    pthread_mutex_lock(&source->lock);
    const struct reading *reading = reader_lock(source->reader);
    if (source->is_fleet)
        read_fleet(source, reading, view);
    else
        read_node(source, reading, view);
    reader_unlock(source->reader);
    pthread_mutex_unlock(&source->lock);
    view->values.gauges[gauge_scrape_seconds] = clock_us() - begun;
}

void source_release(struct view *view)
{
    fleet_view_release(view->fleet);
}

/* ---- life ---- */

struct source *source_open(const struct settings *settings, struct failure *failure)
{
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    pthread_mutex_init(&source->lock, NULL);
    source->is_fleet = settings->exporter_scope == scope_fleet;
    source->reload_successful = true;
    source->read_at = settings->read_at;
    source->push_interval = settings->redis_push_interval;
    source->reader = reader_start(settings, failure);
    if (source->reader == NULL) {
        free(source);
        return NULL;
    }
    return source;
}

void source_close(struct source *source)
{
    reader_stop(source->reader);
    free(source);
}

void source_reload(struct source *source, const struct settings *settings, bool successful)
{
    pthread_mutex_lock(&source->lock);
    source->reload_successful = successful;
    source->read_at = settings->read_at;
    source->push_interval = settings->redis_push_interval;
    pthread_mutex_unlock(&source->lock);
    if (successful)
        reader_reload(source->reader, settings);
}

void source_wait(struct source *source)
{
    reader_wait(source->reader);
}

bool source_alive(const struct source *source)
{
    return reader_alive(source->reader);
}
