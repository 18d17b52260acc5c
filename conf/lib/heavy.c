/* Space-Saving: a hash table with chains finds a member, a heap the lightest one. */
#include "conf/lib/heavy.h"

#include "conf/lib/siphash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { NONE = -1 };

struct heavy {
    struct heavy_sum *sum;
    struct heavy_entry *entries;
    unsigned size, buckets; /* buckets: a power of 2 */
    uint64_t key[2];
    int *bucket;         /* the first entry of each chain, or NONE */
    int *next;           /* of each entry: the one behind it */
    unsigned *heap, *at; /* heap: entries, the lightest first; at: where each entry is */
};

struct heavy *heavy_new(struct heavy_sum *sum, struct heavy_entry *entries, unsigned size)
{
    struct heavy *heavy = calloc(1, sizeof *heavy);
    if (heavy == NULL)
        return NULL;
    *heavy = (struct heavy){.sum = sum, .entries = entries, .size = size, .buckets = 1};
    while (heavy->buckets < size)
        heavy->buckets *= 2;
    heavy->bucket = calloc(heavy->buckets, sizeof *heavy->bucket);
    heavy->next = calloc(size, sizeof *heavy->next);
    heavy->heap = calloc(size, sizeof *heavy->heap);
    heavy->at = calloc(size, sizeof *heavy->at);
    if (heavy->bucket == NULL || heavy->next == NULL || heavy->heap == NULL || heavy->at == NULL ||
        getrandom(heavy->key, sizeof heavy->key, 0) != sizeof heavy->key) {
        heavy_free(heavy);
        return NULL;
    }
    heavy_index(heavy);
    return heavy;
}

void heavy_free(struct heavy *heavy)
{
    if (heavy == NULL)
        return;
    free(heavy->bucket);
    free(heavy->next);
    free(heavy->heap);
    free(heavy->at);
    free(heavy);
}

/* ---- the chains ---- */

static int *chain_of(const struct heavy *heavy, const char *member, size_t length)
{
    return &heavy->bucket[siphash(heavy->key, member, length) & (heavy->buckets - 1)];
}

static int find(const struct heavy *heavy, const char *member, size_t length)
{
    int entry = *chain_of(heavy, member, length);
    while (entry != NONE &&
           (heavy->entries[entry].length != length || memcmp(heavy->entries[entry].member, member, length) != 0))
        entry = heavy->next[entry];
    return entry;
}

static void enter(struct heavy *heavy, unsigned entry)
{
    int *chain = chain_of(heavy, heavy->entries[entry].member, heavy->entries[entry].length);
    heavy->next[entry] = *chain;
    *chain = (int)entry;
}

static void leave(struct heavy *heavy, unsigned entry)
{
    int *link = chain_of(heavy, heavy->entries[entry].member, heavy->entries[entry].length);
    while (*link != (int)entry)
        link = &heavy->next[*link];
    *link = heavy->next[entry];
}

/* ---- the heap ---- */

static uint64_t weight_at(const struct heavy *heavy, unsigned place)
{
    return heavy->entries[heavy->heap[place]].weight;
}

static void swap(struct heavy *heavy, unsigned a, unsigned b)
{
    unsigned entry = heavy->heap[a];
    heavy->heap[a] = heavy->heap[b];
    heavy->heap[b] = entry;
    heavy->at[heavy->heap[a]] = a;
    heavy->at[heavy->heap[b]] = b;
}

static void sink(struct heavy *heavy, unsigned place)
{
    for (;;) {
        unsigned least = place;
        for (unsigned child = 2 * place + 1; child <= 2 * place + 2 && child < heavy->sum->used; child++) {
            if (weight_at(heavy, child) < weight_at(heavy, least))
                least = child;
        }
        if (least == place)
            return;
        swap(heavy, place, least);
        place = least;
    }
}

static void rise(struct heavy *heavy, unsigned place)
{
    for (; place > 0 && weight_at(heavy, place) < weight_at(heavy, (place - 1) / 2); place = (place - 1) / 2)
        swap(heavy, place, (place - 1) / 2);
}

/* ---- entries ---- */

/* Sound and not there yet? */
static bool belongs(const struct heavy *heavy, const struct heavy_entry *entry)
{
    uint64_t weight = entry->error;
    for (int by = 0; by < top_by_COUNT; by++)
        weight += entry->counts[by];
    return weight == entry->weight && weight > 0 && top_is_member(entry->member, entry->length) &&
           find(heavy, entry->member, entry->length) == NONE;
}

/* What is sound is not written again: this process may be killed here, too. */
void heavy_index(struct heavy *heavy)
{
    unsigned used = heavy->sum->used < heavy->size ? heavy->sum->used : heavy->size, entry = 0;
    for (unsigned i = 0; i < heavy->buckets; i++)
        heavy->bucket[i] = NONE;
    for (unsigned i = 0; i < used; i++) {
        if (!belongs(heavy, &heavy->entries[i]))
            continue;
        if (entry != i)
            heavy->entries[entry] = heavy->entries[i];
        heavy->heap[entry] = heavy->at[entry] = entry;
        enter(heavy, entry);
        rise(heavy, entry++);
    }
    if (heavy->sum->used != entry)
        heavy->sum->used = entry;
}

unsigned heavy_place(const struct heavy *heavy, const char *member, size_t length)
{
    int entry = find(heavy, member, length);
    if (entry != NONE)
        return (unsigned)entry;
    return heavy->sum->used < heavy->size ? heavy->sum->used : heavy->heap[0];
}

/* The entry of a member that has none: a free one, or that of the lightest. */
static unsigned admit(struct heavy *heavy, const char *member, size_t length)
{
    struct heavy_sum *sum = heavy->sum;
    uint64_t error = heavy_least(heavy);
    unsigned entry = sum->used;
    if (sum->used < heavy->size) {
        heavy->heap[entry] = heavy->at[entry] = entry;
    } else {
        entry = heavy->heap[0];
        leave(heavy, entry);
    }
    heavy->entries[entry] = (struct heavy_entry){.weight = error, .error = error, .length = (uint8_t)length};
    memcpy(heavy->entries[entry].member, member, length);
    if (entry == sum->used) {
        sum->used++;
        rise(heavy, entry);
    }
    enter(heavy, entry);
    return entry;
}

void heavy_add(struct heavy *heavy, const char *member, size_t length, const uint64_t counts[top_by_COUNT])
{
    int found = find(heavy, member, length);
    unsigned entry = found != NONE ? (unsigned)found : admit(heavy, member, length);
    for (int by = 0; by < top_by_COUNT; by++) {
        heavy->entries[entry].counts[by] += counts[by];
        heavy->entries[entry].weight += counts[by];
        heavy->sum->counts[by] += counts[by];
    }
    sink(heavy, heavy->at[entry]);
}

uint64_t heavy_least(const struct heavy *heavy)
{
    return heavy->sum->used < heavy->size ? 0 : weight_at(heavy, 0);
}
