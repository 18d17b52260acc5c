/* Names in gauges. A text is looked up by the text of the first place with the same other labels. */
#include "conf/lib/places.h"

#include <stdio.h>
#include <string.h>

static const struct kind {
    const char *label;
    unsigned first, count;
} kinds[] = {
    {"queue", places_queue, queue_COUNT - queue_own_0},
    {"signal", places_queue, queue_COUNT - queue_own_0},
    {"role", places_role, role_COUNT - role_own_0},
    {"filesystem", places_filesystem, filesystem_COUNT - filesystem_own_0},
    {"listener", places_listener, listener_COUNT - listener_own_0},
    {"version", places_server_version, server_version_COUNT},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

bool places_is_name(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
            return false;
    }
    return length > 0 && length <= PLACE_MAX && text[0] != '#';
}

static const struct kind *kind_of(const char *label)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].label, label) == 0)
            return &kinds[i];
    }
    return NULL;
}

int places_of(const struct metric *metric, unsigned slot)
{
    struct catalogue_place place;
    const struct kind *kind = metric->is_total || !catalogue_place(metric, slot, &place) ? NULL : kind_of(place.label);
    return kind == NULL ? -1 : (int)(kind->first + place.number);
}

size_t places_series(const struct places *places, const struct metric *metric, unsigned slot, char *text)
{
    int place = places_of(metric, slot);
    if (place < 0)
        return catalogue_series(metric, slot, text);
    return places->names[place][0] == '\0' ? 0 : catalogue_named_series(metric, slot, places->names[place], text);
}

/* ---- looking up ---- */

/* A text taken apart: the name in it, and the gauge with the same other labels in the first place. */
struct parts {
    const struct kind *kind;
    const char *name;
    size_t length;
    unsigned first;
};

/* The value of the label of this kind in the text; false: it has none. */
static bool find_name(const struct kind *kind, const char *text, size_t length, struct parts *parts)
{
    char before[32];
    int label_length = snprintf(before, sizeof before, "%s=\"", kind->label);
    const char *end = text + length, *label = memmem(text, length, before, (size_t)label_length);
    if (label == NULL || label == text || (label[-1] != '{' && label[-1] != ','))
        return false;
    parts->kind = kind;
    parts->name = label + label_length;
    const char *quote = memchr(parts->name, '"', (size_t)(end - parts->name));
    parts->length = quote == NULL ? 0 : (size_t)(quote - parts->name);
    return quote != NULL;
}

/* The gauge whose text is this one with the first place in place of the name; -1: there is none. */
static int first_of(const struct parts *parts, const char *text, size_t length)
{
    char first[SERIES_TEXT_MAX];
    size_t head = (size_t)(parts->name - text), tail = length - head - parts->length;
    if (head + 2 + tail > sizeof first)
        return -1;
    memcpy(first, text, head);
    first[head] = '#';
    first[head + 1] = '0';
    memcpy(first + head + 2, parts->name + parts->length, tail);
    return catalogue_find_gauge(first, head + 2 + tail);
}

static bool take_apart(const char *text, size_t length, struct parts *parts)
{
    for (size_t i = 0; i < KINDS; i++) {
        int first = find_name(&kinds[i], text, length, parts) ? first_of(parts, text, length) : -1;
        if (first < 0)
            continue;
        parts->first = (unsigned)first;
        return places_is_name(parts->name, parts->length);
    }
    return false;
}

/* The gauge with the labels of `first`, which is in the first place, in the n-th. */
static int gauge_at(unsigned first, unsigned n)
{
    const struct metric *metric = catalogue_gauge_metric(first);
    struct catalogue_place place;
    catalogue_place(metric, first - metric->first, &place);
    return (int)(first + n * place.stride);
}

static int place_with(const struct places *places, const struct parts *parts)
{
    for (unsigned n = 0; n < parts->kind->count; n++) {
        const char *there = places->names[parts->kind->first + n];
        if (strnlen(there, PLACE_BYTES) == parts->length && memcmp(there, parts->name, parts->length) == 0)
            return (int)n;
    }
    return -1;
}

/* A text that names a place is nobody's: no place is a name. */
static int gauge_without_name(const char *text, size_t length)
{
    int gauge = catalogue_find_gauge(text, length);
    const struct metric *metric = gauge < 0 ? NULL : catalogue_gauge_metric((unsigned)gauge);
    return metric != NULL && places_of(metric, (unsigned)gauge - metric->first) < 0 ? gauge : -1;
}

int places_find_gauge(const struct places *places, const char *text, size_t length)
{
    struct parts parts;
    int gauge = gauge_without_name(text, length);
    if (gauge >= 0 || !take_apart(text, length, &parts))
        return gauge;
    int n = place_with(places, &parts);
    return n < 0 ? -1 : gauge_at(parts.first, (unsigned)n);
}

int places_take_gauge(struct places *places, const char *text, size_t length)
{
    struct parts parts;
    int gauge = gauge_without_name(text, length);
    if (gauge >= 0 || !take_apart(text, length, &parts))
        return gauge;
    int n = place_with(places, &parts);
    for (unsigned free = 0; n < 0 && free < parts.kind->count; free++) {
        char *there = places->names[parts.kind->first + free];
        if (there[0] != '\0')
            continue;
        memcpy(there, parts.name, parts.length);
        there[parts.length] = '\0';
        n = (int)free;
    }
    return n < 0 ? -1 : gauge_at(parts.first, (unsigned)n);
}
