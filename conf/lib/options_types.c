/* The types of options: a function that reads, one that prints, one row in a table. */
#include "conf/lib/options_types.h"

#include "conf/lib/redis.h"
#include "conf/lib/top.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- texts ---- */

static const char *copy_text(const struct option *option, const char *text, void *field)
{
    if (strlen(text) >= option->bytes)
        return "too long";
    for (const char *c = text; *c != '\0'; c++) {
        if (iscntrl((unsigned char)*c))
            return "holds a control character";
    }
    memset(field, 0, option->bytes);
    strcpy(field, text);
    return NULL;
}

static const char *read_text(const struct option *option, const char *text, void *field)
{
    return copy_text(option, text, field);
}

static const char *read_name(const struct option *option, const char *text, void *field)
{
    if (strlen(text) >= option->bytes)
        return "too long";
    return settings_is_name(text, strlen(text)) ? copy_text(option, text, field) : "";
}

static const char *read_directory(const struct option *option, const char *text, void *field)
{
    return text[0] == '/' ? copy_text(option, text, field) : "";
}

static const char *read_place(const struct option *option, const char *text, void *field)
{
    return text[0] == '/' || strcmp(text, "auto") == 0 ? copy_text(option, text, field) : "";
}

static const char *read_group(const struct option *option, const char *text, void *field)
{
    return strchr(text, ' ') == NULL ? copy_text(option, text, field) : "";
}

static const char *read_file(const struct option *option, const char *text, void *field)
{
    if (*text == '\0')
        return copy_text(option, text, field);
    if (*text != '/')
        return "";
    return access(text, R_OK) == 0 ? copy_text(option, text, field) : "the file cannot be read";
}

static const char *read_redis_url(const struct option *option, const char *text, void *field)
{
    const char *wrong = redis_check_url(text);
    return wrong == NULL ? copy_text(option, text, field) : wrong;
}

/* unix:/path that fits into sockaddr_un (108 bytes with the NUL, unix(7)), inet:port@address, inet6:port@address. */
static const char *read_socket(const struct option *option, const char *text, void *field)
{
    if (strncmp(text, "unix:/", 6) == 0)
        return strlen(text + 5) < 108 ? copy_text(option, text, field)
                                      : "the path of a Unix socket has 107 bytes at most";
    char *end = NULL;
    const char *port = strncmp(text, "inet:", 5) == 0 ? text + 5 : strncmp(text, "inet6:", 6) == 0 ? text + 6 : NULL;
    if (port != NULL && isdigit((unsigned char)*port)) {
        unsigned long number = strtoul(port, &end, 10);
        if (number > 0 && number <= 65535 && *end == '@' && end[1] != '\0')
            return copy_text(option, text, field);
    }
    return strcmp(text, "auto") == 0 ? copy_text(option, text, field) : "";
}

void option_print_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', out);
        fputc(*c, out);
    }
    fputc('"', out);
}

static void print_text(FILE *out, const void *field)
{
    option_print_text(out, field);
}

/* ---- words ---- */

static const char *const log_level_words[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_target_words[] = {"stderr", "syslog", NULL};
static const char *const mta_kind_words[] = {"auto", "postfix", "sendmail", "exim", NULL};
static const char *const scope_words[] = {"node", "fleet", NULL};
static const char *const spam_scanner_words[] = {"milter", "reinjection", "log", "none", NULL};
static const char *const boolean_words[] = {"false", "true", NULL};

const char *option_read_word(const char *const *words, const char *text, int64_t *value)
{
    for (int64_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *value = i;
            return NULL;
        }
    }
    return "";
}

#define WORD_TYPE(type)                                                                                                \
    static const char *read_##type(const struct option *option, const char *text, void *field)                         \
    {                                                                                                                  \
        (void)option;                                                                                                  \
        return option_read_word(type##_words, text, field);                                                            \
    }                                                                                                                  \
    static void print_##type(FILE *out, const void *field)                                                             \
    {                                                                                                                  \
        fputs(type##_words[*(const int64_t *)field], out);                                                             \
    }
WORD_TYPE(log_level)
WORD_TYPE(log_target)
WORD_TYPE(mta_kind)
WORD_TYPE(scope)
WORD_TYPE(spam_scanner)
WORD_TYPE(boolean)

/* ---- numbers: read whole and in decimal ---- */

static const char *read_number(const struct option *option, const char *text, void *field)
{
    int64_t value = 0;
    if (*text == '\0')
        return "";
    for (const char *c = text; *c != '\0'; c++) {
        if (!isdigit((unsigned char)*c))
            return "";
        if (value < INT64_MAX / 100) /* far beyond every maximum */
            value = value * 10 + (*c - '0');
    }
    if ((double)value < option->minimum || (double)value > option->maximum)
        return "out of range";
    *(int64_t *)field = value;
    return NULL;
}

static void print_number(FILE *out, const void *field)
{
    fprintf(out, "%" PRId64, *(const int64_t *)field);
}

static const char *read_octal(const struct option *option, const char *text, void *field)
{
    int64_t value = 0;
    if (*text == '\0' || strlen(text) > 5)
        return "";
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '7')
            return "";
        value = value * 8 + (*c - '0');
    }
    if ((double)value > option->maximum)
        return ""; /* what is expected says the range, in octal */
    *(int64_t *)field = value;
    return NULL;
}

