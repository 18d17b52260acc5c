/* The states of enum tally_ahead, and when they change. */
#include "milter/pusher/ahead.h"

#include "milter/pusher/copier.h"

#include <string.h>

static struct {
    const struct tally *tally;
    uint64_t totals[total_node]; /* Redis holds them */
    bool waits;                  /* until the copy names the server that does */
    bool covers;                 /* they hold all that was shown while the tally was ahead */
    bool pushing_covers;
    int64_t asked_ms; /* when the mark was asked for; 0: it was not */
} self;

/* In the tally, so that pushers which do not live long do not put it off. */
static int64_t kept_ms(void)
{
    return atomic_load(&self.tally->header->kept_ms);
}

static uint32_t state(void)
{
    return atomic_load(&self.tally->header->ahead);
}

void ahead_start(const struct tally *tally)
{
    memset(&self, 0, sizeof self);
    self.tally = tally;
    copier_mark(state() != tally_kept_only);
}

void ahead_pushing(void)
{
    self.pushing_covers = state() != tally_is_ahead;
}

void ahead_pushed(const uint64_t *totals, uint64_t server)
{
    memcpy(self.totals, totals, sizeof self.totals);
    self.covers = self.pushing_covers;
    self.waits = true;
    atomic_store(&self.tally->header->server, server);
}

static void keep(int64_t now_ms, bool is_seldom)
{
    tally_keep(self.tally, self.totals);
    self.waits = false;
    atomic_store(&self.tally->header->kept_ms, now_ms);
    if (state() == tally_is_ahead && !is_seldom)
        tally_end_ahead(self.tally);
    else if (state() != tally_is_ahead && self.covers && (state() == tally_ahead_ends || self.asked_ms != 0)) {
        atomic_store(&self.tally->header->ahead, tally_kept_only);
        self.asked_ms = 0;
        copier_mark(false);
    }
}

/* Only when the copy bears the mark, or cannot get it. */
static void go_ahead(int64_t now_ms)
{
    if (self.asked_ms == 0) {
        self.asked_ms = now_ms;
        copier_mark(true);
    } else if (copier_marked() != copier_mark_pending || now_ms - self.asked_ms >= AHEAD_MARK_MS) {
        tally_go_ahead(self.tally);
        self.asked_ms = 0;
    }
}

void ahead_tick(int64_t now_ms, int64_t push_interval_ms)
{
    bool is_seldom = push_interval_ms > AHEAD_INTERVAL_MS;
    if (atomic_load(&self.tally->header->state) == tally_settling)
        atomic_store(&self.tally->header->kept_ms, now_ms); /* nothing is shown */
    if (self.waits && copier_names(atomic_load(&self.tally->header->server)))
        keep(now_ms, is_seldom);
    if (now_ms - kept_ms() < AHEAD_AFTER_MS && !is_seldom)
        return;
    if (state() == tally_kept_only)
        go_ahead(now_ms);
    else if (state() == tally_ahead_ends)
        tally_go_ahead(self.tally); /* the mark is still there */
}
