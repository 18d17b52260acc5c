/* Tallies made by hand, as another build of milterscope would leave them; and one in plain memory, to count into. For the tests and the
 * fuzzer of the tally: what stands here is written down a second time on purpose, so that the form cannot change unnoticed. */
#ifndef TESTS_UNIT_TALLY_FORM_H
#define TESTS_UNIT_TALLY_FORM_H

#include "conf/lib/tally_file.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct form_series {
    const char *name;
    uint64_t value;
};

static inline uint64_t form_hash(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    return hash;
}

/* Makes all checksums right again after a change; `whole`: totals and names lie where the header says. */
static inline void form_seal(struct tally_header *header, bool whole)
{
    const char *start = (const char *)header;
    if (whole)
        header->names_checksum =
            form_hash(0xcbf29ce484222325u, start + header->names_at, header->bytes - header->names_at);
    header->checksum = form_hash(0xcbf29ce484222325u, header, offsetof(struct tally_header, checksum));
    if (!whole)
        return;
    uint64_t hash = form_hash(0xcbf29ce484222325u, start + header->totals_at, header->total_count * sizeof(uint64_t));
    header->copy_checksum = form_hash(hash, start + header->names_at, header->bytes - header->names_at);
}

/* The first offset beyond `bytes` bytes at `at` and a gap, on an even word. */
static inline uint64_t form_after(uint64_t at, uint64_t bytes, uint64_t gap)
{
    return (at + bytes + gap + 7) / 8 * 8;
}

/* A tally with these totals and gauges and nothing else, laid out otherwise than ours. Exactly header->bytes are allocated (free it). */
static inline struct tally_header *form_make(const struct form_series *totals, unsigned total_count,
                                             const char *const *gauges, unsigned gauge_count)
{
    struct tally_header form = {.version = TALLY_VERSION, .header_bytes = sizeof form, .catalogue = 4711};
    uint64_t array = total_count * sizeof(uint64_t);
    size_t names = 0;
    for (unsigned i = 0; i < total_count; i++)
        names += strlen(totals[i].name) + 1;
    for (unsigned i = 0; i < gauge_count; i++)
        names += strlen(gauges[i]) + 1;
    memcpy(form.magic, "mscope\r\n", sizeof form.magic);
    form.total_count = total_count;
    form.gauge_count = gauge_count;
    form.process_bytes = form_after(0, sizeof(struct tally_process) + gauge_count * sizeof(int64_t), 8);
    form.totals_at = form_after(0, sizeof form, 40);
    form.kept_at = form_after(form.totals_at, array, 8);
    form.processes_at = form_after(form.kept_at, array, 16);
    form.names_at = form.processes_at + TALLY_PROCESSES * form.process_bytes + 3;
    form.bytes = form.names_at + names;
    tally_file_boot_id(form.boot_id);
    struct tally_header *header = calloc(1, form.bytes);
    memcpy((void *)header, &form, sizeof form);
    uint64_t *slots = (uint64_t *)(void *)((char *)header + form.totals_at);
    char *name = (char *)header + form.names_at;
    for (unsigned i = 0; i < total_count; i++) {
        slots[i] = totals[i].value;
        name = stpcpy(name, totals[i].name) + 1;
    }
    for (unsigned i = 0; i < gauge_count; i++)
        name = stpcpy(name, gauges[i]) + 1;
    atomic_store(&header->id[0], 0x0123456789abcdefu);
    atomic_store(&header->id[1], 0xfedcba9876543210u);
    atomic_store(&header->starts, 17);
    atomic_store(&header->state, tally_running);
    form_seal(header, true);
    return header;
}

/* A new tally of this build in plain memory, with a block for this process; free with form_free. */
static inline void form_fresh(struct tally *tally)
{
    static const struct tally_inheritance nothing = {.from = NULL};
    size_t bytes = tally_file_bytes(&nothing);
    struct tally_header *header = aligned_alloc(64, (bytes + 63) / 64 * 64);
    memset((void *)header, 0, bytes);
    tally_file_build(header, &nothing);
    tally_file_bind(header, tally);
    tally->fd = -1;
    tally_use(tally, tally_process_add(tally, 1));
}

static inline void form_free(struct tally *tally)
{
    free((void *)tally->header);
}

#endif
