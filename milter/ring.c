/* The ring. A place whose sequence is its number is free, one more: published, RING_RECORDS more: free for the next round. */
#include "milter/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW,
    MASK = RING_RECORDS - 1,
    TRIES = 1000, /* of a writer that others overtake: no content of the ring can hold up mail */
};

static const char magic[8] = {'m', 's', 'r', 'i', 'n', 'g', '\r', '\n'};

static struct ring_header *map(int fd)
{
    void *memory = mmap(NULL, sizeof(struct ring_header), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int ring_make(struct ring_header **ring, struct failure *failure)
{
    int fd = memfd_create("milterscope-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int error = fd < 0 ? errno : posix_fallocate(fd, 0, sizeof **ring);
    bool sealed = error == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0;
    *ring = sealed ? map(fd) : NULL;
    if (*ring == NULL) {
        fail(failure, EX_OSERR, "no ring for a filter: %s", strerror(error != 0 ? error : errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    memcpy((*ring)->magic, magic, sizeof magic);
    (*ring)->version = RING_VERSION;
    (*ring)->records = RING_RECORDS;
    if (getrandom(&(*ring)->id, sizeof(*ring)->id, GRND_NONBLOCK) != sizeof(*ring)->id)
        (*ring)->id = (uint64_t)(uintptr_t)*ring ^ (uint64_t)getpid() << 32;
    for (uint64_t i = 0; i < RING_RECORDS; i++)
        atomic_store_explicit(&(*ring)->cells[i].sequence, i, memory_order_release);
    return fd;
}

struct ring_header *ring_attach(int fd)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &status) != 0 ||
        status.st_size != (off_t)sizeof(struct ring_header))
        return NULL;
    struct ring_header *ring = map(fd);
    if (ring == NULL)
        return NULL;
    if (memcmp(ring->magic, magic, sizeof magic) == 0 && ring->version == RING_VERSION && ring->records == RING_RECORDS)
        return ring;
    ring_detach(ring);
    return NULL;
}

void ring_detach(struct ring_header *ring)
{
    munmap(ring, sizeof *ring);
}

/* ---- writers ---- */

/* Places are freed in order, so the last one is free only when all before it are. */
bool ring_take(struct ring_header *ring, unsigned count, uint64_t *place)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (int i = 0; i < TRIES; i++) {
        uint64_t last = tail + count - 1;
        uint64_t sequence = atomic_load_explicit(&ring->cells[last & MASK].sequence, memory_order_acquire);
        int64_t ahead = (int64_t)(sequence - last);
        if (ahead < 0)
            return false;
        if (ahead > 0) { /* others were faster */
            tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(&ring->tail, &tail, tail + count, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            *place = tail;
            return true;
        }
    }
    return false;
}

struct ring_record *ring_at(struct ring_header *ring, uint64_t place)
{
    return &ring->cells[place & MASK].record;
}

void ring_publish(struct ring_header *ring, uint64_t place)
{
    atomic_store_explicit(&ring->cells[place & MASK].sequence, place + 1, memory_order_release);
}

void ring_add_text(struct ring_record *record, unsigned *used, unsigned text, const char *bytes, size_t length)
{
    size_t room = RING_TEXT_BYTES - *used < UINT8_MAX ? RING_TEXT_BYTES - *used : UINT8_MAX;
    length = length < room ? length : room;
    memcpy(record->text + *used, bytes, length);
    record->lengths[text] = (uint8_t)length;
    *used += (unsigned)length;
}

/* ---- the reader ---- */

/* The reader before may have gone on and not given back the place that it came from. */
uint64_t ring_resume(struct ring_header *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed), unfreed = head;
    atomic_compare_exchange_strong_explicit(&ring->cells[(head - 1) & MASK].sequence, &unfreed, head - 1 + RING_RECORDS,
                                            memory_order_release, memory_order_relaxed);
    return head;
}

enum ring_got ring_look(const struct ring_header *ring, uint64_t head, struct ring_record *record)
{
    const struct ring_cell *cell = &ring->cells[head & MASK];
    uint64_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
    if (sequence == head)
        return ring_nothing;
    if (sequence != head + 1)
        return ring_broken;
    memcpy(record, &cell->record, sizeof *record);
    return ring_record;
}

void ring_free(struct ring_header *ring, uint64_t head)
{
    atomic_store_explicit(&ring->head, head + 1, memory_order_relaxed);
    atomic_store_explicit(&ring->cells[head & MASK].sequence, head + RING_RECORDS, memory_order_release);
}

unsigned ring_taken(const struct ring_header *ring, uint64_t head)
{
    uint64_t taken = atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
    return taken < RING_RECORDS ? (unsigned)taken : RING_RECORDS;
}

const char *ring_text(const struct ring_record *record, unsigned text, size_t *length)
{
    size_t at = 0;
    for (unsigned i = 0; i < text; i++)
        at += record->lengths[i];
    at = at < RING_TEXT_BYTES ? at : RING_TEXT_BYTES;
    *length = record->lengths[text] <= RING_TEXT_BYTES - at ? record->lengths[text] : RING_TEXT_BYTES - at;
    return record->text + at;
}
