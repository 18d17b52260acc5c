/* How many distinct members there were, in a fixed amount of memory: HyperLogLog with 2^14 registers, standard error 0.81 %.
 *
 * A sketch has the form that Redis gives its own, dense (hyperloglog.c of Redis, since 2.8.9): it can be set as a string, and PFCOUNT and
 * PFMERGE understand it. Sketches of several hours and instances merge into one that is right for all of them, as long as all members
 * were hashed alike. Adding is repeatable, and a process that dies in the middle of it leaves a sketch that is sound.
 *
 * Flajolet et al., "HyperLogLog"; the estimate is Ertl's, "New cardinality estimation algorithms for HyperLogLog sketches" (2017). */
#ifndef CONF_LIB_HYPERLOGLOG_H
#define CONF_LIB_HYPERLOGLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HYPERLOGLOG_REGISTERS = 1 << 14,
    HYPERLOGLOG_HEADER = 16,
    HYPERLOGLOG_BYTES = HYPERLOGLOG_HEADER + HYPERLOGLOG_REGISTERS * 6 / 8, /* without padding */
};

/* An empty sketch. */
void hyperloglog_begin(uint8_t *sketch);

/* Adds a member by its hash, which must be the same everywhere. true when the sketch changed. */
bool hyperloglog_add(uint8_t *sketch, uint64_t hash);

/* Takes a sketch into `registers`, of which there are HYPERLOGLOG_REGISTERS, 0 at first. false, and nothing taken, where it is none. */
bool hyperloglog_merge(uint8_t *registers, const uint8_t *sketch, size_t length);

/* How many there were, by registers. */
uint64_t hyperloglog_estimate(const uint8_t *registers);

#endif
