/* Mapping, checking and repairing. What is not as this version with these settings makes it is begun anew. */
#include "milter/pusher/sets_memory.h"

#include "conf/lib/fnv1a.h"
#include "conf/lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = {'m', 's', 's', 'e', 't', 's', '\r', '\n'};

static size_t part_bytes(uint64_t size)
{
    return sizeof(struct sets_part) + size * sizeof(struct heavy_entry);
}

static size_t parts_at(void)
{
    return (sizeof(struct sets_memory) + 63) / 64 * 64;
}

struct sets_part *sets_memory_part(struct sets_memory *memory, unsigned part)
{
    return (struct sets_part *)(void *)((char *)memory + parts_at() + part * part_bytes(memory->size));
}

static uint64_t checksum_of(const struct sets_memory *memory)
{
    return fnv1a(FNV1A_BEGINS, memory, offsetof(struct sets_memory, checksum));
}

/* What the constant part of the header must be. */
static void describe(const struct settings *settings, struct sets_memory *form)
{
    memcpy(form->magic, magic, sizeof magic);
    form->version = SETS_VERSION;
    form->size = (uint64_t)settings->top_size * SETS_PLACES_EACH;
    form->parts = (uint64_t)__builtin_popcountll((unsigned long long)sets_kept(settings)) * SETS_HOURS;
    form->bytes = parts_at() + form->parts * part_bytes(form->size);
    form->sets = (uint64_t)sets_kept(settings);
    form->privacy = (uint64_t)settings->privacy;
    form->checksum = checksum_of(form);
}

/* With all its pages, so that no store can fail later. */
static struct sets_memory *map(int fd, size_t bytes)
{
    struct stat status;
    if (fd >= 0 && (fstat(fd, &status) != 0 || (status.st_size != (off_t)bytes && ftruncate(fd, 0) != 0) ||
                    posix_fallocate(fd, 0, (off_t)bytes) != 0))
        fd = -1;
    int flags = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (fd < 0)
        log_warning("the memory of the open sets ends with this process: the hour begins anew after a restart");
    return memory;
}

struct sets_memory *sets_memory_map(int fd, const struct settings *settings, struct failure *failure)
{
    static struct sets_memory form;
    describe(settings, &form);
    struct sets_memory *memory = map(fd, form.bytes);
    if (memory == NULL) {
        fail(failure, EX_OSERR, "no memory for the open sets: %s", strerror(errno));
        return NULL;
    }
    size_t constant = offsetof(struct sets_memory, rings);
    if (memcmp(memory, &form, constant) != 0) {
        memset((void *)memory, 0, form.bytes);
        memcpy((void *)memory, &form, constant);
    }
    return memory;
}

void sets_memory_begin(struct sets_memory *memory, unsigned number, int64_t hour)
{
    struct sets_part *part = sets_memory_part(memory, number);
    part->hour = 0; /* first: whoever dies here leaves an empty one */
    atomic_signal_fence(memory_order_seq_cst);
    memset(&part->sum, 0, sizeof part->sum);
    hyperloglog_begin(part->sketch);
    atomic_signal_fence(memory_order_seq_cst);
    part->hour = hour;
}

/* The record was counted if the place behind it is where to go on. */
void sets_memory_recover(struct sets_memory *memory)
{
    bool active = atomic_load(&memory->active) != 0;
    bool counted = memory->ring < SETS_RINGS && memory->rings[memory->ring].next == memory->place + 1;
    unsigned changes = atomic_load(&memory->changes);
    for (unsigned i = 0; active && !counted && i < changes && i < SETS_CHANGES; i++) {
        const struct sets_change *change = &memory->change[i];
        if (change->part >= memory->parts || change->entry >= memory->size)
            continue;
        struct sets_part *part = sets_memory_part(memory, change->part);
        part->entries[change->entry] = change->before;
        part->sum = change->sum;
    }
    if (active && !counted && memory->group_count <= RING_GROUP_MAX)
        memory->group.count = memory->group_count;
    if (memory->group.count > RING_GROUP_MAX)
        memory->group.count = 0;
    atomic_store(&memory->active, 0);
    atomic_store(&memory->changes, 0);
    for (unsigned i = 0; i < memory->parts; i++) {
        struct sets_part *part = sets_memory_part(memory, i);
        if (part->sum.used > memory->size || part->hour < 0)
            part->hour = 0;
    }
}
