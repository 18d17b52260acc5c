/* Fuzzes the memory of the open sets that an earlier pusher has left: the input is places in it (a part or, beyond those, what
 * stands before them, two bytes, a length) and what stands there instead. Whatever it is like, it is begun with, counted in, and begun with again, and what can be shown is sound. */
#include "milter/pusher/sets.c"
#include "milter/pusher/sets_memory.c"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000, RING = 4711, HEAD = 4 };

static const struct settings settings = {.top_sets = (1 << top_COUNT) - 1, .top_size = 1, .top_hours = 24};
static int fd = -1;
static size_t bytes, first, each, parts; /* of the memory, since what stands in it may be wrong */

static void require(bool good)
{
    if (!good)
        abort();
}

static void begin(void)
{
    struct failure failure;
    require(sets_open(fd, &settings, NOW, &failure));
}

static void end(void)
{
    munmap((void *)self.memory, bytes);
}

static void count(void)
{
    struct ring_record record = {.kind = ring_message, .family = 4, .recipients = 1};
    unsigned used = 0;
    ring_add_text(&record, &used, ring_message_sender, "a@example.org", strlen("a@example.org"));
    uint64_t place = sets_begin_ring(RING, 5);
    require(place == 5 || place == 6);
    sets_count(RING, place, &record);
}

static void check(void)
{
    struct sets_table table;
    for (unsigned i = 0; sets_table(i, &table); i++) {
        require(table.sum->used <= SETS_PLACES_EACH);
        for (unsigned j = 0; j < table.sum->used; j++)
            require(top_is_member(table.entries[j].member, table.entries[j].length));
        heavy_least(table.heavy);
    }
}

/* A sound one with an entry in it. */
static void fresh(void)
{
    require(ftruncate(fd, 0) == 0);
    begin();
    bytes = self.memory->bytes;
    first = parts_at();
    each = part_bytes(self.memory->size);
    parts = self.memory->parts;
    count();
    end();
}

static void overwrite(const uint8_t *data, size_t size)
{
    begin();
    while (size > HEAD) {
        bool is_part = data[0] < parts;
        char *place = (char *)self.memory + (is_part ? first + data[0] * each : 0);
        size_t room = is_part ? each : first, at = (size_t)(data[1] | data[2] << 8) % room;
        size_t length = data[3] < size - HEAD ? data[3] : size - HEAD;
        memcpy(place + at, data + HEAD, length < room - at ? length : room - at);
        data += HEAD + length;
        size -= HEAD + length;
    }
    end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fd < 0) {
        log_open("fuzz", log_level_error, log_to_stderr);
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    }
    fresh();
    overwrite(data, size);
    for (int i = 0; i < 2; i++) {
        begin();
        check();
        count();
        sets_tick(NOW + 3600);
        check();
        end();
    }
    return 0;
}
