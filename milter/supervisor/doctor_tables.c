/* Reading Postfix' lookup tables: texts are read as Postfix reads them, of an index postmap tells the entries. Those that ask a server
 * are left alone. */
#include "milter/supervisor/doctor_tables.h"

#include "milter/supervisor/doctor_command.h"
#include "milter/supervisor/doctor_list.h"
#include "milter/supervisor/doctor_memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { DEADLINE_MS = 10 * 1000, FILE_MAX = 4 << 20 };

#define BLANKS " \t\r\n"

enum form { form_text, form_patterns, form_index, form_inline, form_static };

static const struct {
    const char *type;
    enum form form;
} forms[] = {
    {"cidr", form_text},  {"texthash", form_text}, {"regexp", form_patterns}, {"pcre", form_patterns},
    {"hash", form_index}, {"btree", form_index},   {"lmdb", form_index},      {"cdb", form_index},
    {"dbm", form_index},  {"sdbm", form_index},    {"inline", form_inline},   {"static", form_static},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

/* ---- texts ---- */

static const struct table_entry **append(const struct table_entry **end, const char *key, const char *value)
{
    struct table_entry *entry = memory_take(sizeof *entry);
    *entry = (struct table_entry){NULL, key, value};
    *end = entry;
    return &entry->next;
}

/* The lines of a text, those that continue one, which begin with a blank, behind it; without empty ones and comments. */
static const char *join_lines(const char *text)
{
    char *joined = memory_take(strlen(text) + 1), *end = joined;
    for (size_t length; *text != '\0'; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        size_t blanks = strspn(text, " \t\r"), used = length;
        while (used > blanks && strchr(BLANKS, text[used - 1]) != NULL)
            used--;
        if (blanks >= used || text[blanks] == '#')
            continue;
        if (end > joined)
            *end++ = blanks > 0 ? ' ' : '\n';
        end = mempcpy(end, text + blanks, used - blanks);
    }
    return joined;
}

/* A pattern ends with the character it begins with, and flags. */
static size_t key_length(const char *line, bool patterns)
{
    size_t length = patterns ? strspn(line, "! \t") : 0;
    char delimiter = line[length];
    if (patterns && delimiter != '\0' && !isalnum((unsigned char)delimiter)) {
        for (length++; line[length] != '\0' && line[length] != delimiter; length++)
            length += line[length] == '\\' && line[length + 1] != '\0';
    }
    return length + strcspn(line + length, BLANKS);
}

/* if /PATTERN/ ... endif */
static bool is_condition(const char *line)
{
    return (strncasecmp(line, "if", 2) == 0 && !isalnum((unsigned char)line[2])) || strncasecmp(line, "endif", 5) == 0;
}

const struct table_entry *table_entries(const char *text, bool patterns)
{
    const struct table_entry *first = NULL, **end = &first;
    for (const char *at = join_lines(text); *at != '\0'; at += *at == '\n') {
        const char *line = memory_copy(at, strcspn(at, "\n"));
        size_t length = key_length(line, patterns);
        const char *value = line + length + strspn(line + length, BLANKS);
        if (!is_condition(line) && *value != '\0')
            end = append(end, memory_copy(line, length), value);
        at += strlen(line);
    }
    return first;
}

static const char *read_file(const char *path, struct failure *failure)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = memory_take(FILE_MAX + 1);
    size_t length = 0;
    ssize_t got = fd < 0 ? -1 : 0;
    while (fd >= 0 && length < FILE_MAX && (got = read(fd, text + length, FILE_MAX - length)) > 0)
        length += (size_t)got;
    if (got < 0)
        fail(failure, errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "%s", strerror(errno));
    else if (length == FILE_MAX)
        fail(failure, EX_UNAVAILABLE, "it is larger than %d MiB", FILE_MAX >> 20);
    if (fd >= 0)
        close(fd);
    return failure->status == EX_OK ? text : "";
}

/* ---- all others ---- */

/* cidr:{ { KEY VALUE }, ... } */
static const struct table_entry *entries_in_braces(const char *name)
{
    const struct table_entry *first = NULL, **end = &first;
    size_t length = strlen(name);
    const char *content = memory_copy(name + 1, length - 1 - (name[length - 1] == '}'));
    for (const struct filter *rule = list_split(content); rule != NULL; rule = rule->next)
        end = append(end, rule->endpoint, rule->settings + strspn(rule->settings, BLANKS));
    return first;
}

/* Lines KEY<tab>VALUE. */
static const struct table_entry *entries_of_index(const struct postfix *postfix, const char *type, const char *name,
                                                  struct failure *failure)
{
    const struct table_entry *first = NULL, **end = &first;
    const char *const words[] = {
        command_find("postmap"),           "-c", postfix_value(postfix, NULL, "config_directory"), "-s",
        memory_print("%s:%s", type, name), NULL};
    const struct command command = {.arguments = words, .descriptor = -1, .deadline_ms = DEADLINE_MS};
    struct command_result result;
    if (words[0] == NULL) {
        fail(failure, EX_UNAVAILABLE, "there is no postmap in PATH");
        return NULL;
    }
    if (!command_run(&command, &result, failure))
        return NULL;
    if (result.status != 0) {
        fail(failure, EX_UNAVAILABLE, "%s", result.err);
        return NULL;
    }
    for (const char *line = result.out; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t length = strcspn(line, "\n"), key = strcspn(line, "\t\n");
        if (key < length)
            end = append(end, memory_copy(line, key), memory_copy(line + key + 1, length - key - 1));
    }
    return first;
}

static const struct table_entry *entry_for_all(const char *name)
{
    const struct table_entry *first = NULL;
    size_t length = strlen(name);
    bool wrapped = name[0] == '{' && name[length - 1] == '}' && length > 1;
    append(&first, "all clients", wrapped ? memory_copy(name + 1, length - 2) : name);
    return first;
}

static void read_table(const struct postfix *postfix, struct table *table)
{
    size_t i = 0;
    while (i < FORMS && strcmp(forms[i].type, table->type) != 0)
        i++;
    enum form form = i < FORMS ? forms[i].form : form_text;
    bool is_text = form == form_text || form == form_patterns;
    table->indexed = form == form_index;
    if (i == FORMS)
        fail(&table->unread, EX_UNAVAILABLE, "milterscope does not read tables of this type");
    else if (is_text && table->name[0] == '{')
        table->entries = entries_in_braces(table->name);
    else if (is_text)
        table->entries = table_entries(read_file(table->name, &table->unread), form == form_patterns);
    else if (form == form_static)
        table->entries = entry_for_all(table->name);
    else
        table->entries = entries_of_index(postfix, table->type, table->name, &table->unread);
}

const struct table *tables_read(const struct postfix *postfix, const char *setting)
{
    const struct table *first = NULL, **end = &first;
    for (const struct filter *word = list_split(setting); word != NULL; word = word->next) {
        struct table *table = memory_take(sizeof *table);
        const char *type = strncmp(word->text, "proxy:", 6) == 0 ? word->text + 6 : word->text;
        const char *colon = strchr(type, ':');
        table->text = word->text;
        table->type = colon != NULL ? memory_copy(type, (size_t)(colon - type)) : type;
        table->name = colon != NULL ? colon + 1 : type + strlen(type);
        read_table(postfix, table);
        *end = table;
        end = &table->next;
    }
    return first;
}
