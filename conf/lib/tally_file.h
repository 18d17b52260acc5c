/* The form of a tally in a file or in memory: building it, checking it, finding its parts. Private to tally*.c. */
#ifndef CONF_LIB_TALLY_FILE_H
#define CONF_LIB_TALLY_FILE_H

#include "conf/lib/tally.h"

/* What a tally of the node begins with; see tally_make_node. */
struct tally_beginning {
    const uint64_t *id; /* two of them */
    const uint64_t *totals;
    const struct places *places;
};

/* The totals of another tally, by name, that a new one takes over. */
struct tally_inheritance {
    const struct tally_beginning *node; /* it is the node's, and takes over nothing else; NULL: the conversation's */
    const struct tally_header *from;    /* a checked tally, or NULL: begin at 0 */
    bool settling;                      /* it may be older than what Redis holds */
    bool of_this_boot;      /* it is the tally of this boot: what is kept of it stays as it is, and what was shown */
    bool copy_is_clean;     /* the copy in the state directory still bears the mark of a clean stop */
    struct domains domains; /* the places of the new one, see tally_domains_plan; all free: without domains */
};

/* Which domain gets which place in a tally that takes over `inheritance->from`: into inheritance->domains. */
void tally_domains_plan(struct tally_inheritance *inheritance, const struct own_domains *own);

/* The table of a checked tally whose form is `form`, in `memory`; NULL: there is none. */
struct tally_domains *tally_domains_of(const struct tally_header *form, void *memory);

/* Fills an empty table. */
void tally_domains_write(struct tally_domains *table, const struct domains *domains);

/* The names in the table, with those of a checked tally whose form is `form`, in `memory`. */
void tally_domains_read(const struct tally_header *form, const void *memory, struct domains *domains);

/* The same table as the node's tally has it: names of places. */
_Static_assert((int)PLACES_COUNT <= (int)DOMAINS_MAX && (int)PLACE_BYTES <= (int)DOMAIN_BYTES,
               "places fit into the table of domains");
void tally_places_write(struct tally_domains *table, const struct places *places);
void tally_places_read(const struct tally_header *form, const void *memory, struct places *places);

/* The name of a total as it is to be: with the domain in it where it stands in the tally with a place. Returns `name`, or `text`, of
 * at least SERIES_TEXT_MAX bytes; NULL where the place is free. */
const char *tally_domains_name(const struct domains *domains, const char *name, char *text);

/* How many bytes a new tally of this build needs that takes this over. */
size_t tally_file_bytes(const struct tally_inheritance *inheritance);

/* Fills `header`, zeroed memory of that size, as a new tally of this build. */
void tally_file_build(struct tally_header *header, const struct tally_inheritance *inheritance);

/* NULL for a sound tally of `bytes` bytes, or what is wrong with it (a literal). Checks magic, version, checksums, offsets, names
 * and the plausibility of totals (none beyond 2^62). */
const char *tally_file_check(const struct tally_header *header, size_t bytes);

/* Is none of `count` totals beyond 2^62? */
bool tally_file_plausible(const _Atomic uint64_t *totals, unsigned count);

/* Points the parts of *tally into a checked tally, and keeps its form. */
void tally_file_bind(struct tally_header *header, struct tally *tally);

/* The stride of blocks with so many gauges and the progress. */
size_t tally_file_process_bytes(unsigned gauges);

const _Atomic uint64_t *tally_file_totals(const struct tally_header *header);
const _Atomic uint64_t *tally_file_kept(const struct tally_header *header);
/* The form and the memory may be apart. */
struct tally_process *tally_file_block(const struct tally *tally, unsigned process);
struct tally_process *tally_file_process(struct tally_header *header, unsigned process);
const struct tally_process *tally_file_process_const(const struct tally_header *header, unsigned process);

/* The name after `name` (NULL: the first): totals first, then gauges. */
const char *tally_file_next_name(const struct tally_header *header, const char *name);

/* The checksum of totals and names that a copy carries. */
uint64_t tally_file_copy_checksum(const struct tally_header *header);

/* Sets a 32-bit field, at `offset`, of the copy in a state directory, and waits for the disk. true also where there is no copy. */
bool tally_file_set_mark(const char *state_directory, size_t offset, uint32_t value, struct failure *failure);

void tally_file_new_id(struct tally_header *header);
void tally_file_id_text(const struct tally_header *header, char text[33]);

/* The boot id of the running kernel, "unknown" where there is none. */
void tally_file_boot_id(char text[40]);

#endif
