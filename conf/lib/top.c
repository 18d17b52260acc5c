/* Names, keys and texts of the open sets. */
#include "conf/lib/top.h"

#include "conf/lib/siphash.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

const char *const top_set_names[top_COUNT] = {
#define TOP_SET(name, origin, usual, help) [top_##name] = #name,
#include "conf/tables/top_sets.def"
};

const char *const top_set_titles[top_COUNT] = {
#define TOP_SET(name, origin, usual, help) [top_##name] = help,
#include "conf/tables/top_sets.def"
};

const char *const top_by_names[top_by_COUNT] = {
#define TOP_BY(name, help) [top_by_##name] = #name,
#include "conf/tables/top_sets.def"
};

enum origin { origin_conversation, origin_deliveries };

static const struct {
    enum origin origin;
    enum top_by usual;
} sets[top_COUNT] = {
#define TOP_SET(name, origin, usual, help) [top_##name] = {origin_##origin, top_by_##usual},
#include "conf/tables/top_sets.def"
};

const int64_t top_of_deliveries = 0
#define TOP_SET(name, origin, usual, help) | ((int64_t)origin_##origin << top_##name)
#include "conf/tables/top_sets.def"
    ;

static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

int top_find_set(const char *name)
{
    return find(top_set_names, top_COUNT, name);
}

int top_find_by(const char *name)
{
    return find(top_by_names, top_by_COUNT, name);
}

enum top_by top_usual(enum top_set set)
{
    return sets[set].usual;
}

bool top_counts(enum top_set set, enum top_by by)
{
    return sets[set].origin == origin_conversation || by == top_by_recipients || by == top_by_refused;
}

uint64_t top_hash(const char *member, size_t length)
{
    static const uint64_t key[2] = {0x6d696c7465727363u, 0x6f70652e68796c6cu};
    return siphash(key, member, length);
}

int64_t top_hour(int64_t unix_seconds)
{
    return unix_seconds / 3600;
}

void top_hour_text(int64_t hour, char *text)
{
    struct tm tm;
    time_t seconds = (time_t)(hour * 3600);
    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, 24, "%Y-%m-%dT%H", &tm) == 0)
        snprintf(text, 24, "%" PRId64, hour);
}

void top_key(char key[TOP_KEY_MAX], const char *instance, const char *kind, enum top_set set, int64_t hour)
{
    char text[24];
    top_hour_text(hour, text);
    snprintf(key, TOP_KEY_MAX, "ms1:{%s}:%s:%s:%s", instance, kind, top_set_names[set], text);
}

size_t top_write(char *text, const uint64_t *values, unsigned count)
{
    size_t length = 0;
    for (unsigned i = 0; i < count; i++)
        length += (size_t)sprintf(text + length, "%s%" PRIu64, i == 0 ? "" : " ", values[i]);
    return length;
}

bool top_read(const char *text, size_t length, uint64_t *values, unsigned count)
{
    const char *end = text + length;
    for (unsigned i = 0; i < count; i++) {
        if (i > 0 && (text == end || *text++ != ' '))
            return false;
        const char *begin = text;
        for (values[i] = 0; text < end && *text >= '0' && *text <= '9'; text++) {
            values[i] = values[i] * 10 + (uint64_t)(*text - '0');
            if (values[i] >> TOP_VALUE_BITS != 0)
                return false;
        }
        if (text == begin)
            return false;
    }
    return text == end;
}

size_t top_character(const char *text, size_t length)
{
    static const struct {
        unsigned char first, last, low, high; /* of the first byte, and of the second */
        unsigned char bytes;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    const unsigned char *byte = (const unsigned char *)text;
    for (size_t i = 0; length > 0 && i < sizeof forms / sizeof forms[0]; i++) {
        size_t bytes = forms[i].bytes;
        if (byte[0] < forms[i].first || byte[0] > forms[i].last)
            continue;
        if (length < bytes || (bytes > 1 && (byte[1] < forms[i].low || byte[1] > forms[i].high)))
            return 0;
        for (size_t j = 2; j < bytes; j++) {
            if ((byte[j] & 0xc0) != 0x80)
                return 0;
        }
        return bytes;
    }
    return 0;
}

bool top_is_member(const char *text, size_t length)
{
    if (length == 0 || length > TOP_MEMBER_MAX)
        return false;
    for (size_t i = 0, bytes; i < length; i += bytes) {
        unsigned char byte = (unsigned char)text[i];
        bytes = top_character(text + i, length - i);
        bool is_c1 = byte == 0xc2 && bytes == 2 && (unsigned char)text[i + 1] < 0xa0;
        if (bytes == 0 || byte < 0x20 || byte == 0x7f || is_c1)
            return false;
    }
    return true;
}
