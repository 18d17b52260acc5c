/* The form of a tally: one block of memory with offsets, so that a process of another build can read it by names. */
#include "conf/lib/tally_file.h"

#include "conf/lib/fnv1a.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define TALLY_MAGIC "mscope\r\n"
enum { IMPLAUSIBLE_BITS = 62, TOTALS_MAX = 65536, GAUGES_MAX = 65536 };

static uint64_t header_checksum(const struct tally_header *header)
{
    return fnv1a(FNV1A_BEGINS, header, offsetof(struct tally_header, checksum));
}

static uint64_t names_checksum(const struct tally_header *header)
{
    return fnv1a(FNV1A_BEGINS, (const char *)header + header->names_at, header->bytes - header->names_at);
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

const _Atomic uint64_t *tally_file_totals(const struct tally_header *header)
{
    return (const _Atomic uint64_t *)((const char *)header + header->totals_at);
}

const _Atomic uint64_t *tally_file_kept(const struct tally_header *header)
{
    return (const _Atomic uint64_t *)((const char *)header + header->kept_at);
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
    tally->kept = (_Atomic uint64_t *)((char *)header + header->kept_at);
    tally->self = NULL;
}

const char *tally_file_next_name(const struct tally_header *header, const char *name)
{
    return name == NULL ? (const char *)header + header->names_at : name + strlen(name) + 1;
}

/* The totals that are taken over from another tally, one after another. */
struct rows {
    const struct tally_inheritance *inheritance;
    struct domains domains; /* of that tally */
    unsigned next, unknown;
    const char *stored;         /* the name of the last, as it stands there */
    char text[SERIES_TEXT_MAX]; /* the same with its domain in it */
    const char *name;           /* the name of this one */
    int known;                  /* its number in this build; -1: unknown, or of a domain without a place */
    uint64_t value, kept;
};

static void begin_rows(struct rows *rows, const struct tally_inheritance *inheritance)
{
    const struct tally_header *from = inheritance->from;
    memset(rows, 0, sizeof *rows);
    rows->inheritance = inheritance;
    if (from != NULL)
        tally_domains_read(from, from, &rows->domains);
}

/* How many totals of this build a tally has: the node's are not in the conversation's. */
static unsigned totals_of(const struct tally_inheritance *inheritance)
{
    return inheritance->node == NULL ? (unsigned)total_node : (unsigned)total_COUNT;
}

/* A free place holds nothing, and nobody misses a domain without counts. What would not fit into a tally has to go. */
static bool is_taken_over(const struct rows *rows)
{
    if (rows->name == NULL)
        return false;
    bool idle = rows->value == 0 && domains_has_total(rows->name, strlen(rows->name));
    return rows->known >= 0 || (!idle && total_node + rows->unknown < TOTALS_MAX);
}

static bool next_row(struct rows *rows)
{
    const struct tally_header *from = rows->inheritance->from;
    while (from != NULL && rows->next < from->total_count) {
        unsigned i = rows->next++;
        rows->stored = tally_file_next_name(from, rows->stored);
        rows->name = tally_domains_name(&rows->domains, rows->stored, rows->text);
        rows->known =
            rows->name == NULL ? -1 : domains_find_total(&rows->inheritance->domains, rows->name, strlen(rows->name));
        rows->known = rows->known < (int)total_node ? rows->known : -1;
        rows->value = atomic_load_explicit(&tally_file_totals(from)[i], memory_order_relaxed);
        rows->kept = atomic_load_explicit(&tally_file_kept(from)[i], memory_order_relaxed);
        if (is_taken_over(rows)) {
            rows->unknown += rows->known < 0;
            return true;
        }
    }
    return false;
}

/* The name of a total of this build; where its domain is not known yet, that of the place. */
static size_t total_text(const struct domains *domains, unsigned total, char *text)
{
    const struct metric *metric = catalogue_total_metric(total);
    size_t length = domains_series(domains, metric, total - metric->first, text);
    return length > 0 ? length : catalogue_series(metric, total - metric->first, text);
}

/* Fills the fields of *header that say where everything lies. */
static void lay_out(struct tally_header *header, const struct tally_inheritance *inheritance)
{
    char text[SERIES_TEXT_MAX];
    struct rows rows;
    size_t names = 0;
    for (begin_rows(&rows, inheritance); next_row(&rows);)
        names += rows.known < 0 ? strlen(rows.name) + 1 : 0;
    for (unsigned i = 0; i < totals_of(inheritance); i++)
        names += total_text(&inheritance->domains, i, text) + 1;
    for (unsigned i = 0; i < gauge_COUNT; i++)
        names += catalogue_gauge_text(i, text) + 1;
    memcpy(header->magic, TALLY_MAGIC, sizeof header->magic);
    header->version = TALLY_VERSION;
    header->header_bytes = sizeof *header;
    header->catalogue = catalogue_hash();
    header->total_count = totals_of(inheritance) + rows.unknown;
    header->gauge_count = gauge_COUNT;
    header->process_bytes = tally_file_process_bytes(gauge_COUNT);
    header->domains_at = round_up(sizeof *header);
    header->totals_at = round_up(header->domains_at + sizeof(struct tally_domains));
    header->kept_at = round_up(header->totals_at + header->total_count * sizeof(uint64_t));
    header->processes_at = round_up(header->kept_at + header->total_count * sizeof(uint64_t));
    header->names_at = header->processes_at + TALLY_PROCESSES * header->process_bytes;
    header->bytes = header->names_at + names;
}

size_t tally_file_bytes(const struct tally_inheritance *inheritance)
{
    struct tally_header header;
    lay_out(&header, inheritance);
    return header.bytes;
}

/* Takes over totals by name: those of this build into their slots, the others behind, with their names from `name` on. What a
 * copy holds is kept, the tally of this boot knows what was kept of it. Returns where the names end. */
static char *carry_over(const struct tally_inheritance *inheritance, const struct tally *tally, char *name)
{
    struct rows rows;
    for (begin_rows(&rows, inheritance); next_row(&rows);) {
        unsigned slot = rows.known >= 0 ? (unsigned)rows.known : total_node + rows.unknown - 1;
        if (rows.known < 0)
            name = stpcpy(name, rows.name) + 1;
        atomic_store(&tally->totals[slot], rows.value);
        atomic_store(&tally->kept[slot], inheritance->of_this_boot ? rows.kept : rows.value);
    }
    return name;
}

static void begin_node(const struct tally *tally, const struct tally_beginning *node)
{
    tally_places_write(tally_domains_of(tally->header, tally->header), node->places);
    for (int i = 0; i < 2; i++)
        atomic_store(&tally->header->id[i], node->id[i]);
    for (unsigned i = total_node; i < total_COUNT; i++)
        atomic_store(&tally->totals[i], node->totals[i]);
}

void tally_file_build(struct tally_header *header, const struct tally_inheritance *inheritance)
{
    const struct tally_header *from = inheritance->from;
    struct tally tally;
    char text[SERIES_TEXT_MAX]; /* names may have less room behind them than those who write them ask for */
    lay_out(header, inheritance);
    tally_file_boot_id(header->boot_id);
    tally_file_bind(header, &tally);
    if (inheritance->node == NULL)
        tally_domains_write(tally_domains_of(header, header), &inheritance->domains);
    char *name = (char *)header + header->names_at;
    for (unsigned i = 0; i < totals_of(inheritance); i++) {
        total_text(&inheritance->domains, i, text);
        name = stpcpy(name, text) + 1;
    }
    name = carry_over(inheritance, &tally, name);
    if (from != NULL) {
        for (int i = 0; i < 2; i++)
            atomic_store(&header->id[i], atomic_load(&from->id[i]));
        atomic_store(&header->starts, atomic_load(&from->starts));
        atomic_store(&header->server, atomic_load(&from->server));
        bool goes_on = inheritance->of_this_boot && inheritance->settling; /* nothing was pushed since */
        header->run_before = goes_on ? from->run_before : from->run;
        atomic_store(&header->ahead, inheritance->of_this_boot ? atomic_load(&from->ahead) : (unsigned)tally_kept_only);
    } else if (inheritance->node == NULL) {
        tally_file_new_id(header);
    } else {
        begin_node(&tally, inheritance->node);
    }
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        catalogue_gauge_text(i, text);
        name = stpcpy(name, text) + 1;
    }
    header->names_checksum = names_checksum(header);
    header->checksum = header_checksum(header);
    if (getrandom(&header->run, sizeof header->run, 0) != (ssize_t)sizeof header->run)
        header->run = (uint64_t)tally_clock_ms();
    atomic_store(&header->begun_ms, tally_clock_ms());
    atomic_store(&header->kept_ms, tally_clock_ms());
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
           header->totals_at <= header->bytes && header->totals_at + array <= header->kept_at &&
           header->kept_at <= header->bytes && header->kept_at + array <= header->processes_at &&
           header->processes_at <= header->bytes &&
           header->processes_at + TALLY_PROCESSES * header->process_bytes <= header->names_at &&
           header->names_at <= header->bytes &&
           (header->totals_at | header->kept_at | header->processes_at | header->process_bytes) % sizeof(uint64_t) == 0;
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
                   tally_file_plausible(tally_file_kept(header), header->total_count)
               ? NULL
               : "it holds implausible totals";
}

uint64_t tally_file_copy_checksum(const struct tally_header *header)
{
    const char *start = (const char *)header;
    uint64_t hash = fnv1a(FNV1A_BEGINS, start + header->totals_at, (size_t)header->total_count * sizeof(uint64_t));
    return fnv1a(hash, start + header->names_at, header->bytes - header->names_at);
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