static void print_octal(FILE *out, const void *field)
{
    fprintf(out, "%04" PRIo64, (uint64_t) * (const int64_t *)field);
}

static const char *read_seconds(const struct option *option, const char *text, void *field)
{
    int64_t micros;
    if (strlen(text) > 15 || text[0] == '-' || !catalogue_value_parse(unit_seconds, text, strlen(text), &micros))
        return "";
    if ((double)micros < option->minimum * 1e6 || (double)micros > option->maximum * 1e6)
        return "out of range";
    *(int64_t *)field = micros;
    return NULL;
}

static void print_seconds(FILE *out, const void *field)
{
    char text[32];
    size_t length = catalogue_value_text(unit_seconds, *(const int64_t *)field, text);
    while (text[length - 1] == '0')
        length--;
    fprintf(out, "%.*s", (int)(text[length - 1] == '.' ? length - 1 : length), text);
}

/* ---- lists ---- */

static const char *read_networks(const struct option *option, const char *text, void *field)
{
    struct networks *networks = field;
    if (networks->count >= NETWORKS_MAX || networks->count >= (uint32_t)option->maximum)
        return "more than 256 networks";
    const char *wrong = network_parse(text, &networks->list[networks->count]);
    networks->count += wrong == NULL;
    return wrong;
}

static void print_networks(FILE *out, const void *field)
{
    const struct networks *networks = field;
    char text[64];
    fputc('[', out);
    for (uint32_t i = 0; i < networks->count; i++) {
        network_text(&networks->list[i], text);
        fprintf(out, "%s\"%s\"", i == 0 ? "" : ", ", text);
    }
    fputc(']', out);
}

/* address:port, [address]:port; the port is what follows the last colon. */
static const char *read_listen(const struct option *option, const char *text, void *field)
{
    struct listen_addresses *listen = field;
    const char *colon = strrchr(text, ':');
    struct network network;
    char host[64];
    if (listen->count >= SETTINGS_LISTEN_MAX || listen->count >= (uint32_t)option->maximum)
        return "more than 16 addresses";
    if (colon == NULL || colon == text || strlen(text) >= sizeof listen->list[0])
        return "";
    bool bracket = text[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - text) - 2 * bracket, text + bracket);
    struct option port = {.minimum = 1, .maximum = 65535};
    int64_t number;
    if (strchr(host, '/') != NULL || network_parse(host, &network) != NULL || (strchr(host, ':') != NULL) != bracket)
        return "";
    if (read_number(&port, colon + 1, &number) != NULL)
        return "the port is not a number from 1 to 65535";
    strcpy(listen->list[listen->count++], text);
    return NULL;
}

static void print_listen(FILE *out, const void *field)
{
    const struct listen_addresses *listen = field;
    fputc('[', out);
    for (uint32_t i = 0; i < listen->count; i++)
        fprintf(out, "%s\"%s\"", i == 0 ? "" : ", ", listen->list[i]);
    fputc(']', out);
}

static const char *read_top_sets(const struct option *option, const char *text, void *field)
{
    int64_t *sets = field;
    int set = top_find_set(text);
    (void)option;
    if (set < 0)
        return "";
    *sets |= INT64_C(1) << set;
    return NULL;
}

static void print_top_sets(FILE *out, const void *field)
{
    const char *between = "";
    fputc('[', out);
    for (int set = 0; set < top_COUNT; set++) {
        if (!top_has(*(const int64_t *)field, (enum top_set)set))
            continue;
        fprintf(out, "%s%s", between, top_set_names[set]);
        between = ", ";
    }
    fputc(']', out);
}

#define TYPE(type, printer, list, noun)                                                                                \
    const struct option_type option_##type = {.expected = noun, .is_list = list, .read = read_##type, .print = printer};
TYPE(name, print_text, false, "letters, digits, point, underscore and hyphen, 64 at most")
TYPE(directory, print_text, false, "an absolute path")
TYPE(networks, print_networks, true, "networks such as 10.0.0.0/8 or fd00::/8")
TYPE(log_level, print_log_level, false, "error, warning, info or debug")
TYPE(log_target, print_log_target, false, "stderr or syslog")
TYPE(mta_kind, print_mta_kind, false, "auto, postfix, sendmail or exim")
TYPE(place, print_text, false, "auto, or an absolute path")
TYPE(socket, print_text, false, "auto, unix:/path or inet:port@address")
TYPE(octal, print_octal, false, "octal digits from 0000 to 0777")
TYPE(group, print_text, false, "auto, the name of a group, or nothing (\"\") to leave it as it is")
TYPE(number, print_number, false, "a whole number in decimal digits")
TYPE(seconds, print_seconds, false, "seconds, such as 2 or 0.5")
TYPE(boolean, print_boolean, false, "true or false")
TYPE(redis_url, print_text, false, "redis://host:port/db, unix:///path or sentinel://host:port,host:port/name")
TYPE(text, print_text, false, "a text")
TYPE(file, print_text, false, "an absolute path of a file")
TYPE(listen, print_listen, true, "addresses such as 127.0.0.1:19154 or [::1]:19154")
TYPE(scope, print_scope, false, "node or fleet")
TYPE(top_sets, print_top_sets, true,
     "client, sender_domain, recipient_domain, user, unknown_recipient, helo, deferred_domain or "
     "refusing_provider")
TYPE(spam_scanner, print_spam_scanner, false, "milter, reinjection, log or none")
