/* coverage_info: put together from what was negotiated and seen; the series before is taken away when it changes. */
#include "milter/filter/coverage.h"

#include <pthread.h>

static _Atomic bool rejected_offered;
static _Atomic bool bounce_seen;
static _Atomic int current = -1;
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER; /* two changes at a time would leave two series */

void coverage_saw_offer(bool rejected_recipients)
{
    atomic_store_explicit(&rejected_offered, rejected_recipients, memory_order_relaxed);
}

/* Postfix shows all refused recipients; sendmail only those refused after check_rcpt, the others late and as a number. */
static enum label_rejected_recipients shown(enum label_mta mta)
{
    if (!atomic_load_explicit(&rejected_offered, memory_order_relaxed))
        return rejected_recipients_none;
    return mta == mta_sendmail ? rejected_recipients_late : rejected_recipients_all;
}

void coverage_saw_mta(const struct tally *tally, enum label_mta mta)
{
    enum label_bounces bounces = atomic_load_explicit(&bounce_seen, memory_order_relaxed) ? bounces_yes : bounces_no;
    int series =
        (((int)mta * rejected_recipients_COUNT + (int)shown(mta)) * place_COUNT + (int)place_unknown) * bounces_COUNT +
        (int)bounces;
    if (atomic_load_explicit(&current, memory_order_relaxed) == series)
        return;
    pthread_mutex_lock(&change);
    int before = atomic_exchange_explicit(&current, series, memory_order_relaxed);
    if (before >= 0 && before != series)
        tally_gauge_set(tally, gauge_coverage_info + (unsigned)before, GAUGE_ABSENT);
    tally_gauge_set(tally, gauge_coverage_info + (unsigned)series, 1);
    pthread_mutex_unlock(&change);
}

void coverage_saw_bounce(const struct tally *tally, enum label_mta mta)
{
    if (!atomic_exchange_explicit(&bounce_seen, true, memory_order_relaxed))
        coverage_saw_mta(tally, mta);
}
