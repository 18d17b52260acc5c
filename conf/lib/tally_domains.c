/* The table of domains in a tally: reading it while the supervisor adds to it, and who gets which place.
 *
 * What stands in the file is not believed: it may be cut, overwritten, or a copy from a disk that lies. */
#include "conf/lib/tally_file.h"

#include "conf/lib/fnv1a.h"

#include <stddef.h>
#include <string.h>

static uint32_t check_of(const char *name, size_t length)
{
    return (uint32_t)fnv1a(FNV1A_BEGINS, name, length);
}

/* ---- reading ---- */

static bool has_table(const struct tally_header *form)
{
    return form->domains_at >= sizeof *form && form->domains_at % _Alignof(struct tally_domains) == 0 &&
           form->domains_at <= form->totals_at && form->totals_at - form->domains_at >= sizeof(struct tally_domains);
}

struct tally_domains *tally_domains_of(const struct tally_header *form, void *memory)
{
    return has_table(form) ? (struct tally_domains *)(void *)((char *)memory + form->domains_at) : NULL;
}

/* How many places have a name. */
static unsigned count_of(const struct tally_domains *table)
{
    unsigned count = atomic_load_explicit(&table->count, memory_order_acquire);
    return count < DOMAINS_MAX ? count : DOMAINS_MAX;
}

void tally_domains_read(const struct tally_header *form, const void *memory, struct domains *domains)
{
    const struct tally_domains *table = tally_domains_of(form, (void *)(uintptr_t)memory);
    memset(domains, 0, sizeof *domains);
    if (table == NULL)
        return;
    uint64_t shown = atomic_load_explicit(&table->shown, memory_order_acquire);
    unsigned count = count_of(table);
    for (unsigned place = 0; place < count; place++) {
        const struct tally_domain *there = &table->list[place];
        size_t length = strnlen(there->name, DOMAIN_BYTES);
        if (!domains_is_name(there->name, length) || there->check != check_of(there->name, length) ||
            domains_find(domains, there->name, length) >= 0)
            continue;
        memcpy(domains->names[place], there->name, length);
        domains->shown |= shown & UINT64_C(1) << place;
    }
}

/* A name of the node's that is no domain is there all the same; which of the two a table is, who opens the file knows. */
void tally_places_read(const struct tally_header *form, const void *memory, struct places *places)
{
    const struct tally_domains *table = tally_domains_of(form, (void *)(uintptr_t)memory);
    memset(places, 0, sizeof *places);
    for (unsigned place = 0; table != NULL && place < PLACES_COUNT; place++) {
        const struct tally_domain *there = &table->list[place];
        size_t length = strnlen(there->name, PLACE_BYTES);
        if (places_is_name(there->name, length) && there->check == check_of(there->name, length))
            memcpy(places->names[place], there->name, length);
    }
}

static void write_place(struct tally_domain *there, const char *name)
{
    there->check = 0;
    memset(there->name, 0, sizeof there->name);
    memcpy(there->name, name, strnlen(name, PLACE_MAX));
    there->check = check_of(there->name, strlen(there->name));
}

void tally_places_write(struct tally_domains *table, const struct places *places)
{
    for (unsigned place = 0; place < PLACES_COUNT; place++)
        write_place(&table->list[place], places->names[place]);
}

void tally_set_place(const struct tally *tally, unsigned place, const char *name)
{
    write_place(&tally_domains_of(&tally->form, tally->header)->list[place], name);
}

void tally_domains(const struct tally *tally, struct domains *domains)
{
    tally_domains_read(&tally->form, tally->header, domains);
}

/* The place that a name of a total stands for, where it has one in place of a domain, and what follows; -1: none. */
static int place_in(const char *name, const char **before, const char **behind)
{
    static const char mark[] = "{domain=\"#";
    const char *at = strstr(name, mark);
    if (at == NULL)
        return -1;
    at += sizeof mark - 1;
    if (at[0] < '0' || at[0] > '7' || at[1] < '0' || at[1] > '7' || at[2] != '"')
        return -1;
    *before = at - 1;
    *behind = at + 2;
    return (at[0] - '0') * 8 + at[1] - '0';
}

const char *tally_domains_name(const struct domains *domains, const char *name, char *text)
{
    const char *before, *behind;
    int place = place_in(name, &before, &behind);
    if (place < 0)
        return name;
    const char *domain = domains->names[place];
    int length = snprintf(text, SERIES_TEXT_MAX, "%.*s%s%s", (int)(before - name), name, domain, behind);
    return domain[0] == '\0' || length >= SERIES_TEXT_MAX ? NULL : text;
}

/* ---- places ---- */

static void append(struct tally_domains *table, const char *name)
{
    unsigned place = count_of(table);
    struct tally_domain *domain = &table->list[place];
    strcpy(domain->name, name);
    domain->check = check_of(name, strlen(name));
    atomic_store_explicit(&table->count, place + 1, memory_order_release);
}

void tally_domains_write(struct tally_domains *table, const struct domains *domains)
{
    for (unsigned place = 0; place < DOMAINS_MAX && domains->names[place][0] != '\0'; place++)
        append(table, domains->names[place]);
    atomic_store_explicit(&table->shown, domains->shown, memory_order_release);
}

/* Those that have counts. */
static void plan_inherited(const struct tally_header *from, struct domains *domains)
{
    struct domains before;
    const char *name = NULL;
    char text[SERIES_TEXT_MAX];
    tally_domains_read(from, from, &before);
    for (unsigned i = 0; i < from->total_count; i++) {
        name = tally_file_next_name(from, name);
        const char *whole = tally_domains_name(&before, name, text);
        if (whole != NULL && atomic_load_explicit(&tally_file_totals(from)[i], memory_order_relaxed) > 0)
            domains_take_total(domains, whole, strlen(whole));
    }
}

void tally_domains_plan(struct tally_inheritance *inheritance, const struct own_domains *own)
{
    struct domains *domains = &inheritance->domains;
    memset(domains, 0, sizeof *domains);
    for (uint32_t i = 0; own != NULL && i < own->count; i++) {
        domains_add(domains, own->list[i].name, strlen(own->list[i].name));
        domains->shown |= UINT64_C(1) << i;
    }
    if (inheritance->from != NULL)
        plan_inherited(inheritance->from, domains);
}

unsigned tally_place_domains(const struct tally *tally, struct own_domains *own)
{
    struct tally_domains *table = tally_domains_of(&tally->form, tally->header);
    struct domains domains;
    unsigned without = 0;
    tally_domains(tally, &domains);
    for (uint32_t i = 0; i < own->count; i++) {
        struct own_domain *domain = &own->list[i];
        size_t length = strlen(domain->name);
        domain->place = domains_find(&domains, domain->name, length);
        if (domain->place < 0 && table != NULL && count_of(table) < DOMAINS_MAX) {
            domain->place = (int32_t)count_of(table);
            append(table, domain->name);
        }
        without += domain->place < 0;
    }
    return without;
}

void tally_show_domains(const struct tally *tally, const struct own_domains *own)
{
    struct tally_domains *table = tally_domains_of(&tally->form, tally->header);
    uint64_t shown = 0;
    for (uint32_t i = 0; i < own->count; i++) {
        if (own->list[i].place >= 0)
            shown |= UINT64_C(1) << own->list[i].place;
    }
    if (table != NULL)
        atomic_store_explicit(&table->shown, shown, memory_order_release);
}
