/* The only file that includes jansson.h. Members are data: whatever they hold stands in a string. */
#include "exporter/serve/top_answer.h"

#include <jansson.h>
#include <stdlib.h>

enum { OK = 200, BAD = 400, NOT_KEPT = 404, FAILED = 500, AWAY = 503 };

static unsigned write_json(FILE *out, json_t *json, unsigned status)
{
    bool good =
        json != NULL && json_dumpf(json, out, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) == 0;
    fputc('\n', out);
    json_decref(json);
    return good ? status : FAILED;
}

__attribute__((format(printf, 3, 4))) static unsigned refuse(FILE *out, unsigned status, const char *format, ...)
{
    char text[TOPS_TROUBLE_MAX + 128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_t *json = json_pack("{s:s}", "error", text);
    return write_json(out, json != NULL ? json : json_pack("{s:s}", "error", "Redis cannot be read"), status);
}

static json_int_t number(uint64_t value)
{
    return value <= INT64_MAX ? (json_int_t)value : INT64_MAX;
}

/* Where memory ran out on the way there is no answer: half a list would be a wrong one. */
static json_t *if_whole(json_t *json, bool whole)
{
    if (whole)
        return json;
    json_decref(json);
    return NULL;
}

static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

static bool put_numbers(json_t *object, const uint64_t *counts)
{
    bool whole = true;
    for (int by = 0; by < top_by_COUNT; by++)
        whole = put(object, top_by_names[by], json_integer(number(counts[by]))) && whole;
    return whole;
}

static json_t *member_json(const struct top_entry *entry, const struct top_list *list, enum top_by by)
{
    json_t *json = json_object();
    double all = (double)list->totals[by];
    bool whole = put(json, "member", json_string(entry->member)) && put_numbers(json, entry->counts) &&
                 put(json, "share", json_real(all > 0 ? (double)entry->counts[by] / all : 0)) &&
                 put(json, "error", json_integer(number(entry->error)));
    return if_whole(json, whole);
}

static json_t *members_json(const struct top_list *list, enum top_by by)
{
    json_t *members = json_array();
    bool whole = true;
    for (size_t i = 0; whole && i < list->count; i++)
        whole = json_array_append_new(members, member_json(&list->entries[i], list, by)) == 0;
    return if_whole(members, whole);
}

static json_t *totals_json(const struct top_list *list)
{
    json_t *json = json_object();
    return if_whole(json, put_numbers(json, list->totals));
}

static json_t *list_json(const struct top_query *query, const struct top_list *list, int64_t hour)
{
    char from[32], to[32];
    top_hour_text(hour - query->hours + 1, from);
    top_hour_text(hour, to);
    json_t *json = json_pack("{s:s, s:s, s:i, s:s, s:s, s:i, s:I}", "set", top_set_names[query->set], "by",
                             top_by_names[query->by], "hours", (int)query->hours, "first_hour", from, "last_hour", to,
                             "instances", (int)list->instances, "distinct", number(list->distinct));
    bool whole = put(json, "totals", totals_json(list)) && put(json, "bound", json_integer(number(list->bound))) &&
                 put(json, "top", members_json(list, query->by));
    return if_whole(json, whole);
}

unsigned top_answer(FILE *out, struct tops *tops, const struct parameter *parameters, size_t count)
{
    struct top_query query;
    struct top_list list;
    int64_t hour;
    char text[TOPS_TROUBLE_MAX] = "it is not asked";
    if (!top_query_read(parameters, count, &query, text))
        return refuse(out, BAD, "%s", text);
    enum tops_state state = tops == NULL ? tops_away : tops_list(tops, &query, &list, &hour, text);
    if (state == tops_not_kept)
        return refuse(out, NOT_KEPT, "the set %s is not kept: it is not among top.sets", top_set_names[query.set]);
    if (state == tops_away)
        return refuse(out, AWAY, "top lists are only in Redis, which cannot be read: %s", text);
    unsigned status = write_json(out, list_json(&query, &list, hour), OK);
    top_list_free(&list);
    return status;
}
