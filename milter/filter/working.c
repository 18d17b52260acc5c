/* Callbacks under way. */
#include "milter/filter/working.h"

#include <stdatomic.h>

enum { PLACES = 64, ALIGNMENT_BITS = 6 };

static _Atomic int64_t begun_ns[PLACES];

int working_begin(uintptr_t key, int64_t now_ns)
{
    int64_t none = 0;
    int place = (int)((key >> ALIGNMENT_BITS) % PLACES);
    return atomic_compare_exchange_strong_explicit(&begun_ns[place], &none, now_ns, memory_order_relaxed,
                                                   memory_order_relaxed)
               ? place
               : -1;
}

void working_end(int place)
{
    if (place >= 0)
        atomic_store_explicit(&begun_ns[place], 0, memory_order_relaxed);
}

int64_t working_oldest_ns(void)
{
    int64_t oldest = 0;
    for (int i = 0; i < PLACES; i++) {
        int64_t begun = atomic_load_explicit(&begun_ns[i], memory_order_relaxed);
        if (begun != 0 && (oldest == 0 || begun < oldest))
            oldest = begun;
    }
    return oldest;
}
