/* coverage_info: put together from what was negotiated and seen; the series before is taken away when it changes. Beside it the parts that
 * are observable: MTAs show all of them until one turns out not to. */
#include "milter/filter/coverage.h"

#include <pthread.h>

static _Atomic bool rejected_offered;
static _Atomic int macros_offered = -1; /* boolean; -1: not known yet */
static _Atomic bool bounce_seen;
static _Atomic int current = -1;
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER; /* two changes at a time would leave two series */

static const enum label_part parts_of_macros[] = {part_tls, part_client_name, part_auth};
enum { PARTS_OF_MACROS = sizeof parts_of_macros / sizeof parts_of_macros[0] };

static void set_part(const struct tally *tally, enum label_part part, bool observable)
{
    tally_gauge_set(tally, gauge_observable + (unsigned)part, observable);
}

static int64_t part_value(const struct tally *tally, enum label_part part)
{
    return atomic_load_explicit(&tally->self->gauges[gauge_observable + (unsigned)part], memory_order_relaxed);
}

void coverage_configured(const struct tally *tally, const struct settings *settings)
{
    bool handed_back = settings->spam_scanner == scanner_reinjection && settings->milter_reinjection.count > 0;
    set_part(tally, part_spam, settings->spam_scanner == scanner_milter || handed_back);
    set_part(tally, part_auth_results, settings->spam_authserv_ids.count > 0);
    for (int i = 0; i < PARTS_OF_MACROS; i++) {
        if (part_value(tally, parts_of_macros[i]) == GAUGE_ABSENT)
            set_part(tally, parts_of_macros[i], true);
    }
    if (part_value(tally, part_unknown_commands) == GAUGE_ABSENT)
        set_part(tally, part_unknown_commands, true);
    if (part_value(tally, part_early_refusals) == GAUGE_ABSENT)
        set_part(tally, part_early_refusals, true);
}

void coverage_saw_offer(const struct tally *tally, bool rejected_recipients, bool macros, bool unknown_commands)
{
    atomic_store_explicit(&rejected_offered, rejected_recipients, memory_order_relaxed);
    bool changed = atomic_exchange_explicit(&macros_offered, macros, memory_order_relaxed) != (int)macros;
    for (int i = 0; i < PARTS_OF_MACROS && changed; i++)
        set_part(tally, parts_of_macros[i], macros);
    set_part(tally, part_unknown_commands, unknown_commands);
}

void coverage_saw_part(const struct tally *tally, enum label_part part)
{
    set_part(tally, part, true);
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
    bool shows_bounces = atomic_load_explicit(&bounce_seen, memory_order_relaxed) && mta != mta_sendmail;
    enum label_bounces bounces = shows_bounces ? bounces_yes : bounces_no;
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
    set_part(tally, part_early_refusals, shown(mta) == rejected_recipients_all);
    pthread_mutex_unlock(&change);
}

void coverage_saw_bounce(const struct tally *tally, enum label_mta mta)
{
    if (mta == mta_sendmail)
        return; /* it shows none of its own: a program on this host wrote that */
    if (!atomic_exchange_explicit(&bounce_seen, true, memory_order_relaxed))
        coverage_saw_mta(tally, mta);
}
