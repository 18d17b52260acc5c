/* The types of options that say what mail looks like on this server: listeners, spam headers, authserv-ids, texts of refusals. */
#include "conf/lib/options_types.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char too_long[] = "too long";

/* Copies a text without control characters. */
static const char *copy(char *to, size_t bytes, const char *text)
{
    if (strlen(text) >= bytes)
        return too_long;
    for (const char *c = text; *c != '\0'; c++) {
        if (iscntrl((unsigned char)*c))
            return "holds a control character";
    }
    strcpy(to, text);
    return NULL;
}

/* ---- listeners ---- */

/* address:port or [address]:port. */
static const char *read_listeners(const struct option *option, const char *text, void *field)
{
    struct listeners *listeners = field;
    char host[64];
    const char *colon = strrchr(text, ':');
    if (listeners->count >= LISTENERS_MAX || listeners->count >= (uint32_t)option->maximum)
        return "more than 16 listeners";
    if (colon == NULL || colon == text || colon - text >= (ptrdiff_t)sizeof host)
        return "";
    bool bracket = text[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * bracket, text + bracket);
    if (strchr(host, '/') != NULL || (strchr(host, ':') != NULL) != bracket ||
        network_parse(host, &listeners->list[listeners->count].address) != NULL)
        return "";
    size_t digits = strspn(colon + 1, "0123456789");
    long port = digits > 0 && digits < 6 && colon[1 + digits] == '\0' ? strtol(colon + 1, NULL, 10) : 0;
    if (port < 1 || port > 65535)
        return "the port is not a number from 1 to 65535";
    const uint32_t added = listeners->count;
    listeners->list[added].port = (uint16_t)port;
    for (uint32_t i = 0; i < added; i++) {
        const uint8_t *address = listeners->list[i].address.address;
        if (listeners->list[i].port == port && memcmp(address, listeners->list[added].address.address, 16) == 0)
            return "stands there twice";
    }
    listeners->count++;
    return NULL;
}

static void print_listeners(FILE *out, const void *field)
{
    const struct listeners *listeners = field;
    char text[64];
    fputc('[', out);
    for (uint32_t i = 0; i < listeners->count; i++) {
        settings_listener_text(listeners, i, text);
        fprintf(out, "%s\"%s\"", i == 0 ? "" : ", ", text);
    }
    fputc(']', out);
}

/* ---- spam headers ---- */

static const char *const place_words[] = {"bottom", "top", NULL};

/* What RFC 5322 allows in the name of a header. */
static bool is_header_name(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == ':')
            return false;
    }
    return *text != '\0';
}

static const char *read_spam_header(const struct option *option, const char *const *values, void *field)
{
    struct spam_headers *headers = field;
    struct spam_header header;
    if (headers->count >= SPAM_HEADERS_OWN_MAX || headers->count >= (uint32_t)option->maximum)
        return "more than 16 headers";
    memset(&header, 0, sizeof header);
    if (values[0] == NULL || !is_header_name(values[0]))
        return "name is to be the name of a header";
    if (values[1] == NULL && values[2] == NULL)
        return "spam or score_after is needed";
    if (values[1] != NULL && *values[1] == '\0')
        return "spam is empty";
    const char *wrong = copy(header.name, sizeof header.name, values[0]);
    if (wrong == NULL && values[1] != NULL)
        wrong = copy(header.spam, sizeof header.spam, values[1]);
    if (wrong == NULL && values[2] != NULL)
        wrong = copy(header.score_after, sizeof header.score_after, values[2]);
    if (wrong == NULL && values[3] != NULL && option_read_word(place_words, values[3], &header.place) != NULL)
        wrong = "place is bottom or top";
    header.has_score = values[2] != NULL;
    if (wrong == NULL)
        headers->list[headers->count++] = header;
    return wrong;
}

