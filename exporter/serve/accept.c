/* A header is a list of items: a name with parameters, of which `version` and the weight `q` matter here. What is not well-formed is
 * passed over up to the next comma, so that one odd item does not spoil its neighbours. */
#include "exporter/serve/accept.h"

#include <string.h>
#include <strings.h>

enum { TEXT_MAX = 64 };

struct item {
    char name[TEXT_MAX];
    char version[TEXT_MAX]; /* empty: none was named */
    int weight;             /* of 1000; 0: not wanted */
};

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* Copies a token, with `also` one more character than tokens have; NULL where there is none or it is too long to be known. */
static const char *read_token(const char *at, char also, char *text)
{
    size_t length = 0;
    for (; is_token(*at) || (also != '\0' && *at == also); at++) {
        if (length == TEXT_MAX - 1)
            return NULL;
        text[length++] = *at;
    }
    text[length] = '\0';
    return length == 0 ? NULL : at;
}

/* A parameter's value: a token or a quoted string. */
static const char *read_value(const char *at, char *text)
{
    size_t length = 0;
    if (*at != '"')
        return read_token(at, '\0', text);
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
        if (*at == '\0' || length == TEXT_MAX - 1)
            return NULL;
        text[length++] = *at;
    }
    text[length] = '\0';
    return at + 1;
}

/* "0", "0.5", "1.000": thousandths; -1 for anything else. */
static int read_weight(const char *text)
{
    if ((text[0] != '0' && text[0] != '1') || (text[1] != '\0' && text[1] != '.'))
        return -1;
    int weight = (text[0] - '0') * 1000;
    const char *decimals = text[1] == '.' ? text + 2 : "";
    if (strlen(decimals) > 3 || strspn(decimals, "0123456789") != strlen(decimals))
        return -1;
    for (int place = 100; *decimals != '\0'; place /= 10)
        weight += (*decimals++ - '0') * place;
    return weight <= 1000 ? weight : -1;
}

/* Reads one item; NULL where it is not well-formed. */
static const char *read_item(const char *at, struct item *item)
{
    *item = (struct item){.weight = 1000};
    at = read_token(skip_blanks(at), '/', item->name);
    while (at != NULL && *skip_blanks(at) == ';') {
        char name[TEXT_MAX], value[TEXT_MAX];
        at = read_token(skip_blanks(skip_blanks(at) + 1), '\0', name);
        if (at == NULL || *at != '=')
            return NULL;
        at = read_value(at + 1, value);
        if (at != NULL && strcasecmp(name, "version") == 0)
            strcpy(item->version, value);
        if (at != NULL && strcasecmp(name, "q") == 0)
            item->weight = read_weight(value);
    }
    if (at == NULL || item->weight < 0)
        return NULL;
    at = skip_blanks(at);
    return *at == ',' || *at == '\0' ? at : NULL;
}

/* The next well-formed item of the list at *rest; false at its end. */
static bool next_item(const char **rest, struct item *item)
{
    while (**rest != '\0') {
        const char *end = read_item(*rest, item);
        const char *comma = end != NULL ? end : *rest + strcspn(*rest, ",");
        *rest = *comma == ',' ? comma + 1 : comma;
        if (end != NULL)
            return true;
    }
    return false;
}

/* How exactly an item names the text format: 0: not at all; the most exact one decides its weight. */
static int text_exactness(const struct item *item)
{
    if (strcasecmp(item->name, "text/plain") == 0)
        return strcmp(item->version, "0.0.4") == 0 ? 4 : item->version[0] == '\0' ? 3 : 0;
    if (strcasecmp(item->name, "text/*") == 0)
        return 2;
    return strcmp(item->name, "*/*") == 0 ? 1 : 0;
}

static bool is_openmetrics(const struct item *item)
{
    return strcasecmp(item->name, "application/openmetrics-text") == 0 &&
           (item->version[0] == '\0' || strcmp(item->version, "1.0.0") == 0);
}

enum exposition_format accept_format(const char *accept)
{
    struct item item;
    int text = 0, text_exact = 0, openmetrics = 0;
    bool text_first = false; /* named before OpenMetrics: decides where the weights are equal */
    for (const char *rest = accept == NULL ? "" : accept; next_item(&rest, &item);) {
        int exact = text_exactness(&item);
        if (is_openmetrics(&item) && item.weight > openmetrics) {
            openmetrics = item.weight;
            text_first = text_exact > 1;
        }
        if (exact > text_exact) {
            text = item.weight;
            text_exact = exact;
        }
    }
    bool preferred = openmetrics > text || (openmetrics == text && !text_first);
    return openmetrics > 0 && preferred ? exposition_openmetrics : exposition_text;
}

bool accept_gzip(const char *accept_encoding)
{
    struct item item;
    int gzip = 0, identity = 0;
    for (const char *rest = accept_encoding == NULL ? "" : accept_encoding; next_item(&rest, &item);) {
        if (strcasecmp(item.name, "gzip") == 0 || strcasecmp(item.name, "x-gzip") == 0)
            gzip = item.weight;
        else if (strcasecmp(item.name, "identity") == 0)
            identity = item.weight;
    }
    return gzip > 0 && gzip >= identity;
}
