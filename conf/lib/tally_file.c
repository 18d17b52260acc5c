/* The form of a tally: one block of memory with offsets, so that a process of another build can read it by names. */
#include "conf/lib/tally_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define TALLY_MAGIC "mscope\r\n"
#define HASH_BEGINS 0xcbf29ce484222325u /* FNV-1a */
enum { IMPLAUSIBLE_BITS = 62, TOTALS_MAX = 65536, GAUGES_MAX = 65536 };

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t header_checksum(const struct tally_header *header)
{
    return hash_bytes(HASH_BEGINS, header, offsetof(struct tally_header, checksum));
}

static uint64_t names_checksum(const struct tally_header *header)
{
    return hash_bytes(HASH_BEGINS, (const char *)header + header->names_at, header->bytes - header->names_at);
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

const _Atomic uint64_t *tally_file_totals(const struct tally_header *header)
{
    return (const _Atomic uint64_t *)((const char *)header + header->totals_at);
}

const _Atomic uint64_t *tally_file_base(const struct tally_header *header)
{
    return (const _Atomic uint64_t *)((const char *)header + header->base_at);
}

size_t tally_file_process_bytes(unsigned gauges)
{
    return round_up(sizeof(struct tally_process) + (gauges + 1) * sizeof(int64_t));
}

struct tally_process *tally_file_process(struct tally_header *header, unsigned process)
{
    return (struct tally_process *)((char *)header + header->processes_at + process * header->process_bytes);
}

const struct tally_process *tally_file_process_const(const struct tally_header *header, unsigned process)
{
    return (const struct tally_process *)((const char *)header + header->processes_at +
                                          process * header->process_bytes);
}

struct tally_process *tally_file_block(const struct tally *tally, unsigned process)
{
    return (struct tally_process *)((char *)tally->header + tally->form.processes_at +
                                    process * tally->form.process_bytes);
}

void tally_file_bind(struct tally_header *header, struct tally *tally)
{
    tally->header = header;
    memcpy((void *)&tally->form, header, sizeof *header);
    tally->totals = (_Atomic uint64_t *)((char *)header + header->totals_at);
    tally->base = (_Atomic uint64_t *)((char *)header + header->base_at);
    tally->self = NULL;
}

const char *tally_file_next_name(const struct tally_header *header, const char *name)
{
    return name == NULL ? (const char *)header + header->names_at : name + strlen(name) + 1;
}

/* Calls `each` for every total of `from` that this build does not know. */
static void each_unknown(const struct tally_header *from, void (*each)(void *, const char *, uint64_t), void *context)
{
    const char *name = NULL;
    for (unsigned i = 0; i < from->total_count; i++) {
        name = tally_file_next_name(from, name);
        if (catalogue_find_total(name, strlen(name)) < 0)
            each(context, name, atomic_load_explicit(&tally_file_totals(from)[i], memory_order_relaxed));
    }
}

struct size_of_unknown {
    unsigned count;
    size_t names;
};

static void add_size(void *context, const char *name, uint64_t value)
{
    struct size_of_unknown *size = context;
    (void)value;
    size->count++;
    size->names += strlen(name) + 1;
}

/* Fills the fields of *header that say where everything lies; the names of this build are `names` bytes. */
static void lay_out(struct tally_header *header, const struct tally_header *from)
{
    struct size_of_unknown unknown = {0, 0};
    char text[SERIES_TEXT_MAX];
    size_t names = 0;
    if (from != NULL)
        each_unknown(from, add_size, &unknown);
    for (unsigned i = 0; i < total_COUNT; i++)
        names += catalogue_total_text(i, text) + 1;
    for (unsigned i = 0; i < gauge_COUNT; i++)
        names += catalogue_gauge_text(i, text) + 1;
    memcpy(header->magic, TALLY_MAGIC, sizeof header->magic);
    header->version = TALLY_VERSION;
    header->header_bytes = sizeof *header;
    header->catalogue = catalogue_hash();
    header->total_count = total_COUNT + unknown.count;
    header->gauge_count = gauge_COUNT;
    header->process_bytes = tally_file_process_bytes(gauge_COUNT);
    header->totals_at = round_up(sizeof *header);
    header->base_at = round_up(header->totals_at + header->total_count * sizeof(uint64_t));
    header->processes_at = round_up(header->base_at + header->total_count * sizeof(uint64_t));
    header->names_at = header->processes_at + TALLY_PROCESSES * header->process_bytes;
    header->bytes = header->names_at + names + unknown.names;
}

size_t tally_file_bytes(const struct tally_header *from)
{
    struct tally_header header;
    lay_out(&header, from);
    return header.bytes;
}

/* Takes over all totals of `from` by name: those of this build into their slots, the others behind, with their names from `name`
 * on. What a copy holds is kept, the tally of this boot knows what was kept of it. Returns where the names end. */
static char *carry_over(const struct tally_header *from, bool keep_base, const struct tally *tally, char *name)
{
    unsigned next = total_COUNT;
    const char *old = NULL;
    for (unsigned i = 0; i < from->total_count; i++) {
        old = tally_file_next_name(from, old);
        int known = catalogue_find_total(old, strlen(old));
        unsigned slot = known >= 0 ? (unsigned)known : next++;
        if (known < 0)
            name = stpcpy(name, old) + 1;
        uint64_t value = atomic_load_explicit(&tally_file_totals(from)[i], memory_order_relaxed);
        atomic_store(&tally->totals[slot], value);
        atomic_store(&tally->base[slot], keep_base ? atomic_load(&tally_file_base(from)[i]) : value);
    }
    return name;
}

void tally_file_build(struct tally_header *header, const struct tally_inheritance *inheritance)
{
    const struct tally_header *from = inheritance->from;
    struct tally tally;
    lay_out(header, from);
    tally_file_boot_id(header->boot_id);
    tally_file_bind(header, &tally);
    char *name = (char *)header + header->names_at;
    for (unsigned i = 0; i < total_COUNT; i++)
        name += catalogue_total_text(i, name) + 1;
    if (from != NULL) {
        name = carry_over(from, inheritance->keep_base, &tally, name);
        for (int i = 0; i < 2; i++)
            atomic_store(&header->id[i], atomic_load(&from->id[i]));
        atomic_store(&header->starts, atomic_load(&from->starts));
        atomic_store(&header->server, atomic_load(&from->server));
        atomic_store(&header->ahead, inheritance->keep_base ? atomic_load(&from->ahead) : (unsigned)tally_kept_only);
    } else {
        tally_file_new_id(header);
    }
    char text[SERIES_TEXT_MAX]; /* the last names may have less room behind them than catalogue_gauge_text asks for */
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        catalogue_gauge_text(i, text);
        name = stpcpy(name, text) + 1;
    }
    header->names_checksum = names_checksum(header);
    header->checksum = header_checksum(header);
    if (getrandom(&header->run, sizeof header->run, 0) != (ssize_t)sizeof header->run)
        header->run = (uint64_t)tally_clock_ms();
    atomic_store(&header->begun_ms, tally_clock_ms());
    atomic_store(&header->state, inheritance->settling ? tally_settling : tally_running);
}

