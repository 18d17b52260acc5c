/* Reading a tally: of any build, by names, while others write to it. */
#include "conf/lib/tally_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLAUSIBLE_BITS = 60 }; /* of a gauge: a sum of all processes is no overflow */
#define GAUGE_MOST (INT64_C(1) << PLAUSIBLE_BITS)

struct tally_view {
    bool is_node;     /* which of the two tallies */
    const char *name; /* of the file, in its directory */
    int fd;
    dev_t device;
    ino_t inode;
    struct tally_header *file; /* the file as it was when opened: header and names are taken from here */
    int *totals;               /* slot in the file -> total of this build, or -1 */
    int *gauges;
};

/* Neither absent nor beyond what any gauge of ours can be. */
static bool is_gauge(int64_t value)
{
    return value > -GAUGE_MOST && value < GAUGE_MOST;
}

/* Joins one process' value into what the others said. */
static void join(int64_t *joined, int64_t value, enum metric_join how)
{
    if (*joined != GAUGE_ABSENT && how == join_sum)
        *joined += value;
    else if (*joined == GAUGE_ABSENT || value > *joined)
        *joined = value;
}

static bool process_lives(const struct tally_process *process, int64_t now)
{
    int64_t beat = atomic_load_explicit(&process->heartbeat_ms, memory_order_relaxed);
    return atomic_load_explicit(&process->pid, memory_order_acquire) != 0 && beat >= now - TALLY_STALE_MS &&
           beat <= now + TALLY_STALE_MS;
}

/* Reads gauges of all live processes in `memory`, which has the form of `header`; map: slot -> gauge of this build or -1, NULL where
 * they are the same. */
static void read_gauges(const struct tally_header *header, const void *memory, const int *map, int64_t *gauges)
{
    int64_t now = tally_clock_ms();
    for (unsigned i = 0; i < TALLY_PROCESSES; i++) {
        const struct tally_process *process =
            (const void *)((const char *)memory + header->processes_at + i * header->process_bytes);
        if (!process_lives(process, now))
            continue;
        for (unsigned slot = 0; slot < header->gauge_count; slot++) {
            int gauge = map == NULL ? (int)slot : map[slot];
            int64_t value = atomic_load_explicit(&process->gauges[slot], memory_order_relaxed);
            if (gauge >= 0 && is_gauge(value))
                join(&gauges[gauge], value, catalogue_gauge_metric((unsigned)gauge)->join);
        }
    }
}

void tally_snapshot(const struct tally *tally, struct snapshot *snapshot)
{
    snapshot_clear(snapshot);
    for (unsigned i = 0; i < total_node; i++)
        snapshot->totals[i] = atomic_load_explicit(&tally->totals[i], memory_order_relaxed);
    tally_domains(tally, &snapshot->domains);
    read_gauges(&tally->form, tally->header, NULL, snapshot->gauges);
    snapshot->has_totals = atomic_load_explicit(&tally->header->state, memory_order_acquire) != tally_settling;
}

/* The total of this build with this name, in the place that the file gives to its domain; -1 where it is none of this tally's. */
static int total_of(const struct tally_view *view, const struct domains *domains, const char *name)
{
    int place = catalogue_find_total(name, strlen(name));
    int total = place >= 0 ? place : domains_find_total(domains, name, strlen(name));
    return total >= 0 && (total >= (int)total_node) == view->is_node ? total : -1;
}

static bool map_names(struct tally_view *view)
{
    const struct tally_header *header = view->file;
    const char *name = NULL;
    struct domains domains;
    tally_domains_read(header, header, &domains);
    view->totals = calloc(header->total_count + 1, sizeof(int));
    view->gauges = calloc(header->gauge_count + 1, sizeof(int));
    if (view->totals == NULL || view->gauges == NULL)
        return false;
    for (unsigned i = 0; i < header->total_count; i++) {
        name = tally_file_next_name(header, name);
        view->totals[i] = total_of(view, &domains, name);
    }
    for (unsigned i = 0; i < header->gauge_count; i++) {
        name = tally_file_next_name(header, name);
        view->gauges[i] = catalogue_find_gauge(name, strlen(name));
    }
    return true;
}

static bool is_copy(const struct tally_header *header)
{
    return header->copy_checksum != 0;
}

static struct tally_view *open_file(const char *directory, bool is_node, struct failure *failure)
{
    char path[PATH_MAX];
    struct stat status;
    const char *wrong = NULL;
    const char *name = is_node ? TALLY_NODE_FILE : TALLY_FILE;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    struct tally_view *view = calloc(1, sizeof *view);
    if (view == NULL) {
        fail(failure, EX_OSERR, "no memory to read %s", path);
        return NULL;
    }
    view->is_node = is_node;
    view->name = name;
    view->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (view->fd < 0 || fstat(view->fd, &status) != 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;
        fail(failure,
             errno == EACCES ? EX_NOPERM
             : is_missing    ? EX_NOINPUT
                             : EX_IOERR,
             "%s: %s", path, strerror(errno));
        tally_view_close(view);
        return NULL;
    }
    size_t bytes = status.st_size > INT_MAX ? 0 : (size_t)status.st_size;
    view->file = malloc(bytes + sizeof(struct tally_header));
    if (view->file == NULL || pread(view->fd, view->file, bytes, 0) != (ssize_t)bytes)
        wrong = "cannot be read";
    else
        wrong = tally_file_check(view->file, bytes);
    if (wrong == NULL && is_copy(view->file) && view->file->copy_checksum != tally_file_copy_checksum(view->file))
        wrong = "its checksum is wrong";
    if (wrong == NULL && !map_names(view))
        wrong = "no memory to read it";
    if (wrong != NULL) {
        fail(failure, EX_DATAERR, "%s: %s", path, wrong);
        tally_view_close(view);
        return NULL;
    }
    view->device = status.st_dev;
    view->inode = status.st_ino;
    return view;
}

