/* SipHash-1-3 of Aumasson and Bernstein: a hash of texts that others choose, so that nobody who does not know the key can choose texts
 * that collide. */
#ifndef CONF_LIB_SIPHASH_H
#define CONF_LIB_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *bytes, size_t length);

#endif
