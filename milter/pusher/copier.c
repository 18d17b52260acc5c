/* The copier: a thread that waits for the next interval or for the end. */
#include "milter/pusher/copier.h"

#include "conf/lib/log.h"
#include "conf/lib/settings.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

static struct {
    const struct tally *tally;
    char directory[SETTINGS_PATH_MAX];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool finish;
    bool finished;
    bool written; /* the last copy, at the end */
    bool failing; /* what fails is said once */
    bool ahead;   /* copies bear the mark */
    enum copier_marked marked;
    uint64_t named, wanted; /* the server of Redis that the copy names, and is to name */
    bool hurry;             /* a copy is due now */
} self = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct timespec in_milliseconds(int64_t milliseconds)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t nanoseconds = time.tv_nsec + milliseconds % 1000 * 1000000;
    return (struct timespec){time.tv_sec + milliseconds / 1000 + nanoseconds / 1000000000, nanoseconds % 1000000000};
}

/* A settling tally is not copied: the copy in the state directory is all there is until it has settled, and that is no failure. */
static bool copy(bool clean)
{
    struct failure failure;
    if (atomic_load(&self.tally->header->state) == tally_settling)
        return true;
    pthread_mutex_lock(&self.lock);
    struct tally_marks marks = {.clean = clean, .ahead = self.ahead};
    pthread_mutex_unlock(&self.lock);
    uint64_t server = atomic_load(&self.tally->header->server); /* before: the copy names this one or a later */
    bool written = tally_copy(self.tally, self.directory, marks, &failure);
    if (!written && !self.failing)
        log_error("%s", failure.text);
    if (written && self.failing)
        log_info("the tally is copied to %s again", self.directory);
    self.failing = !written;
    pthread_mutex_lock(&self.lock);
    self.named = written ? server : self.named;
    pthread_mutex_unlock(&self.lock);
    return written;
}

/* In place, at once: a copy is larger, and a full disk has no room for it. */
static void mark(void)
{
    struct failure failure;
    bool marked = tally_mark_ahead(self.directory, &failure);
    if (!marked)
        log_warning("%s; totals may go on a little below what was shown, if power fails before Redis is back",
                    failure.text);
    pthread_mutex_lock(&self.lock);
    self.marked = marked ? copier_mark_done : copier_mark_failed;
    pthread_mutex_unlock(&self.lock);
}

static bool mark_is_due(void)
{
    return self.ahead && self.marked == copier_mark_pending;
}

/* Waits until a copy is due, or something else is to be done. Holds the lock. */
static void wait_for_work(void)
{
    struct timespec next = in_milliseconds(COPIER_INTERVAL_SECONDS * 1000);
    while (!self.finish && !self.hurry && !mark_is_due() &&
           pthread_cond_timedwait(&self.changed, &self.lock, &next) != ETIMEDOUT)
        ;
}

static void *run(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&self.lock);
    while (!self.finish) {
        bool marking = mark_is_due();
        self.hurry = self.hurry && marking;
        pthread_mutex_unlock(&self.lock);
        if (marking)
            mark();
        else
            copy(false);
        pthread_mutex_lock(&self.lock);
        wait_for_work();
    }
    pthread_mutex_unlock(&self.lock);
    bool written = copy(true);
    pthread_mutex_lock(&self.lock);
    self.written = written;
    self.finished = true;
    pthread_cond_signal(&self.changed);
    pthread_mutex_unlock(&self.lock);
    return NULL;
}

bool copier_start(const struct tally *tally, const char *state_directory, struct failure *failure)
{
    pthread_condattr_t monotonic;
    pthread_t thread;
    self.tally = tally;
    self.ahead = atomic_load(&tally->header->ahead) != tally_kept_only; /* no copy takes away the mark that is there */
    snprintf(self.directory, sizeof self.directory, "%s", state_directory);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int error = pthread_create(&thread, NULL, run, NULL);
    if (error == 0)
        pthread_detach(thread); /* it ends with the process: the disk may hold it for ever */
    return error == 0 || fail(failure, EX_OSERR, "the copying thread cannot be started: %s", strerror(error));
}

bool copier_names(uint64_t server)
{
    pthread_mutex_lock(&self.lock);
    self.hurry = self.hurry || self.wanted != server;
    self.wanted = server;
    if (self.hurry)
        pthread_cond_signal(&self.changed);
    bool names = self.named == server;
    pthread_mutex_unlock(&self.lock);
    return names;
}

void copier_mark(bool ahead)
{
    pthread_mutex_lock(&self.lock);
    self.hurry = self.hurry || (self.ahead && !ahead); /* from now on a power failure need not cost the tally id */
    self.ahead = ahead;
    self.marked = copier_mark_pending;
    pthread_cond_signal(&self.changed);
    pthread_mutex_unlock(&self.lock);
}

enum copier_marked copier_marked(void)
{
    pthread_mutex_lock(&self.lock);
    enum copier_marked marked = self.marked;
    pthread_mutex_unlock(&self.lock);
    return marked;
}

bool copier_finish(int milliseconds)
{
    struct timespec deadline = in_milliseconds(milliseconds);
    pthread_mutex_lock(&self.lock);
    self.finish = true;
    pthread_cond_signal(&self.changed);
    while (!self.finished && pthread_cond_timedwait(&self.changed, &self.lock, &deadline) != ETIMEDOUT)
        ;
    bool written = self.finished && self.written;
    pthread_mutex_unlock(&self.lock);
    return written;
}