struct tally_view *tally_view_open(const char *directory, struct failure *failure)
{
    return open_file(directory, false, failure);
}

struct tally_view *tally_view_open_node(const char *run_directory, struct failure *failure)
{
    return open_file(run_directory, true, failure);
}

struct tally_view *tally_view_open_copy(const char *state_directory, struct failure *failure)
{
    struct tally_view *view = tally_view_open(state_directory, failure);
    if (view == NULL || view->file->clean == 1 || view->file->anonymous == 0)
        return view;
    fail(failure, EX_NOINPUT, "%s/%s: is of a tally without a file", state_directory, TALLY_FILE);
    tally_view_close(view);
    return NULL;
}

void tally_view_close(struct tally_view *view)
{
    if (view->fd >= 0)
        close(view->fd);
    free(view->file);
    free(view->totals);
    free(view->gauges);
    free(view);
}

bool tally_view_outdated(const struct tally_view *view, const char *directory)
{
    char path[PATH_MAX];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", directory, view->name);
    return stat(path, &status) != 0 || status.st_dev != view->device || status.st_ino != view->inode;
}

/* The changing part of the file as it is now: header, totals, processes (free it); NULL when the file was cut, or its header, which was
 * checked when it was opened, is not the same, or its totals are implausible. */
static struct tally_header *refresh(const struct tally_view *view)
{
    size_t bytes = view->file->names_at;
    struct tally_header *now = malloc(bytes);
    if (now != NULL && is_copy(view->file))
        return memcpy((void *)now, view->file, bytes); /* it lies on a disk, and nobody waits for that here */
    if (now != NULL && (pread(view->fd, now, bytes, 0) != (ssize_t)bytes ||
                        memcmp(now, view->file, offsetof(struct tally_header, id)) != 0 ||
                        !tally_file_plausible(tally_file_totals(now), now->total_count) ||
                        !tally_file_plausible(tally_file_kept(now), now->total_count))) {
        free(now);
        now = NULL;
    }
    return now;
}

static bool lives(const struct tally_header *now)
{
    bool alive = false;
    for (unsigned i = 0; i < TALLY_PROCESSES && !alive; i++)
        alive = process_lives(tally_file_process_const(now, i), tally_clock_ms());
    return alive;
}

/* Was the tally ahead when it was read, and is it still? */
static bool is_ahead(const struct tally_view *view, struct tally_header *now)
{
    if (tally_clock_ms() - atomic_load(&now->kept_ms) > TALLY_ALONE_MS && lives(now))
        return true;
    uint32_t ahead;
    return atomic_load(&now->ahead) == tally_is_ahead &&
           pread(view->fd, &ahead, sizeof ahead, offsetof(struct tally_header, ahead)) == (ssize_t)sizeof ahead &&
           ahead == tally_is_ahead;
}

static bool read_view(const struct tally_view *view, bool kept, struct snapshot *snapshot)
{
    snapshot_clear(snapshot);
    struct tally_header *now = refresh(view);
    if (now == NULL)
        return false;
    bool all = !kept || view->is_node || is_copy(now) || is_ahead(view, now);
    const _Atomic uint64_t *totals = all ? tally_file_totals(now) : tally_file_kept(now);
    for (unsigned slot = 0; slot < view->file->total_count; slot++) {
        if (view->totals[slot] >= 0)
            snapshot->totals[view->totals[slot]] = atomic_load_explicit(&totals[slot], memory_order_relaxed);
    }
    tally_domains_read(view->file, now, &snapshot->domains);
    read_gauges(now, now, view->gauges, snapshot->gauges);
    tally_places_read(view->file, now, &snapshot->places);
    snapshot->has_node = view->is_node;
    snapshot->has_totals =
        !view->is_node && atomic_load(&now->state) != tally_settling && !(kept && is_copy(now) && now->clean != 1);
    free(now);
    return true;
}

bool tally_view_read(const struct tally_view *view, struct snapshot *snapshot)
{
    return read_view(view, false, snapshot);
}

bool tally_view_read_kept(const struct tally_view *view, struct snapshot *snapshot)
{
    return read_view(view, true, snapshot);
}

bool tally_view_alive(const struct tally_view *view)
{
    struct tally_header *now = refresh(view);
    bool alive = now != NULL && lives(now);
    free(now);
    return alive;
}

void tally_view_id(const struct tally_view *view, char text[33])
{
    struct tally_header *now = refresh(view);
    tally_file_id_text(now != NULL ? now : view->file, text);
    free(now);
}

const char *tally_view_boot_id(const struct tally_view *view)
{
    return view->file->boot_id;
}

pid_t tally_view_pid(const struct tally_view *view, unsigned process)
{
    return (pid_t)atomic_load(&tally_file_process_const(view->file, process)->pid);
}

uint32_t tally_view_starts(const struct tally_view *view)
{
    return atomic_load(&view->file->starts);
}

void tally_view_unknown(const struct tally_view *view, void (*each)(void *context, const char *name, uint64_t value),
                        void *context)
{
    struct tally_header *now = refresh(view);
    const char *name = NULL;
    char text[SERIES_TEXT_MAX];
    struct domains domains;
    if (now != NULL)
        tally_domains_read(view->file, now, &domains);
    for (unsigned slot = 0; now != NULL && slot < view->file->total_count; slot++) {
        name = tally_file_next_name(view->file, name);
        const char *whole = view->totals[slot] < 0 ? tally_domains_name(&domains, name, text) : NULL;
        if (whole != NULL)
            each(context, whole, atomic_load_explicit(&tally_file_totals(now)[slot], memory_order_relaxed));
    }
    free(now);
}
