/* Postfix' lists of filters. */
#include "milter/supervisor/doctor_list.h"

#include "milter/supervisor/doctor_memory.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS ", \t\r\n"

/* The length of a word: braces hold together what stands in them; one that is not closed, all that follows. */
static size_t word_length(const char *text)
{
    size_t depth = 0, length = 0;
    for (; text[length] != '\0'; length++) {
        if (depth == 0 && strchr(SEPARATORS, text[length]) != NULL)
            break;
        if (text[length] == '{')
            depth++;
        else if (text[length] == '}' && depth > 0)
            depth--;
    }
    return length;
}

/* The next word, and *text behind it; NULL: there is none. */
static const char *take_word(const char **text)
{
    *text += strspn(*text, SEPARATORS);
    size_t length = word_length(*text);
    const char *word = length > 0 ? memory_copy(*text, length) : NULL;
    *text += length;
    return word;
}

/* What stands between the first brace of a word and its counterpart, or the word itself. */
static const char *unwrap(const char *word)
{
    size_t depth = 1, length = 0;
    if (word[0] != '{')
        return word;
    word += 1 + strspn(word + 1, SEPARATORS);
    for (; word[length] != '\0'; length++) {
        depth += word[length] == '{';
        depth -= word[length] == '}';
        if (depth == 0)
            break;
    }
    while (length > 0 && strchr(SEPARATORS, word[length - 1]) != NULL)
        length--;
    return memory_copy(word, length);
}

const struct filter *list_split(const char *value)
{
    const struct filter *first = NULL;
    const struct filter **end = &first;
    for (const char *word; (word = take_word(&value)) != NULL;) {
        struct filter *filter = memory_take(sizeof *filter);
        const char *content = unwrap(word);
        filter->text = word;
        filter->endpoint = take_word(&content);
        filter->settings = word[0] == '{' ? content : "";
        if (filter->endpoint == NULL)
            filter->endpoint = "";
        *end = filter;
        end = &filter->next;
    }
    return first;
}

const char *list_setting(const struct filter *filter, const char *name)
{
    const char *found = NULL;
    const char *rest = filter->settings;
    size_t length = strlen(name);
    for (const char *word; (word = take_word(&rest)) != NULL;) {
        word = unwrap(word);
        if (strncmp(word, name, length) != 0)
            continue;
        const char *value = word + length + strspn(word + length, " \t");
        if (*value == '=') /* of several the last counts */
            found = value + 1 + strspn(value + 1, " \t");
    }
    return found;
}

/* Blanks become commas, which separate as well; beside a brace none is needed. */
static const char *without_blanks(const char *text)
{
    char *compact = memory_take(strlen(text) + 1);
    char *end = compact;
    for (size_t depth = 0; *text != '\0'; text++) {
        bool separates = strchr(SEPARATORS, *text) != NULL;
        bool needless = end == compact || end[-1] == ',' || (depth > 0 && end[-1] == '{') ||
                        (depth > 0 && text[1 + strspn(text + 1, SEPARATORS)] == '}');
        depth += *text == '{';
        depth -= *text == '}' && depth > 0;
        if (!separates || !needless)
            *end++ = separates ? ',' : *text;
    }
    return compact;
}

const char *list_join(const struct filter *filters, bool (*keep)(const struct filter *filter, const void *context),
                      const void *context, const char *last, bool compact)
{
    size_t size = last != NULL ? strlen(last) + 1 : 1;
    for (const struct filter *filter = filters; filter != NULL; filter = filter->next)
        size += strlen(filter->text) + 2;
    char *text = memory_take(size);
    char *end = text;
    for (const struct filter *filter = filters; filter != NULL; filter = filter->next) {
        if (keep(filter, context))
            end = stpcpy(stpcpy(end, end == text ? "" : ", "), filter->text);
    }
    if (last != NULL)
        stpcpy(stpcpy(end, end == text ? "" : ", "), last);
    return compact ? without_blanks(text) : text;
}

int64_t list_seconds(const char *text)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    int64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9)
        return -1;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (text[i] - '0');
    if (text[digits] == '\0')
        return number;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (tolower((unsigned char)text[digits]) == units[i].unit && text[digits + 1] == '\0')
            return number * units[i].seconds;
    }
    return -1;
}
