/* Settling totals after a power failure. */
#include "milter/pusher/settle.h"

#include "conf/lib/fnv1a.h"
#include "conf/lib/log.h"

#include <stdlib.h>
#include <string.h>

void settle_owner(const struct tally *tally, char *owner)
{
    tally_id_text(tally, owner);
    owner[32] = ':';
    memcpy(owner + 33, tally->header->boot_id, sizeof tally->header->boot_id);
}

/* The answers, in the order of the questions. */
enum { answer_owner, answer_counters, answer_run, answer_lease, answer_time };

void settle_ask(struct redis *redis, const char *instance)
{
    char meta[SETTINGS_NAME_MAX + 24], counters[SETTINGS_NAME_MAX + 24];
    snprintf(meta, sizeof meta, "ms1:{%s}:meta", instance);
    snprintf(counters, sizeof counters, "ms1:{%s}:counters", instance);
    redis_command(redis, 3, (const char *const[]){"HGET", meta, "owner"}, NULL);
    redis_command(redis, 2, (const char *const[]){"HGETALL", counters}, NULL);
    redis_command(redis, 3, (const char *const[]){"HGET", meta, "run"}, NULL);
    redis_command(redis, 3, (const char *const[]){"HGET", meta, "lease"}, NULL);
    redis_command(redis, 1, (const char *const[]){"TIME"}, NULL);
}

void settle_ask_identity(struct redis *redis)
{
    static const char *const sections[SETTLE_IDENTITY_REPLIES] = {"server", "replication"};
    for (int i = 0; i < SETTLE_IDENTITY_REPLIES; i++)
        redis_command(redis, 2, (const char *const[]){"INFO", sections[i]}, NULL);
}

/* The line's value goes into `hash`; false where there is no such line. */
static bool hash_field(const struct redis_reply *reply, const char *field, uint64_t *hash)
{
    const char *text = redis_reply_kind(reply) == redis_string ? redis_reply_text(reply, NULL) : "";
    const char *value = strstr(text, field);
    if (value == NULL)
        return false;
    value += strlen(field);
    *hash = fnv1a(*hash, value, strcspn(value, "\r\n"));
    return true;
}

uint64_t settle_identity(const struct redis *redis, size_t first)
{
    uint64_t hash = FNV1A_BEGINS;
    bool known = hash_field(redis_reply(redis, first), "\nrun_id:", &hash) &&
                 hash_field(redis_reply(redis, first + 1), "\nmaster_replid:", &hash);
    return known ? hash : 0;
}

enum { PLAUSIBLE_BITS = 61 }; /* half of what tally_file.c takes for plausible: what was counted since comes on top */

/* Were totals of this field's domain counted, and does the tally not know it? Then it was begun from a copy, or with a configuration, of
 * before. */
static bool is_lost(int total, const char *name, size_t name_length, const char *value, size_t value_length)
{
    int64_t number;
    return total < 0 && domains_has_total(name, name_length) &&
           catalogue_value_parse(unit_one, value, value_length, &number) && number > 0;
}

/* Must Redis hold what the copy held of this total? Of a domain that it does not hold at all nothing was counted since: it was not
 * configured. */
static bool is_due(unsigned total, uint64_t places)
{
    int place = domains_place(total);
    return place < 0 || (places >> place & 1) != 0;
}

/* The totals in a reply to HGETALL, by the numbers of this build. false where it is not whole: empty, or a total that the copy held is
 * missing or is no number; or where it holds a domain that the copy did not. Either would else make a small step back. */
static bool read_totals(const struct tally *tally, const struct redis_reply *reply, uint64_t *known)
{
    bool there[total_node] = {false};
    struct domains domains;
    uint64_t places = 0; /* of domains that Redis holds */
    tally_domains(tally, &domains);
    bool whole = redis_reply_count(reply) > 0;
    memset(known, 0, total_node * sizeof *known);
    for (size_t i = 0; i + 1 < redis_reply_count(reply); i += 2) {
        size_t name_length, value_length;
        const char *name = redis_reply_text(redis_reply_item(reply, i), &name_length);
        const char *value = redis_reply_text(redis_reply_item(reply, i + 1), &value_length);
        int64_t number;
        int total = domains_find_total(&domains, name, name_length);
        if (total >= (int)total_node)
            continue; /* in another tally */
        int place = total < 0 ? -1 : domains_place((unsigned)total);
        places |= place < 0 ? 0 : UINT64_C(1) << place;
        whole = whole && !is_lost(total, name, name_length, value, value_length);
        if (total >= 0 && catalogue_value_parse(catalogue_total_unit((unsigned)total), value, value_length, &number) &&
            number >= 0 && (uint64_t)number >> PLAUSIBLE_BITS == 0) {
            known[total] = (uint64_t)number;
            there[total] = true;
        }
    }
    for (unsigned i = 0; i < total_node; i++)
        whole = whole && (there[i] || atomic_load(&tally->kept[i]) == 0 || !is_due(i, places));
    return whole;
}

/* Was it the run that made the copy who pushed last? A clone of this machine has the same tally id, and counts of its own. */
static bool is_of_run_before(const struct redis *redis, const struct tally *tally)
{
    const struct redis_reply *run = redis_reply(redis, answer_run);
    return redis_reply_kind(run) == redis_string &&
           strtoull(redis_reply_text(run, NULL), NULL, 16) == tally->header->run_before;
}

bool settle_is_leased(const struct redis *redis, const struct tally *tally)
{
    const struct redis_reply *lease = redis_reply(redis, answer_lease), *time = redis_reply(redis, answer_time);
    if (!is_of_run_before(redis, tally) || redis_reply_kind(lease) != redis_string || redis_reply_count(time) < 1)
        return false;
    int64_t until_ms = strtoll(redis_reply_text(lease, NULL), NULL, 10);
    return until_ms > 0 &&
           (until_ms - 1) / 1000 >= strtoll(redis_reply_text(redis_reply_item(time, 0), NULL), NULL, 10);
}

const struct redis_reply *settle_take(const struct redis *redis, const struct tally *tally, uint64_t server)
{
    const struct redis_reply *owner = redis_reply(redis, answer_owner);
    const struct redis_reply *counters = redis_reply(redis, answer_counters);
    uint64_t known[total_node];
    char id[33];
    if (redis_reply_kind(owner) != redis_string && redis_reply_kind(owner) != redis_nil)
        return owner;
    if (redis_reply_kind(counters) != redis_array)
        return counters;
    tally_id_text(tally, id);
    bool is_same = server != 0 && server == atomic_load(&tally->header->server) && is_of_run_before(redis, tally);
    if (is_same && redis_reply_kind(owner) == redis_string && strncmp(redis_reply_text(owner, NULL), id, 32) == 0 &&
        read_totals(tally, counters, known)) {
        tally_raise(tally, known);
        log_info("totals raised to what Redis holds of them");
    } else {
        tally_reset(tally);
        log_warning("totals were lost with the power, and Redis does not hold them: a new tally begins at 0");
    }
    return NULL;
}

bool settle_wait(const struct tally *tally)
{
    if (atomic_load(&tally->header->state) != tally_settling)
        return false;
    if (tally_clock_ms() - atomic_load(&tally->header->begun_ms) < TALLY_SETTLE_MS)
        return true;
    tally_reset(tally);
    log_warning("totals were lost with the power, and Redis cannot be asked: a new tally begins at 0");
    return false;
}