static void print_spam_headers(FILE *out, const void *field)
{
    const struct spam_headers *headers = field;
    fputc('[', out);
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct spam_header *header = &headers->list[i];
        fprintf(out, "%s{name: ", i == 0 ? "" : ", ");
        option_print_text(out, header->name);
        if (header->spam[0] != '\0') {
            fputs(", spam: ", out);
            option_print_text(out, header->spam);
        }
        if (header->has_score != 0) {
            fputs(", score_after: ", out);
            option_print_text(out, header->score_after);
        }
        fprintf(out, ", place: %s}", place_words[header->place]);
    }
    fputc(']', out);
}

/* ---- authserv-ids ---- */

static const char *read_authserv_ids(const struct option *option, const char *text, void *field)
{
    struct authserv_ids *ids = field;
    if (ids->count >= AUTHSERV_IDS_MAX || ids->count >= (uint32_t)option->maximum)
        return "more than 8 of them";
    if (*text == '\0' || strchr(text, ' ') != NULL)
        return "";
    const char *wrong = copy(ids->list[ids->count], AUTHSERV_ID_MAX, text);
    ids->count += wrong == NULL;
    return wrong;
}

static void print_authserv_ids(FILE *out, const void *field)
{
    const struct authserv_ids *ids = field;
    fputc('[', out);
    for (uint32_t i = 0; i < ids->count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        option_print_text(out, ids->list[i]);
    }
    fputc(']', out);
}

/* ---- texts of refusals ---- */

enum { REJECT_TEXT_LEAST = 4 }; /* a shorter one stands in too many replies */

static const char *read_reject_text(const struct option *option, const char *const *values, void *field)
{
    struct reject_texts *texts = field;
    const struct label_set *classes = catalogue[metric_rejects_total].labels[0];
    struct reject_text fresh;
    if (texts->count >= REJECT_TEXTS_OWN_MAX || texts->count >= (uint32_t)option->maximum)
        return "more than 32 texts";
    memset(&fresh, 0, sizeof fresh);
    while (values[0] != NULL && fresh.class < classes->count && strcmp(classes->values[fresh.class], values[0]) != 0)
        fresh.class ++;
    if (values[0] == NULL || fresh.class == classes->count)
        return "class is to be a class of milterscope_rejects_total";
    if (values[1] == NULL || strlen(values[1]) < REJECT_TEXT_LEAST)
        return "text is to have 4 bytes at least";
    const char *wrong = copy(fresh.text, sizeof fresh.text, values[1]);
    for (char *c = fresh.text; *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + ('a' - 'A')) : *c;
    if (wrong == NULL)
        texts->list[texts->count++] = fresh;
    return wrong;
}

static void print_reject_texts(FILE *out, const void *field)
{
    const struct reject_texts *texts = field;
    const struct label_set *classes = catalogue[metric_rejects_total].labels[0];
    fputc('[', out);
    for (uint32_t i = 0; i < texts->count; i++) {
        fprintf(out, "%s{class: %s, text: ", i == 0 ? "" : ", ", classes->values[texts->list[i].class]);
        option_print_text(out, texts->list[i].text);
        fputc('}', out);
    }
    fputc(']', out);
}

const struct option_type option_listeners = {.expected = "addresses such as 127.0.0.1:10025 or [::1]:10025",
                                             .is_list = true,
                                             .read = read_listeners,
                                             .print = print_listeners};
const struct option_type option_authserv_ids = {.expected = "names such as mx.example.org, 255 bytes at most",
                                                .is_list = true,
                                                .read = read_authserv_ids,
                                                .print = print_authserv_ids};
const struct option_type option_spam_headers = {
    .expected = "mappings such as {name: X-Our-Filter, spam: \"Yes\", score_after: \"score=\", place: bottom}",
    .is_list = true,
    .print = print_spam_headers,
    .keys = {"name", "spam", "score_after", "place"},
    .read_keys = read_spam_header};
const struct option_type option_reject_texts = {.expected = "mappings such as {class: dnsbl, text: listed at our.list}",
                                                .is_list = true,
                                                .print = print_reject_texts,
                                                .keys = {"class", "text"},
                                                .read_keys = read_reject_text};
