/* Fuzzes what the pusher reads from a ring: the input is records of any content, and now and then a place whose sequence is nonsense.
 * Whatever stands there, sums and entries stay sound, and every member can be shown. */
#include "milter/pusher/drain.h"
#include "milter/pusher/sets.h"
#include "tests/unit/tally_form.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000 };

static struct tally tally;
static struct settings settings = {.top_sets = (1 << top_COUNT) - 1, .top_size = 2, .top_hours = 24};

static void check(void)
{
    struct sets_table table;
    for (unsigned i = 0; sets_table(i, &table); i++) {
        uint64_t weights = 0, counts = 0;
        if (table.sum->used > 2 * SETS_PLACES_EACH)
            abort();
        for (unsigned j = 0; j < table.sum->used; j++) {
            weights += table.entries[j].weight;
            if (!top_is_member(table.entries[j].member, table.entries[j].length))
                abort();
        }
        for (int by = 0; by < top_by_COUNT; by++)
            counts += table.sum->counts[by];
        if (weights != counts)
            abort();
    }
}

/* A record a piece of input; the first byte says what is odd with its place. */
static void put(struct ring_header *ring, const uint8_t *data, size_t size)
{
    uint64_t place;
    if (!ring_take(ring, 1, &place))
        return;
    struct ring_record *record = ring_at(ring, place);
    memset((void *)record, 0, sizeof *record);
    memcpy((void *)record, data + 1, size - 1);
    ring_publish(ring, place);
    if (data[0] == 1)
        atomic_store(&ring->cells[place % RING_RECORDS].sequence, UINT64_MAX - place);
    if (data[0] == 2)
        atomic_store(&ring->tail, place + 1000);
    if (data[0] == 3)
        atomic_store(&ring->head, place ^ 4711);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ring_header *ring;
    struct failure failure;
    static bool begun;
    static int hours;
    if (!begun) {
        form_fresh(&tally);
        if (!sets_open(-1, &settings, NOW, &failure))
            abort();
        begun = true;
    }
    int fd = ring_make(&ring, &failure);
    if (fd < 0)
        abort();
    drain_add(fd);
    while (size > 1) {
        size_t piece = size < 1 + sizeof(struct ring_record) ? size : 1 + sizeof(struct ring_record);
        put(ring, data, piece);
        data += piece;
        size -= piece;
        if (piece % 3 == 0)
            drain_step(&tally);
    }
    atomic_store(&ring->closed, 1);
    for (int i = 0; atomic_load(&ring->done) == 0 && i < 4; i++)
        drain_step(&tally);
    sets_tick(NOW + ++hours * 600);
    check();
    if (atomic_load(&ring->done) == 0)
        abort();
    ring_detach(ring);
    return 0;
}
