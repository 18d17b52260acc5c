/* The parameters of a top list. Values are said back in part, and never more than a few bytes of them. */
#include "exporter/serve/top_query.h"

#include <string.h>

enum parameter_id { id_set, id_hours, id_by, id_limit, id_COUNT };

static const char *const names[id_COUNT] = {"set", "hours", "by", "limit"};

__attribute__((format(printf, 2, 3))) static bool refuse(char *wrong, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wrong, TOP_WRONG_MAX, format, arguments);
    va_end(arguments);
    return false;
}

static void list(char *text, const char *const *words, int count)
{
    *text = '\0';
    for (int i = 0; i < count; i++) {
        strcat(text, i == 0 ? "" : ", ");
        strcat(text, words[i]);
    }
}

static bool read_word(const char *value, const char *const *words, int count, const char *name, int *number,
                      char *wrong)
{
    char known[160];
    for (*number = 0; *number < count; ++*number) {
        if (strcmp(value, words[*number]) == 0)
            return true;
    }
    list(known, words, count);
    return refuse(wrong, "%s is one of %s", name, known);
}

static bool read_number(const char *value, const char *name, unsigned most, unsigned *number, char *wrong)
{
    size_t digits = strspn(value, "0123456789");
    *number = 0;
    for (size_t i = 0; digits > 0 && digits <= 6 && i < digits; i++)
        *number = *number * 10 + (unsigned)(value[i] - '0');
    return (value[digits] == '\0' && *number >= 1 && *number <= most) ||
           refuse(wrong, "%s is a whole number from 1 to %u", name, most);
}

/* Sorts the values by name. */
static bool gather(const struct parameter *parameters, size_t count, const char **values, char *wrong)
{
    for (size_t i = 0; i < count; i++) {
        int id = 0;
        while (id < id_COUNT && strcmp(parameters[i].name, names[id]) != 0)
            id++;
        if (id == id_COUNT)
            return refuse(wrong, "there is no such parameter; they are set, hours, by and limit");
        if (values[id] != NULL)
            return refuse(wrong, "%s is there twice", names[id]);
        values[id] = parameters[i].value != NULL ? parameters[i].value : "";
    }
    return true;
}

bool top_query_read(const struct parameter *parameters, size_t count, struct top_query *query, char *wrong)
{
    const char *values[id_COUNT] = {NULL};
    int set, by;
    if (!gather(parameters, count, values, wrong))
        return false;
    if (values[id_set] == NULL)
        values[id_set] = "";
    if (!read_word(values[id_set], top_set_names, top_COUNT, "set", &set, wrong))
        return false;
    *query = (struct top_query){(enum top_set)set, top_usual((enum top_set)set), 1, TOP_LIMIT_USUAL};
    if (values[id_by] != NULL) {
        if (!read_word(values[id_by], top_by_names, top_by_COUNT, "by", &by, wrong))
            return false;
        query->by = (enum top_by)by;
    }
    return (values[id_hours] == NULL || read_number(values[id_hours], "hours", TOP_HOURS_MAX, &query->hours, wrong)) &&
           (values[id_limit] == NULL || read_number(values[id_limit], "limit", TOP_LIMIT_MAX, &query->limit, wrong));
}
