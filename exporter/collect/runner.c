/* Threads of collectors. */
#include "exporter/collect/runner.h"

#include "conf/lib/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPEN_AGAIN_MS = 60 * 1000 };

_Atomic bool collectors_end;

struct thread {
    const struct collector *collector;
    struct runner *runner;
    pthread_t thread;
    bool ended;
    int64_t begun_ms; /* of the run under way; 0: there is none */
    bool late;        /* that is beyond its deadline, and was said to be */
    bool well;        /* the run before was; what changes is said */
    char said[sizeof((struct failure *)0)->text];
};

struct runner {
    const struct settings *settings;
    const struct tally *tally;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a thread has ended, or all are to: collectors_end is set under the lock */
    size_t count;
    struct thread threads[];
};

static const char *name_of(const struct collector *collector)
{
    return catalogue[metric_collector_success].labels[0]->values[collector->name];
}

static void set_success(const struct thread *thread, bool success)
{
    tally_gauge_set(thread->runner->tally, gauge_collector_success + (unsigned)thread->collector->name, success);
}

/* ---- a thread ---- */

static void begin_run(struct thread *thread)
{
    pthread_mutex_lock(&thread->runner->lock);
    thread->begun_ms = tally_clock_ms();
    thread->late = false;
    pthread_mutex_unlock(&thread->runner->lock);
}

/* Says what is new: the first failure, another one, or that all is well again. */
static void say(struct thread *thread, bool good, const struct failure *failure)
{
    const char *name = name_of(thread->collector);
    if (good && !thread->well)
        log_info("%s: is collected again", name);
    else if (!good && (thread->well || strcmp(thread->said, failure->text) != 0))
        log_warning("%s: %s", name, failure->text);
    thread->well = good;
    memcpy(thread->said, failure->text, sizeof thread->said);
}

static void end_run(struct thread *thread, bool good, const struct failure *failure)
{
    struct runner *runner = thread->runner;
    pthread_mutex_lock(&runner->lock);
    int64_t took_ms = tally_clock_ms() - thread->begun_ms;
    thread->begun_ms = 0;
    pthread_mutex_unlock(&runner->lock);
    tally_gauge_set(runner->tally, gauge_collector_seconds + (unsigned)thread->collector->name, took_ms * 1000);
    set_success(thread, good && took_ms <= thread->collector->deadline_ms);
    say(thread, good, failure);
}

/* Returns false when it is time to end. */
static bool pause_for(struct runner *runner, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&runner->lock);
    while (!collectors_end && pthread_cond_timedwait(&runner->changed, &runner->lock, &until) == 0)
        ;
    bool going_on = !collectors_end;
    pthread_mutex_unlock(&runner->lock);
    return going_on;
}

static void *run(void *context)
{
    struct thread *thread = context;
    struct runner *runner = thread->runner;
    const struct collector *collector = thread->collector;
    void *self = NULL;
    int64_t pause_ms;
    do {
        struct failure failure = {0};
        begin_run(thread);
        if (self == NULL)
            self = collector->open(runner->settings, runner->tally, &failure);
        bool good = self != NULL && collector->run(self, &failure);
        end_run(thread, good, &failure);
        pause_ms = self == NULL ? OPEN_AGAIN_MS : collector->pause_ms(self);
    } while (pause_for(runner, pause_ms));
    if (self != NULL)
        collector->close(self);
    pthread_mutex_lock(&runner->lock);
    thread->ended = true;
    pthread_cond_broadcast(&runner->changed);
    pthread_mutex_unlock(&runner->lock);
    return NULL;
}

/* ---- all ---- */

struct runner *runner_start(const struct collector *const *collectors, size_t count, const struct settings *settings,
                            const struct tally *tally, struct failure *failure)
{
    pthread_condattr_t monotonic;
    struct runner *runner = calloc(1, sizeof *runner + count * sizeof runner->threads[0]);
    if (runner == NULL) {
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    runner->settings = settings;
    runner->tally = tally;
    pthread_mutex_init(&runner->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&runner->changed, &monotonic);
    for (size_t i = 0; i < count; i++) {
        struct thread *thread = &runner->threads[i];
        *thread = (struct thread){.collector = collectors[i], .runner = runner, .well = true};
        if (pthread_create(&thread->thread, NULL, run, thread) != 0) {
            fail(failure, EX_OSERR, "no thread for the collector %s", name_of(collectors[i]));
            runner_stop(runner, 0);
            return NULL;
        }
        runner->count++;
    }
    return runner;
}

static void watch(struct thread *thread)
{
    int64_t runs_ms = thread->begun_ms == 0 ? 0 : tally_clock_ms() - thread->begun_ms;
    if (runs_ms <= thread->collector->deadline_ms || thread->late)
        return;
    thread->late = true;
    set_success(thread, false);
    log_warning("%s: has run for %d s and goes on; what it tells may be old", name_of(thread->collector),
                (int)(runs_ms / 1000));
}

void runner_watch(struct runner *runner)
{
    pthread_mutex_lock(&runner->lock);
    for (size_t i = 0; i < runner->count; i++)
        watch(&runner->threads[i]);
    pthread_mutex_unlock(&runner->lock);
}

static bool all_ended(const struct runner *runner)
{
    for (size_t i = 0; i < runner->count; i++) {
        if (!runner->threads[i].ended)
            return false;
    }
    return true;
}

bool runner_stop(struct runner *runner, int64_t patience_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += patience_ms / 1000;
    pthread_mutex_lock(&runner->lock);
    collectors_end = true;
    pthread_cond_broadcast(&runner->changed);
    while (!all_ended(runner) && pthread_cond_timedwait(&runner->changed, &runner->lock, &until) == 0)
        ;
    bool ended = all_ended(runner);
    pthread_mutex_unlock(&runner->lock);
    for (size_t i = 0; ended && i < runner->count; i++)
        pthread_join(runner->threads[i].thread, NULL);
    if (ended)
        free(runner);
    return ended;
}
