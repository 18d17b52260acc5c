/* Registers of six bits, the lowest bits of a byte first, as Redis packs them. */
#include "conf/lib/hyperloglog.h"

#include <math.h>
#include <string.h>

enum {
    INDEX_BITS = 14,
    RANK_MOST = 64 - INDEX_BITS + 1,
    DENSE = 0,
    ENCODING_AT = 4,
    CACHE_AT = 8, /* of the estimate that Redis keeps there; its highest bit says that it is not of now */
};

static const uint8_t magic[4] = {'H', 'Y', 'L', 'L'};

void hyperloglog_begin(uint8_t *sketch)
{
    memset(sketch, 0, HYPERLOGLOG_BYTES);
    memcpy(sketch, magic, sizeof magic);
    sketch[ENCODING_AT] = DENSE;
    sketch[CACHE_AT + 7] = 0x80;
}

/* The two bytes that hold a register; the last register ends with the last byte. */
static unsigned get(const uint8_t *packed, unsigned index)
{
    unsigned bit = index * 6, byte = bit / 8, shift = bit % 8;
    unsigned value = packed[byte] >> shift;
    if (shift > 2)
        value |= (unsigned)packed[byte + 1] << (8 - shift);
    return value & 63;
}

static void set(uint8_t *packed, unsigned index, unsigned value)
{
    unsigned bit = index * 6, byte = bit / 8, shift = bit % 8;
    packed[byte] = (uint8_t)((packed[byte] & ~(63u << shift)) | value << shift);
    if (shift > 2)
        packed[byte + 1] = (uint8_t)((packed[byte + 1] & ~(63u >> (8 - shift))) | value >> (8 - shift));
}

bool hyperloglog_add(uint8_t *sketch, uint64_t hash)
{
    uint8_t *packed = sketch + HYPERLOGLOG_HEADER;
    unsigned index = (unsigned)(hash & (HYPERLOGLOG_REGISTERS - 1));
    uint64_t rest = hash >> INDEX_BITS | UINT64_C(1) << (64 - INDEX_BITS);
    unsigned rank = (unsigned)__builtin_ctzll(rest) + 1;
    if (rank <= get(packed, index))
        return false;
    set(packed, index, rank);
    return true;
}

bool hyperloglog_merge(uint8_t *registers, const uint8_t *sketch, size_t length)
{
    if (length != HYPERLOGLOG_BYTES || memcmp(sketch, magic, sizeof magic) != 0 || sketch[ENCODING_AT] != DENSE)
        return false;
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++) {
        uint8_t value = (uint8_t)get(sketch + HYPERLOGLOG_HEADER, i);
        if (value > registers[i] && value <= RANK_MOST)
            registers[i] = value;
    }
    return true;
}

/* x + sum of x^(2^k) * 2^(k-1), for registers that are 0. */
static double sigma(double x)
{
    double sum = x, before, y = 1;
    if (x >= 1)
        return INFINITY;
    do {
        x *= x;
        before = sum;
        sum += x * y;
        y += y;
    } while (sum > before);
    return sum;
}

/* The same for registers that are full. */
static double tau(double x)
{
    double before, y = 1, sum = 1 - x;
    if (x <= 0 || x >= 1)
        return 0;
    do {
        x = sqrt(x);
        before = sum;
        y /= 2;
        sum -= (1 - x) * (1 - x) * y;
    } while (sum < before);
    return sum / 3;
}

uint64_t hyperloglog_estimate(const uint8_t *registers)
{
    const double m = HYPERLOGLOG_REGISTERS;
    unsigned counts[RANK_MOST + 1] = {0};
    for (unsigned i = 0; i < HYPERLOGLOG_REGISTERS; i++)
        counts[registers[i] <= RANK_MOST ? registers[i] : RANK_MOST]++;
    double z = m * tau((m - counts[RANK_MOST]) / m);
    for (unsigned rank = RANK_MOST - 1; rank >= 1; rank--)
        z = (z + counts[rank]) / 2;
    z += m * sigma(counts[0] / m);
    double estimate = m * m / (2 * M_LN2 * z);
    return estimate < 1e18 ? (uint64_t)llround(estimate) : UINT64_C(1000000000000000000);
}
