/* What a record adds to which set. */
#include "milter/pusher/sets.h"

#include "conf/lib/log.h"
#include "conf/lib/member.h"
#include "milter/pusher/sets_memory.h"

#include <string.h>

enum { PARTS_MAX = top_COUNT * SETS_HOURS };

static struct {
    struct sets_memory *memory;
    unsigned parts;
    enum top_set set_of[PARTS_MAX];
    struct heavy *heavy[PARTS_MAX];
    bool changed[PARTS_MAX];
    int current[top_COUNT]; /* the part of the hour that runs; -1: this set is not kept */
    int64_t hour;
} self;

/* ---- rings ---- */

static unsigned ring_number(uint64_t ring)
{
    unsigned number = 0;
    while (number < SETS_RINGS && self.memory->rings[number].id != ring)
        number++;
    return number;
}

uint64_t sets_begin_ring(uint64_t ring, uint64_t head)
{
    unsigned number = ring_number(ring);
    if (number < SETS_RINGS && self.memory->rings[number].next - head <= 1)
        return self.memory->rings[number].next;
    for (unsigned i = 0; number == SETS_RINGS && i < SETS_RINGS; i++)
        number = self.memory->rings[i].id == 0 ? i : number;
    if (number == SETS_RINGS) { /* rings that nobody ended: of filters of another run */
        memset(self.memory->rings, 0, sizeof self.memory->rings);
        number = 0;
    }
    self.memory->rings[number].next = head;
    atomic_signal_fence(memory_order_seq_cst);
    self.memory->rings[number].id = ring;
    return head;
}

void sets_end_ring(uint64_t ring)
{
    unsigned number = ring_number(ring);
    if (number < SETS_RINGS)
        self.memory->rings[number].id = 0;
}

/* ---- hours ---- */

/* How much a part is worth to be kept when this hour begins: its own part most, one of a future that a clock has taken back nothing. */
static int64_t worth(unsigned part)
{
    int64_t hour = sets_memory_part(self.memory, part)->hour;
    return hour == self.hour ? INT64_MAX : hour > self.hour ? 0 : hour;
}

/* The part of a set for the hour that runs: the one that has it, or the one that is worth least, emptied. */
static void choose_part(enum top_set set)
{
    int chosen = -1;
    for (unsigned i = 0; i < self.parts; i++) {
        if (self.set_of[i] != set)
            continue;
        if (chosen < 0 || worth(i) == INT64_MAX ||
            (worth((unsigned)chosen) != INT64_MAX && worth(i) < worth((unsigned)chosen)))
            chosen = (int)i;
    }
    self.current[set] = chosen;
    if (chosen < 0 || worth((unsigned)chosen) == INT64_MAX)
        return;
    if (self.changed[chosen])
        log_warning("top lists of %s: an hour that never came into Redis is forgotten", top_set_names[set]);
    sets_memory_begin(self.memory, (unsigned)chosen, self.hour);
    heavy_index(self.heavy[chosen]);
    self.changed[chosen] = false;
}

void sets_tick(int64_t now)
{
    if (top_hour(now) == self.hour)
        return;
    self.hour = top_hour(now);
    for (int set = 0; set < top_COUNT; set++)
        choose_part((enum top_set)set);
}

bool sets_open(int fd, const struct settings *settings, int64_t now, struct failure *failure)
{
    self.memory = sets_memory_map(fd, settings, failure);
    if (self.memory == NULL)
        return false;
    for (unsigned i = 0; i < PARTS_MAX; i++) { /* where it is opened again */
        heavy_free(self.heavy[i]);
        self.heavy[i] = NULL;
    }
    self.parts = 0;
    self.hour = 0;
    for (int set = 0; set < top_COUNT; set++) {
        for (int i = 0; top_has(sets_kept(settings), (enum top_set)set) && i < SETS_HOURS; i++)
            self.set_of[self.parts++] = (enum top_set)set;
    }
    sets_memory_recover(self.memory);
    for (unsigned i = 0; i < self.parts; i++) {
        struct sets_part *part = sets_memory_part(self.memory, i);
        if (part->hour == 0)
            sets_memory_begin(self.memory, i, 0);
        self.heavy[i] = heavy_new(&part->sum, part->entries, (unsigned)self.memory->size);
        self.changed[i] = part->hour != 0 && part->hour <= top_hour(now);
        if (self.heavy[i] == NULL)
            return fail(failure, EX_OSERR, "no memory for the open sets");
    }
    if (!member_prepare(settings->privacy != 0))
        log_warning("no list of public suffixes: domains are not reduced to the registered ones");
    sets_tick(now);
    return true;
}

/* ---- counting ---- */

