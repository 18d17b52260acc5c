/* The ring of one filter: records of what happened, from the threads of the filter to the pusher, in shared memory of fixed size.
 *
 * Vyukov's bounded queue, with many writers and one reader: a writer takes places at the tail, fills them and publishes each by its sequence
 * number. Writers wait for nobody: a ring that is full takes nothing. A message and its recipients are put in together or not at all,
 * and stand behind one another.
 *
 * The supervisor makes it, in a memfd whose size is sealed, and says in it when the filter is gone; the pusher says when it is done
 * with it. What stands in it is untrusted to the reader, who takes a copy of a record and checks every field. */
#ifndef MILTER_RING_H
#define MILTER_RING_H

#include "conf/lib/failure.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RING_VERSION = 1,
    RING_RECORDS = 8192, /* a power of 2 */
    RING_CELL_BYTES = 512,
    RING_TEXT_BYTES = 464,
    RING_TEXTS = 3,
    RING_GROUP_MAX = 256, /* records that are put in together */
};

enum ring_kind { ring_session = 1, ring_message, ring_recipient };
enum ring_flags { ring_refused = 1, ring_unknown_user = 2, ring_spam = 4 };

/* The texts of a record, each with its length, behind one another in `text`. */
enum ring_session_texts { ring_session_helo };
enum ring_message_texts { ring_message_sender, ring_message_helo, ring_message_user };
enum ring_recipient_texts { ring_recipient_address };

struct ring_record {
    uint8_t kind;   /* enum ring_kind */
    uint8_t flags;  /* enum ring_flags */
    uint8_t family; /* of the client's address: 4, 6, or 0: none */
    uint8_t lengths[RING_TEXTS];
    uint8_t unused[2];
    uint8_t address[16];
    uint64_t message; /* the records of one message have the same number, and no other message of this filter has it */
    uint32_t recipients, refused; /* of a message: all that it had, and those of them that were refused */
    char text[RING_TEXT_BYTES];
};

struct ring_cell {
    _Atomic uint64_t sequence;
    struct ring_record record;
};
_Static_assert(sizeof(struct ring_cell) == RING_CELL_BYTES, "a cell has 512 bytes");

struct ring_header {
    char magic[8];
    uint32_t version, records;
    uint64_t id;                        /* random: tells this ring from any other */
    _Atomic uint32_t closed;            /* set by the supervisor: the filter is gone, nobody writes any more */
    _Atomic uint32_t done;              /* set by the pusher: everything was taken out */
    _Alignas(64) _Atomic uint64_t tail; /* the next place that writers take */
    _Alignas(64) _Atomic uint64_t head; /* the next place that the reader reads */
    _Alignas(64) struct ring_cell cells[RING_RECORDS];
};

/* ---- supervisor ---- */

/* A new ring, and a descriptor of it for others (close-on-exec); -1 with *failure. Its memory is there: no later store can fail. */
int ring_make(struct ring_header **ring, struct failure *failure);

/* ---- all ---- */

/* Maps the ring in descriptor `fd`, which is not needed any more then; NULL: it is none, or of another version. */
struct ring_header *ring_attach(int fd);
void ring_detach(struct ring_header *ring);

/* ---- filter: memory operations only, from any thread ---- */

/* Takes `count` places (1 to RING_GROUP_MAX); the first is *place. false: the ring is full. */
bool ring_take(struct ring_header *ring, unsigned count, uint64_t *place);

/* The record to be filled at a place that was taken, and its publication. */
struct ring_record *ring_at(struct ring_header *ring, uint64_t place);
void ring_publish(struct ring_header *ring, uint64_t place);

/* Adds the next text to a record that had none at all when it began; what does not fit is cut. */
void ring_add_text(struct ring_record *record, unsigned *used, unsigned text, const char *bytes, size_t length);

/* ---- pusher ---- */

enum ring_got {
    ring_nothing, /* no record that is published: empty, or its writer is at it */
    ring_record,  /* *record is a copy */
    ring_broken,  /* a place that no writer leaves so */
};

/* Where to read on, be it that the reader before was killed. */
uint64_t ring_resume(struct ring_header *ring);

/* Looks at the place at `head`. */
enum ring_got ring_look(const struct ring_header *ring, uint64_t head, struct ring_record *record);

/* Gives the place at `head` back to the writers. */
void ring_free(struct ring_header *ring, uint64_t head);

/* How many places behind `head` were taken; RING_RECORDS at most, whatever stands there. */
unsigned ring_taken(const struct ring_header *ring, uint64_t head);

/* The text of a record; its length may be 0. Never reads beyond the record. */
const char *ring_text(const struct ring_record *record, unsigned text, size_t *length);

#endif
