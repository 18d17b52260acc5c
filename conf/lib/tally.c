/* The tally in the processes that count: mapping it, observing, heartbeats, settling. Making it is tally_make.c, reading it
 * tally_view.c, its form on disk tally_file.c. */
#include "conf/lib/tally.h"

#include "conf/lib/tally_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t tally_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void tally_observe(const struct tally *tally, enum metric_id histogram, unsigned series, uint64_t value)
{
    const struct metric *metric = &catalogue[histogram];
    const struct bounds *bounds = metric->bounds;
    unsigned first = metric->first + series * (bounds->count + 2);
    unsigned bucket = 0;
    while (bucket < bounds->count && value > bounds->values[bucket])
        bucket++;
    tally_add(tally, first + bucket, 1);
    tally_add(tally, first + bounds->count + 1, value);
}

bool tally_attach(int fd, int process, struct tally *tally, struct failure *failure)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return fail(failure, EX_SOFTWARE, "tally in descriptor %d: %s", fd, strerror(errno));
    if (status.st_size < (off_t)sizeof(struct tally_header))
        return fail(failure, EX_SOFTWARE, "tally in descriptor %d: too short", fd);
    void *map = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (map == MAP_FAILED)
        return fail(failure, EX_OSERR, "tally in descriptor %d: %s", fd, strerror(errno));
    struct tally_header *header = map;
    const char *wrong = tally_file_check(header, (size_t)status.st_size);
    if (wrong == NULL && (header->catalogue != catalogue_hash() ||
                          header->process_bytes < tally_file_process_bytes(header->gauge_count)))
        wrong = "made by another version of milterscope; restart milterscope";
    if (wrong == NULL && (process < 0 || process >= TALLY_PROCESSES))
        wrong = "has no such process block";
    if (wrong != NULL) {
        munmap(map, (size_t)status.st_size);
        return fail(failure, EX_PROTOCOL, "tally in descriptor %d: %s", fd, wrong);
    }
    tally_file_bind(header, tally);
    tally->fd = fd;
    tally->self = tally_file_block(tally, (unsigned)process);
    return true;
}

void tally_beat(const struct tally *tally)
{
    atomic_store_explicit(&tally->self->heartbeat_ms, tally_clock_ms(), memory_order_relaxed);
}

/* Of a block: the slot behind the gauges. */
static _Atomic int64_t *progress_of(const struct tally *tally, struct tally_process *process)
{
    return &process->gauges[tally->form.gauge_count];
}

void tally_progress(const struct tally *tally, uint64_t finished)
{
    atomic_store_explicit(progress_of(tally, tally->self), (int64_t)finished, memory_order_relaxed);
}

int tally_process_add(const struct tally *tally, pid_t pid)
{
    for (unsigned i = 0; i < TALLY_PROCESSES; i++) {
        struct tally_process *process = tally_file_block(tally, i);
        if (atomic_load_explicit(&process->pid, memory_order_relaxed) != 0)
            continue;
        for (unsigned gauge = 0; gauge < gauge_COUNT; gauge++)
            atomic_store_explicit(&process->gauges[gauge], GAUGE_ABSENT, memory_order_relaxed);
        atomic_store_explicit(progress_of(tally, process), 0, memory_order_relaxed);
        atomic_store_explicit(&process->heartbeat_ms, tally_clock_ms(), memory_order_relaxed);
        atomic_store_explicit(&process->pid, pid, memory_order_release);
        return (int)i;
    }
    return -1;
}

void tally_process_set_pid(const struct tally *tally, int process, pid_t pid)
{
    atomic_store_explicit(&tally_file_block(tally, (unsigned)process)->pid, pid, memory_order_relaxed);
}

void tally_use(struct tally *tally, int process)
{
    tally->self = tally_file_block(tally, (unsigned)process);
}

void tally_process_remove(const struct tally *tally, int process)
{
    if (process >= 0)
        atomic_store_explicit(&tally_file_block(tally, (unsigned)process)->pid, 0, memory_order_relaxed);
}

int64_t tally_process_heartbeat(const struct tally *tally, int process)
{
    return atomic_load_explicit(&tally_file_block(tally, (unsigned)process)->heartbeat_ms, memory_order_relaxed);
}

uint64_t tally_process_progress(const struct tally *tally, int process)
{
    struct tally_process *block = tally_file_block(tally, (unsigned)process);
    return (uint64_t)atomic_load_explicit(progress_of(tally, block), memory_order_relaxed);
}

void tally_raise(const struct tally *tally, const uint64_t *known)
{
    for (unsigned i = 0; i < total_node; i++) {
        uint64_t kept = atomic_load_explicit(&tally->kept[i], memory_order_relaxed);
        if (known[i] <= kept)
            continue;
        atomic_store_explicit(&tally->kept[i], known[i], memory_order_release); /* first: else twice after a kill */
        tally_add(tally, i, known[i] - kept);
    }
    atomic_store_explicit(&tally->header->state, tally_running, memory_order_release);
}

void tally_reset(const struct tally *tally)
{
    for (unsigned i = 0; i < tally->form.total_count; i++) {
        uint64_t kept = atomic_exchange_explicit(&tally->kept[i], 0, memory_order_acq_rel);
        atomic_fetch_sub_explicit(&tally->totals[i], kept, memory_order_relaxed);
    }
    tally_file_new_id(tally->header);
    atomic_store_explicit(&tally->header->state, tally_running, memory_order_release);
}

void tally_keep(const struct tally *tally, const uint64_t *totals)
{
    for (unsigned i = 0; i < total_node; i++) {
        if (totals[i] > atomic_load_explicit(&tally->kept[i], memory_order_relaxed))
            atomic_store_explicit(&tally->kept[i], totals[i], memory_order_relaxed);
    }
}

void tally_go_ahead(const struct tally *tally)
{
    atomic_store(&tally->header->ahead, tally_is_ahead);
}

void tally_keep_all(const struct tally *tally)
{
    if (atomic_load(&tally->header->state) == tally_settling)
        return; /* they stand for the copy, beyond which totals may be raised */
    for (unsigned i = 0; i < total_node; i++)
        atomic_store_explicit(&tally->kept[i], atomic_load_explicit(&tally->totals[i], memory_order_relaxed),
                              memory_order_relaxed);
}

/* Before, so that a reader that comes next finds what others have shown; after, for what those showed that came between. */
void tally_end_ahead(const struct tally *tally)
{
    tally_keep_all(tally);
    atomic_store(&tally->header->ahead, tally_ahead_ends);
    tally_keep_all(tally);
}

void tally_id_text(const struct tally *tally, char text[33])
{
    tally_file_id_text(tally->header, text);
}
