/* Callbacks under way, and how many were finished. */
#include "milter/filter/working.h"

#include <stdatomic.h>

enum { PLACES = 64, ALIGNMENT_BITS = 6 };

static struct {
    _Atomic int64_t begun_ns;  /* 0: the place is free */
    _Atomic uint64_t finished; /* here: who ends work has just written beside it */
} table[PLACES];

static unsigned place_of(uintptr_t key)
{
    return (unsigned)(key >> ALIGNMENT_BITS) % PLACES;
}

int working_begin(uintptr_t key, int64_t now_ns)
{
    int64_t none = 0;
    unsigned place = place_of(key);
    return atomic_compare_exchange_strong_explicit(&table[place].begun_ns, &none, now_ns, memory_order_relaxed,
                                                   memory_order_relaxed)
               ? (int)place
               : -1;
}

void working_end(int place)
{
    if (place < 0)
        return;
    atomic_store_explicit(&table[place].begun_ns, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&table[place].finished, 1, memory_order_relaxed);
}

void working_done(uintptr_t key)
{
    atomic_fetch_add_explicit(&table[place_of(key)].finished, 1, memory_order_relaxed);
}

uint64_t working_finished(void)
{
    uint64_t finished = 0;
    for (int i = 0; i < PLACES; i++)
        finished += atomic_load_explicit(&table[i].finished, memory_order_relaxed);
    return finished;
}

int64_t working_oldest_ns(void)
{
    int64_t oldest = 0;
    for (int i = 0; i < PLACES; i++) {
        int64_t begun = atomic_load_explicit(&table[i].begun_ns, memory_order_relaxed);
        if (begun != 0 && (oldest == 0 || begun < oldest))
            oldest = begun;
    }
    return oldest;
}
