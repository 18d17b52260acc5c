/* Names of domains in series. A text is looked up by the text of the first place with the same other labels. */
#include "conf/lib/domains.h"

#include <string.h>

#define BEFORE_NAME "{domain=\""
#define FIRST_PLACE "#00"

_Static_assert(DOMAINS_MAX == 64, "domains.shown has a bit for each");

/* ---- names ---- */

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A label of RFC 1035, and underscores, which are in use. */
static bool is_label(const char *text, size_t length)
{
    enum { LABEL_MAX = 63 };
    for (size_t i = 0; i < length; i++) {
        bool inside = i > 0 && i + 1 < length;
        if (!is_letter_or_digit(text[i]) && text[i] != '_' && !(text[i] == '-' && inside))
            return false;
    }
    return length > 0 && length <= LABEL_MAX;
}

static bool is_number(const char *text, size_t length)
{
    size_t digits = 0;
    while (digits < length && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    return digits == length;
}

bool domains_is_name(const char *text, size_t length)
{
    const char *label = text, *end = text + length;
    if (length > DOMAIN_MAX)
        return false;
    for (const char *point; (point = memchr(label, '.', (size_t)(end - label))) != NULL; label = point + 1) {
        if (!is_label(label, (size_t)(point - label)))
            return false;
    }
    return is_label(label, (size_t)(end - label)) && !is_number(label, (size_t)(end - label));
}

/* ---- places ---- */

int domains_find(const struct domains *domains, const char *name, size_t length)
{
    for (unsigned place = 0; place < DOMAINS_MAX && length > 0 && length <= DOMAIN_MAX; place++) {
        const char *there = domains->names[place];
        if (there[0] == name[0] && strnlen(there, DOMAIN_BYTES) == length && memcmp(there, name, length) == 0)
            return (int)place;
    }
    return -1;
}

int domains_add(struct domains *domains, const char *name, size_t length)
{
    int place = domains_find(domains, name, length);
    if (place >= 0 || !domains_is_name(name, length))
        return place;
    for (unsigned i = 0; i < DOMAINS_MAX; i++) {
        if (domains->names[i][0] == '\0') {
            memcpy(domains->names[i], name, length);
            domains->names[i][length] = '\0';
            return (int)i;
        }
    }
    return -1;
}

bool domains_show(const struct domains *domains, const struct metric *metric, unsigned slot)
{
    return !catalogue_has_domain(metric) || domains_shows(domains, slot / domains_width(metric));
}

/* ---- texts ---- */

size_t domains_series(const struct domains *domains, const struct metric *metric, unsigned slot, char *text)
{
    if (!catalogue_has_domain(metric))
        return catalogue_series(metric, slot, text);
    const char *name = domains->names[slot / domains_width(metric)];
    return name[0] == '\0' ? 0 : catalogue_named_series(metric, slot, name, text);
}

/* A text taken apart: the name in it, and the total with the same other labels in the first place. */
struct parts {
    const char *name;
    size_t length;
    unsigned first;
    unsigned width;
};

/* false for a text without a name, or of which there is no series with such labels. */
static bool take_apart(const char *text, size_t length, struct parts *parts)
{
    const size_t before = sizeof BEFORE_NAME - 1, place = sizeof FIRST_PLACE - 1;
    char first[SERIES_TEXT_MAX];
    const char *labels = memmem(text, length, BEFORE_NAME, before);
    if (labels == NULL)
        return false;
    parts->name = labels + before;
    const char *end = text + length;
    const char *quote = memchr(parts->name, '"', (size_t)(end - parts->name));
    if (quote == NULL)
        return false;
    size_t head = (size_t)(parts->name - text), tail = (size_t)(end - quote);
    parts->length = (size_t)(quote - parts->name);
    if (head + place + tail > sizeof first)
        return false;
    memcpy(first, text, head);
    memcpy(first + head, FIRST_PLACE, place);
    memcpy(first + head + place, quote, tail);
    int total = catalogue_find_total(first, head + place + tail);
    const struct metric *metric = total < 0 ? NULL : catalogue_total_metric((unsigned)total);
    if (metric == NULL || !catalogue_has_domain(metric))
        return false;
    parts->first = (unsigned)total;
    parts->width = domains_width(metric);
    return true;
}

/* A text that names a place is nobody's: no place is a name. */
static int total_without_domain(const char *text, size_t length)
{
    int total = catalogue_find_total(text, length);
    return total >= 0 && domains_place((unsigned)total) < 0 ? total : -1;
}

int domains_find_total(const struct domains *domains, const char *text, size_t length)
{
    struct parts parts;
    if (!take_apart(text, length, &parts))
        return total_without_domain(text, length);
    int place = domains_find(domains, parts.name, parts.length);
    return place < 0 ? -1 : (int)(parts.first + (unsigned)place * parts.width);
}

int domains_take_total(struct domains *domains, const char *text, size_t length)
{
    struct parts parts;
    if (take_apart(text, length, &parts))
        domains_add(domains, parts.name, parts.length);
    return domains_find_total(domains, text, length);
}

bool domains_has_total(const char *text, size_t length)
{
    struct parts parts;
    return take_apart(text, length, &parts) && domains_is_name(parts.name, parts.length);
}

int domains_place(unsigned total)
{
    const struct metric *metric = catalogue_total_metric(total);
    return catalogue_has_domain(metric) ? (int)((total - metric->first) / domains_width(metric)) : -1;
}

/* ---- totals ---- */

static void raise_each(uint64_t *totals, const uint64_t *other, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (other[i] > totals[i])
            totals[i] = other[i];
    }
}

static void raise_by_name(const struct metric *metric, uint64_t *totals, const struct domains *domains,
                          const uint64_t *other, const struct domains *other_domains)
{
    const unsigned width = domains_width(metric);
    for (unsigned place = 0; place < DOMAINS_MAX; place++) {
        const char *name = domains->names[place];
        int there = domains_find(other_domains, name, strlen(name));
        if (there >= 0)
            raise_each(totals + metric->first + place * width, other + metric->first + (unsigned)there * width, width);
    }
}

void domains_raise(uint64_t *totals, const struct domains *domains, const uint64_t *other,
                   const struct domains *other_domains)
{
    for (unsigned i = 0; i < metric_COUNT; i++) {
        const struct metric *metric = &catalogue[i];
        if (metric_is_node(metric))
            continue;
        if (metric->is_total && catalogue_has_domain(metric))
            raise_by_name(metric, totals, domains, other, other_domains);
        else if (metric->is_total)
            raise_each(totals + metric->first, other + metric->first, metric->slots);
    }
}

void domains_clear(uint64_t *totals, unsigned place)
{
    for (unsigned i = 0; i < metric_COUNT; i++) {
        const struct metric *metric = &catalogue[i];
        if (catalogue_has_domain(metric))
            memset(totals + metric->first + place * domains_width(metric), 0, domains_width(metric) * sizeof totals[0]);
    }
}
