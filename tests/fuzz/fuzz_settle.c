/* Fuzz target: what Redis says of the totals after a power failure. Only what it knows of this very tally is taken; none becomes lower than
 * what was counted since, and none implausible; and either it is settled then, or there is an answer to complain of. */
#include "tests/kit/canned_redis.h"

#include "milter/pusher/settle.c"
#include "tests/unit/tally_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COPIED = 10, COUNTED = 3, SERVER = 4711, RUN = 0x4711 };

/* As in the corpus. */
static void begin(struct tally *tally)
{
    atomic_store(&tally->header->server, SERVER);
    tally->header->run_before = RUN;
    atomic_store(&tally->header->id[0], 0x0123456789abcdefu);
    atomic_store(&tally->header->id[1], 0xfedcba9876543210u);
    for (unsigned i = 0; i < total_COUNT; i++) {
        bool counted = i == SERIES_0(push_total);
        atomic_store(&tally->kept[i], counted ? COPIED : 0);
        atomic_store(&tally->totals[i], counted ? COPIED + COUNTED : 0);
    }
    atomic_store(&tally->header->state, tally_settling);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tally tally;
    char before[33], after[33];
    if (tally.header == NULL) {
        form_fresh(&tally);
        log_open("fuzz", log_level_error, log_to_stderr);
    }
    begin(&tally);
    tally_id_text(&tally, before);
    canned_load((const char *)data, size);
    if (canned.replied < 3) /* three were asked for, and an exchange that is done has them */
        return 0;
    canned_exchange();
    settle_ask(NULL, "mx1");
    settle_is_leased(NULL, &tally);
    const struct redis_reply *wrong = settle_take(NULL, &tally, SERVER);
    bool settling = atomic_load(&tally.header->state) == tally_settling;
    tally_id_text(&tally, after);
    if (settling != (wrong != NULL) || (settling && strcmp(before, after) != 0))
        abort();
    uint64_t least = settling || strcmp(before, after) == 0 ? COPIED + COUNTED : COUNTED;
    if (atomic_load(&tally.totals[SERIES_0(push_total)]) < least || !tally_file_plausible(tally.totals, total_COUNT))
        abort();
    return 0;
}
