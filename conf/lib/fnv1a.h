/* FNV-1a, 64 bits (draft-eastlake-fnv): a hash of what nobody chooses in order to collide. Pure. */
#ifndef CONF_LIB_FNV1A_H
#define CONF_LIB_FNV1A_H

#include <stddef.h>
#include <stdint.h>

#define FNV1A_BEGINS 0xcbf29ce484222325u

/* Goes on with `count` bytes from `hash`; FNV1A_BEGINS at first. */
static inline uint64_t fnv1a(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    return hash;
}

#endif