/* The names area holds exactly total_count + gauge_count NUL-terminated texts, and those that were written there. */
static bool names_are_sound(const struct tally_header *header)
{
    const char *names = (const char *)header + header->names_at;
    size_t length = header->bytes - header->names_at;
    size_t count = 0;
    if (length == 0 || names[length - 1] != '\0')
        return false;
    for (size_t i = 0; i < length; i++)
        count += names[i] == '\0';
    return count == (size_t)header->total_count + header->gauge_count &&
           names_checksum(header) == header->names_checksum;
}

static bool offsets_are_sound(const struct tally_header *header)
{
    uint64_t array = (uint64_t)header->total_count * sizeof(uint64_t);
    return header->total_count <= TOTALS_MAX && header->gauge_count <= GAUGES_MAX &&
           header->process_bytes >= sizeof(struct tally_process) + header->gauge_count * sizeof(int64_t) &&
           header->process_bytes <= header->bytes && header->totals_at >= sizeof *header &&
           header->totals_at <= header->bytes && header->totals_at + array <= header->base_at &&
           header->base_at <= header->bytes && header->base_at + array <= header->processes_at &&
           header->processes_at <= header->bytes &&
           header->processes_at + TALLY_PROCESSES * header->process_bytes <= header->names_at &&
           header->names_at <= header->bytes &&
           (header->totals_at | header->base_at | header->processes_at | header->process_bytes) % sizeof(uint64_t) == 0;
}

bool tally_file_plausible(const _Atomic uint64_t *totals, unsigned count)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < count; i++)
        bits |= atomic_load_explicit(&totals[i], memory_order_relaxed);
    return bits >> IMPLAUSIBLE_BITS == 0;
}

const char *tally_file_check(const struct tally_header *header, size_t bytes)
{
    if (bytes < sizeof *header)
        return "too short for a tally";
    if (memcmp(header->magic, TALLY_MAGIC, sizeof header->magic) != 0)
        return "not a tally";
    if (header->version != TALLY_VERSION || header->header_bytes != sizeof *header)
        return "a tally of another format";
    if (header->checksum != header_checksum(header))
        return "its header is damaged";
    if (header->bytes != bytes || !offsets_are_sound(header) || memchr(header->boot_id, '\0', 40) == NULL)
        return "its header does not fit its size";
    if (!names_are_sound(header))
        return "its names are damaged";
    return tally_file_plausible(tally_file_totals(header), header->total_count) &&
                   tally_file_plausible(tally_file_base(header), header->total_count)
               ? NULL
               : "it holds implausible totals";
}

uint64_t tally_file_copy_checksum(const struct tally_header *header)
{
    const char *start = (const char *)header;
    uint64_t hash = hash_bytes(HASH_BEGINS, start + header->totals_at, (size_t)header->total_count * sizeof(uint64_t));
    return hash_bytes(hash, start + header->names_at, header->bytes - header->names_at);
}

void tally_file_new_id(struct tally_header *header)
{
    uint64_t id[2];
    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id) { /* cannot fail once the kernel has booted */
        id[0] = (uint64_t)getpid();
        id[1] = (uint64_t)time(NULL);
    }
    for (int i = 0; i < 2; i++)
        atomic_store(&header->id[i], id[i]);
}

void tally_file_id_text(const struct tally_header *header, char text[33])
{
    for (int i = 0; i < 2; i++)
        snprintf(text + 16 * i, 17, "%016" PRIx64, (uint64_t)atomic_load(&header->id[i]));
}

void tally_file_boot_id(char text[40])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, 36);
    if (fd >= 0)
        close(fd);
    memset(text + (length == 36 ? 36 : 0), 0, length == 36 ? 4 : 40);
    if (length != 36)
        strcpy(text, "unknown");
}
