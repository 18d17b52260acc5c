/* Who asks and the thread that waits share one piece of memory, which the last of them gives back. */
#include "exporter/collect/filesystem.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum phase { phase_idle, phase_asked, phase_answered };

struct filesystem {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    enum phase phase;
    bool closed; /* by who asks: the thread is the last */
    int error;   /* of statvfs, or of starting the thread; 0: it went well */
    struct statvfs status;
    char path[];
};

static void give_back(struct filesystem *filesystem)
{
    pthread_cond_destroy(&filesystem->answered);
    pthread_mutex_destroy(&filesystem->lock);
    free(filesystem);
}

struct filesystem *filesystem_open(const char *path)
{
    pthread_condattr_t attributes;
    struct filesystem *filesystem = calloc(1, sizeof *filesystem + strlen(path) + 1);
    if (filesystem == NULL)
        return NULL;
    strcpy(filesystem->path, path);
    pthread_mutex_init(&filesystem->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&filesystem->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    return filesystem;
}

void filesystem_close(struct filesystem *filesystem)
{
    pthread_mutex_lock(&filesystem->lock);
    bool is_last = filesystem->phase != phase_asked;
    filesystem->closed = true;
    pthread_mutex_unlock(&filesystem->lock);
    if (is_last)
        give_back(filesystem);
}

static void *wait_for_disk(void *context)
{
    struct filesystem *filesystem = context;
    struct statvfs status = {0};
    int error = statvfs(filesystem->path, &status) == 0 ? 0 : errno;
    pthread_mutex_lock(&filesystem->lock);
    filesystem->status = status;
    filesystem->error = error;
    filesystem->phase = phase_answered;
    bool is_last = filesystem->closed;
    pthread_cond_signal(&filesystem->answered);
    pthread_mutex_unlock(&filesystem->lock);
    if (is_last)
        give_back(filesystem);
    return NULL;
}

static int start_thread(struct filesystem *filesystem)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, wait_for_disk, filesystem);
    pthread_attr_destroy(&attributes);
    return error;
}

void filesystem_ask(struct filesystem *filesystem)
{
    pthread_mutex_lock(&filesystem->lock);
    if (filesystem->phase != phase_asked) {
        filesystem->phase = phase_asked;
        int error = start_thread(filesystem);
        if (error != 0) {
            filesystem->phase = phase_answered;
            filesystem->error = error;
        }
    }
    pthread_mutex_unlock(&filesystem->lock);
}

bool filesystem_answer(struct filesystem *filesystem, int64_t deadline_ms, struct statvfs *status,
                       struct failure *failure)
{
    struct timespec end = {deadline_ms / 1000, deadline_ms % 1000 * 1000000};
    pthread_mutex_lock(&filesystem->lock);
    int waited = 0;
    while (filesystem->phase == phase_asked && waited == 0)
        waited = pthread_cond_timedwait(&filesystem->answered, &filesystem->lock, &end);
    enum phase phase = filesystem->phase;
    int error = filesystem->error;
    *status = filesystem->status;
    if (phase == phase_answered)
        filesystem->phase = phase_idle;
    pthread_mutex_unlock(&filesystem->lock);
    if (phase != phase_answered)
        return fail(failure, EX_UNAVAILABLE, "the file system of %s does not answer", filesystem->path);
    return error == 0 || fail(failure, EX_UNAVAILABLE, "the file system of %s cannot be looked at: %s",
                              filesystem->path, strerror(error));
}
