/* Draining. A place that is not published yet is waited for while its filter lives; so is all behind it. */
#include "milter/pusher/drain.h"

#include "conf/lib/log.h"
#include "milter/pusher/sets.h"
#include "milter/ring.h"

#include <unistd.h>

enum { RINGS = 32, BUSY = RING_RECORDS / 8 };

static struct source {
    struct ring_header *ring; /* NULL: none */
    uint64_t id, head;
} sources[RINGS];

void drain_add(int fd)
{
    struct ring_header *ring = ring_attach(fd);
    close(fd);
    for (int i = 0; ring != NULL && i < RINGS; i++) {
        if (sources[i].ring != NULL)
            continue;
        uint64_t id = ring->id, head = ring_resume(ring);
        sources[i] = (struct source){ring, id, sets_begin_ring(id, head)};
        if (sources[i].head != head) /* it was counted, and not given back */
            ring_free(ring, head);
        return;
    }
    log_error("the ring of a filter cannot be read");
    if (ring != NULL)
        ring_detach(ring);
}

/* Passes a place that holds no record. */
static void skip(struct source *source, const struct tally *tally)
{
    tally_add(tally, SERIES_0(ring_dropped_total), 1);
    sets_skip(source->id, source->head);
    ring_free(source->ring, source->head++);
}

/* Returns how many records it took. */
static unsigned drain(struct source *source, bool closed, const struct tally *tally)
{
    struct ring_record record;
    unsigned count = 0;
    for (; count < RING_RECORDS; count++) {
        enum ring_got got = ring_look(source->ring, source->head, &record);
        if (got == ring_record) {
            sets_count(source->id, source->head, &record);
            ring_free(source->ring, source->head++);
        } else if (got == ring_broken || (closed && ring_taken(source->ring, source->head) > 0)) {
            skip(source, tally);
        } else {
            break;
        }
    }
    return count;
}

bool drain_step(const struct tally *tally)
{
    bool busy = false;
    for (int i = 0; i < RINGS; i++) {
        struct source *source = &sources[i];
        if (source->ring == NULL)
            continue;
        bool closed = atomic_load_explicit(&source->ring->closed, memory_order_acquire) != 0; /* before the look */
        unsigned count = drain(source, closed, tally);
        busy = busy || count >= BUSY;
        if (!closed || count == RING_RECORDS)
            continue;
        sets_end_ring(source->id);
        atomic_store_explicit(&source->ring->done, 1, memory_order_release);
        ring_detach(source->ring);
        source->ring = NULL;
    }
    return busy;
}