/* What is needed to take it back is written down before anything is changed. */
static void add(enum top_set set, const struct member *member, const uint64_t counts[top_by_COUNT])
{
    struct sets_memory *memory = self.memory;
    if (self.current[set] < 0 || member->length == 0)
        return;
    unsigned number = (unsigned)self.current[set];
    struct sets_part *part = sets_memory_part(memory, number);
    if (hyperloglog_add(part->sketch, top_hash(member->text, member->length)))
        self.changed[number] = true;
    if ((counts[0] | counts[1] | counts[2] | counts[3]) == 0)
        return;
    unsigned changes = atomic_load_explicit(&memory->changes, memory_order_relaxed);
    unsigned entry = heavy_place(self.heavy[number], member->text, member->length);
    struct sets_change *change = &memory->change[changes];
    change->part = number;
    change->entry = entry;
    change->sum = part->sum;
    change->before = part->entries[entry];
    atomic_store_explicit(&memory->changes, changes + 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    heavy_add(self.heavy[number], member->text, member->length, counts);
    self.changed[number] = true;
}

static void count_session(const struct ring_record *record)
{
    static const uint64_t nothing[top_by_COUNT] = {0};
    struct member member;
    size_t length;
    member_client(record->family, record->address, &member);
    add(top_client, &member, nothing);
    const char *helo = ring_text(record, ring_session_helo, &length);
    member_helo(helo, length, &member);
    add(top_helo, &member, nothing);
}

static void count_message(const struct ring_record *record)
{
    static const struct {
        enum top_set set;
        unsigned text;
        void (*make)(const char *text, size_t length, struct member *member);
    } named[] = {{top_sender_domain, ring_message_sender, member_domain},
                 {top_helo, ring_message_helo, member_helo},
                 {top_user, ring_message_user, member_name}};
    const uint64_t counts[top_by_COUNT] = {1, record->recipients, record->refused, (record->flags & ring_spam) != 0};
    struct member member;
    member_client(record->family, record->address, &member);
    add(top_client, &member, counts);
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        size_t length;
        const char *text = ring_text(record, named[i].text, &length);
        named[i].make(text, length, &member);
        add(named[i].set, &member, counts);
    }
}

/* Is this the first recipient of its message in this domain? One that came without its message is not. */
static bool is_first(uint64_t ring, const struct ring_record *record, const struct member *domain)
{
    struct sets_group *group = &self.memory->group;
    uint64_t hash = top_hash(domain->text, domain->length);
    if (record->message == 0)
        return false;
    if (group->ring != ring || group->message != record->message) {
        self.memory->group_count = 0; /* the one before is of no more use, also if this is taken back */
        group->count = 0;
        group->ring = ring;
        group->message = record->message;
    }
    for (unsigned i = 0; i < group->count; i++) {
        if (group->domains[i] == hash)
            return false;
    }
    if (group->count < RING_GROUP_MAX)
        group->domains[group->count++] = hash;
    return true;
}

static void count_recipient(uint64_t ring, const struct ring_record *record)
{
    bool refused = (record->flags & ring_refused) != 0;
    struct member member;
    size_t length;
    const char *address = ring_text(record, ring_recipient_address, &length);
    member_domain(address, length, &member);
    if (member.length > 0) {
        bool first = is_first(ring, record, &member);
        add(top_recipient_domain, &member,
            (const uint64_t[top_by_COUNT]){first, 1, refused, first && (record->flags & ring_spam) != 0});
    }
    if ((record->flags & ring_unknown_user) == 0 || !refused || length == 0 || address[0] == '@')
        return;
    member_name(address, length, &member);
    add(top_unknown_recipient, &member, (const uint64_t[top_by_COUNT]){0, 1, 1, 0});
}

/* The place is written last: from then on the record is counted. */
static void commit(unsigned number, uint64_t place)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (number < SETS_RINGS)
        *(volatile uint64_t *)&self.memory->rings[number].next = place + 1;
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&self.memory->active, 0, memory_order_release);
}

void sets_skip(uint64_t ring, uint64_t place)
{
    commit(ring_number(ring), place);
}

void sets_count(uint64_t ring, uint64_t place, const struct ring_record *record)
{
    struct sets_memory *memory = self.memory;
    unsigned number = ring_number(ring);
    memory->ring = number;
    memory->place = place;
    memory->group_count = memory->group.count;
    atomic_store_explicit(&memory->changes, 0, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&memory->active, 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    if (record->kind == ring_session)
        count_session(record);
    else if (record->kind == ring_message)
        count_message(record);
    else if (record->kind == ring_recipient)
        count_recipient(ring, record);
    commit(number, place);
}

/* ---- for Redis ---- */

bool sets_table(unsigned i, struct sets_table *table)
{
    if (i >= self.parts)
        return false;
    const struct sets_part *part = sets_memory_part(self.memory, i);
    *table = (struct sets_table){.set = self.set_of[i],
                                 .hour = part->hour,
                                 .changed = self.changed[i],
                                 .heavy = self.heavy[i],
                                 .sum = &part->sum,
                                 .entries = part->entries,
                                 .sketch = part->sketch};
    return true;
}

void sets_take_changed(unsigned i)
{
    self.changed[i] = false;
}

void sets_give_changed(unsigned i)
{
    self.changed[i] = true;
}
