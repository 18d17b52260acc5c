/* Callbacks under way, and how many were finished. */
#include "milter/filter/working.h"

#include <stdatomic.h>

enum { PLACES = 64, ALIGNMENT_BITS = 6 };

static struct {
    _Atomic int64_t begun_ns;  /* 0: the place is free */
    _Atomic uint64_t finished; /* here; written by who has the place, and so without a locked instruction */
} table[PLACES];
static _Atomic uint64_t unwatched;

int working_begin(uintptr_t key, int64_t now_ns)
{
    int64_t none = 0;
    int place = (int)((key >> ALIGNMENT_BITS) % PLACES);
    return atomic_compare_exchange_strong_explicit(&table[place].begun_ns, &none, now_ns, memory_order_acquire,
                                                   memory_order_relaxed)
               ? place
               : -1;
}

void working_end(int place)
{
    if (place < 0)
        return;
    uint64_t finished = atomic_load_explicit(&table[place].finished, memory_order_relaxed);
    atomic_store_explicit(&table[place].finished, finished + 1, memory_order_relaxed);
    atomic_store_explicit(&table[place].begun_ns, 0, memory_order_release);
}

void working_done(void)
{
    atomic_fetch_add_explicit(&unwatched, 1, memory_order_relaxed);
}

uint64_t working_finished(void)
{
    uint64_t finished = atomic_load_explicit(&unwatched, memory_order_relaxed);
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
