/* The configuration file, walked by the table of options.
 *
 * libyaml reads the file into a tree whose nodes know line and column. Sections and options are mappings; the path of keys, joined by
 * points, is looked up in the table. Defaults are read by the same code from the table's own texts. */
#include "conf/lib/options.h"

#include "conf/lib/options_types.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <yaml.h>

enum { PATH_BYTES = 64, FILE_BYTES = 4 << 20, NESTING_MOST = 16 };

#define FIELD_BYTES(field) sizeof(((struct settings *)NULL)->field)
#define live               true
#define restart            false
#define OPTION(path, type, field, minimum, maximum, preset, reload, help)                                              \
    {#path, &option_##type, offsetof(struct settings, field), FIELD_BYTES(field), minimum, maximum, preset, reload,    \
     help},
static const struct option options[] = {
#include "conf/tables/options.def"
};
#undef OPTION
#undef live
#undef restart
enum { OPTIONS = sizeof options / sizeof options[0] };

/* One reading of one file. */
struct reading {
    const char *file;
    yaml_document_t *document;
    struct settings *settings;
    struct failure *failure;
    bool seen[OPTIONS];
};

static void *field_of(struct settings *settings, const struct option *option)
{
    return (char *)settings + option->field;
}

static int find_option(const char *path)
{
    for (int i = 0; i < OPTIONS; i++) {
        if (strcmp(options[i].path, path) == 0)
            return i;
    }
    return -1;
}

static bool is_section(const char *path)
{
    size_t length = strlen(path);
    for (int i = 0; i < OPTIONS; i++) {
        if (strncmp(options[i].path, path, length) == 0 && options[i].path[length] == '.')
            return true;
    }
    return false;
}

/* file:line:column: …; with the status of a wrong configuration. */
__attribute__((format(printf, 3, 4))) static bool wrong_at(const struct reading *reading, const yaml_node_t *node,
                                                           const char *format, ...)
{
    char text[384];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return fail(reading->failure, EX_CONFIG, "%s:%zu:%zu: %s", reading->file, node->start_mark.line + 1,
                node->start_mark.column + 1, text);
}

static const char *scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* A plain scalar without text: `option:` and nothing behind it. */
static bool is_empty(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
           node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* A URL with user and password must not come into a log. */
static const char *shown(const char *text)
{
    return strstr(text, "://") != NULL && strchr(text, '@') != NULL ? "..." : text;
}

/* The text of a scalar, or NULL. */
static const char *value_of(struct reading *reading, const struct option *option, const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || is_empty(node)) {
        wrong_at(reading, node, "%s: needs a value: %s", option->path, option->type->expected);
        return NULL;
    }
    if (strlen(scalar_text(node)) == node->data.scalar.length)
        return scalar_text(node);
    wrong_at(reading, node, "%s: holds a NUL", option->path);
    return NULL;
}

static bool read_scalar(struct reading *reading, const struct option *option, const yaml_node_t *node)
{
    const char *text = value_of(reading, option, node);
    if (text == NULL)
        return false;
    const char *wrong = option->type->read(option, text, field_of(reading->settings, option));
    if (wrong == NULL)
        return true;
    if (strcmp(wrong, "out of range") == 0)
        return wrong_at(reading, node, "%s: %.64s is out of range: from %.15g to %.15g", option->path, text,
                        option->minimum, option->maximum);
    return wrong_at(reading, node, "%s: \"%.64s\" %s%s%s: expected %s", option->path, shown(text),
                    *wrong == '\0' ? "is wrong" : "is wrong (", wrong, *wrong == '\0' ? "" : ")",
                    option->type->expected);
}

static int find_key(const struct option_type *type, const yaml_node_t *key)
{
    for (int i = 0; i < OPTION_KEYS_MAX && type->keys[i] != NULL && key->type == YAML_SCALAR_NODE; i++) {
        if (strcmp(type->keys[i], scalar_text(key)) == 0)
            return i;
    }
    return -1;
}

/* A list's element that is a mapping. */
static bool read_mapping(struct reading *reading, const struct option *option, const yaml_node_t *node)
{
    const char *values[OPTION_KEYS_MAX] = {NULL};
    if (node->type != YAML_MAPPING_NODE)
        return wrong_at(reading, node, "%s: expected %s", option->path, option->type->expected);
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(reading->document, pair->key);
        int i = find_key(option->type, key);
        if (i < 0)
            return wrong_at(reading, key, "%s: expected %s", option->path, option->type->expected);
        if (values[i] != NULL)
            return wrong_at(reading, key, "%s: %s is given twice; keep one", option->path, option->type->keys[i]);
        values[i] = value_of(reading, option, yaml_document_get_node(reading->document, pair->value));
        if (values[i] == NULL)
            return false;
    }
    const char *wrong = option->type->read_keys(option, values, field_of(reading->settings, option));
    return wrong == NULL || wrong_at(reading, node, "%s: %s: expected %s", option->path, wrong, option->type->expected);
}

static bool read_element(struct reading *reading, const struct option *option, const yaml_node_t *node)
{
    return option->type->read_keys != NULL ? read_mapping(reading, option, node) : read_scalar(reading, option, node);
}

static bool read_option(struct reading *reading, const struct option *option, const yaml_node_t *node)
{
    if (!option->type->is_list)
        return read_scalar(reading, option, node);
    memset(field_of(reading->settings, option), 0, option->bytes);
    if (node->type != YAML_SEQUENCE_NODE)
        return read_element(reading, option, node);
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if ((double)count < option->minimum)
        return wrong_at(reading, node, "%s: needs at least %g: %s", option->path, option->minimum,
                        option->type->expected);
    for (size_t i = 0; i < count; i++) {
        if (!read_element(reading, option,
                          yaml_document_get_node(reading->document, node->data.sequence.items.start[i])))
            return false;
    }
    return true;
}

static bool walk(struct reading *reading, const yaml_node_t *mapping, const char *section);

static bool read_pair(struct reading *reading, const yaml_node_t *key, const yaml_node_t *value, const char *section)
{
    char path[PATH_BYTES];
    const char *dot = *section == '\0' ? "" : ".";
    if (key->type != YAML_SCALAR_NODE || strlen(scalar_text(key)) != key->data.scalar.length)
        return wrong_at(reading, key, "the name of an option is expected here");
    if (snprintf(path, sizeof path, "%s%s%s", section, dot, scalar_text(key)) >= (int)sizeof path)
        return wrong_at(reading, key, "unknown option %s%s%.64s", section, dot, scalar_text(key));
    if (is_section(path)) {
        if (is_empty(value))
            return true;
        if (value->type != YAML_MAPPING_NODE)
            return wrong_at(reading, value, "%s: is a section: options are expected below it", path);
        return walk(reading, value, path);
    }
    int i = find_option(path);
    if (i < 0)
        return wrong_at(reading, key, "unknown option %s; milterscope.conf(5) lists all", path);
    if (reading->seen[i])
        return wrong_at(reading, key, "%s: is given twice; keep one", path);
    reading->seen[i] = true;
    return read_option(reading, &options[i], value);
}

static bool walk(struct reading *reading, const yaml_node_t *mapping, const char *section)
{
    const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        if (!read_pair(reading, yaml_document_get_node(reading->document, pair->key),
                       yaml_document_get_node(reading->document, pair->value), section))
            return false;
    }
    return true;
}

static bool no_memory(struct failure *failure)
{
    return fail(failure, EX_OSERR, "no memory to read the configuration");
}

static bool wrong_syntax(const char *file, const yaml_parser_t *parser, struct failure *failure)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(failure);
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    if (parser->error == YAML_READER_ERROR)
        return fail(failure, EX_CONFIG, "%s: at byte %zu: %s; the file is to be UTF-8", file, parser->problem_offset,
                    problem);
    return fail(failure, EX_CONFIG, "%s:%zu:%zu: %s%s%s", file, parser->problem_mark.line + 1,
                parser->problem_mark.column + 1, problem, parser->context != NULL ? " " : "",
                parser->context != NULL ? parser->context : "");
}

static bool read_document(struct reading *reading)
{
    const yaml_node_t *root = yaml_document_get_root_node(reading->document);
    if (root == NULL || is_empty(root))
        return true;
    if (root->type != YAML_MAPPING_NODE)
        return wrong_at(reading, root, "options are expected here, such as `instance: mx1`");
    return walk(reading, root, "");
}

/* The whole stream must be one document. */
static bool read_stream(struct reading *reading, yaml_parser_t *parser)
{
    yaml_document_t document;
    if (yaml_parser_load(parser, &document) == 0)
        return wrong_syntax(reading->file, parser, reading->failure);
    bool more = yaml_document_get_root_node(&document) != NULL;
    reading->document = &document; // cppcheck-suppress autoVariables ; taken away below
    bool good = read_document(reading);
    reading->document = NULL;
    yaml_document_delete(&document);
    if (!good || !more)
        return good;
    if (yaml_parser_load(parser, &document) == 0)
        return wrong_syntax(reading->file, parser, reading->failure);
    const yaml_node_t *second = yaml_document_get_root_node(&document);
    good = second == NULL || wrong_at(reading, second, "a second document begins here; one is read");
    yaml_document_delete(&document);
    return good;
}

/* Walks the events of the text before its tree is made: libyaml's time for a tree grows with the square of its depth. */
static bool is_shallow(const struct reading *reading, const unsigned char *text, size_t length)
{
    yaml_parser_t parser;
    yaml_event_t event;
    int depth = 0;
    bool more = true, good = true;
    if (yaml_parser_initialize(&parser) == 0)
        return no_memory(reading->failure);
    yaml_parser_set_input_string(&parser, text, length);
    while (more && good && yaml_parser_parse(&parser, &event) != 0) {
        depth += event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        more = event.type != YAML_STREAM_END_EVENT;
        if (depth > NESTING_MOST)
            good = fail(reading->failure, EX_CONFIG, "%s:%zu:%zu: nested too deep", reading->file,
                        event.start_mark.line + 1, event.start_mark.column + 1);
        yaml_event_delete(&event);
    }
    good = good && (parser.error != YAML_MEMORY_ERROR || no_memory(reading->failure));
    yaml_parser_delete(&parser);
    return good; /* wrong syntax is said when the tree is made */
}

/* The whole file (free it), or NULL. */
static unsigned char *read_file(const struct reading *reading, size_t *length)
{
    FILE *in = fopen(reading->file, "re");
    unsigned char *text = in != NULL ? malloc(FILE_BYTES + 1) : NULL;
    if (in == NULL)
        fail(reading->failure, EX_CONFIG, "%s: %s; name the configuration with -c FILE (an empty file will do)",
             reading->file, strerror(errno));
    else if (text == NULL)
        no_memory(reading->failure);
    else
        *length = fread(text, 1, FILE_BYTES + 1, in);
    const char *wrong = text == NULL           ? NULL
                        : ferror(in) != 0      ? strerror(errno)
                        : *length > FILE_BYTES ? "larger than 4 MiB"
                                               : NULL;
    if (wrong != NULL) {
        fail(reading->failure, EX_CONFIG, "%s: cannot be read: %s", reading->file, wrong);
        free(text);
        text = NULL;
    }
    if (in != NULL)
        fclose(in);
    return text;
}

/* Reads one option's default through the same parser. */
static bool read_default(const struct option *option, struct settings *settings, struct failure *failure)
{
    struct reading reading = {.file = option->path, .settings = settings, .failure = failure};
    yaml_parser_t parser;
    yaml_document_t document;
    if (yaml_parser_initialize(&parser) == 0)
        return no_memory(failure);
    yaml_parser_set_input_string(&parser, (const unsigned char *)option->preset, strlen(option->preset));
    bool good = yaml_parser_load(&parser, &document) != 0 || no_memory(failure);
    if (good) {
        reading.document = &document;
        good = read_option(&reading, option, yaml_document_get_root_node(&document));
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return good;
}

bool options_read(const char *file, struct settings *settings, struct failure *failure)
{
    struct reading reading = {.file = file, .settings = settings, .failure = failure};
    struct timespec now;
    yaml_parser_t parser;
    memset(settings, 0, sizeof *settings);
    settings_stamp(settings);
    clock_gettime(CLOCK_REALTIME, &now);
    settings->read_at = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    for (int i = 0; i < OPTIONS; i++) {
        if (!read_default(&options[i], settings, failure))
            return false;
    }
    size_t length = 0;
    unsigned char *text = read_file(&reading, &length);
    bool good = text != NULL && is_shallow(&reading, text, length);
    if (good && yaml_parser_initialize(&parser) == 0)
        good = no_memory(failure);
    if (good) {
        yaml_parser_set_input_string(&parser, text, length);
        good = read_stream(&reading, &parser) && option_resolve(settings, failure);
        yaml_parser_delete(&parser);
    }
    free(text);
    return good;
}

/* Opens the sections of an option that the one before was not in, and says how deep it is in them; returns its own name. */
static const char *open_sections(FILE *out, const char *before, const char *path, int *depth)
{
    const char *name = path, *dot;
    bool is_open = true;
    for (*depth = 0; (dot = strchr(name, '.')) != NULL; name = dot + 1, ++*depth) {
        is_open = is_open && strncmp(before, path, (size_t)(dot + 1 - path)) == 0;
        if (!is_open)
            fprintf(out, "%*s%.*s:\n", 2 * *depth, "", (int)(dot - name), name);
    }
    return name;
}

void options_print(FILE *out, const struct settings *settings)
{
    const char *before = "";
    int depth;
    for (int i = 0; i < OPTIONS; i++) {
        const struct option *option = &options[i];
        const char *name = open_sections(out, before, option->path, &depth);
        before = option->path;
        fprintf(out, "%*s%s: ", 2 * depth, "", name);
        option->type->print(out, (const char *)settings + option->field);
        fputc('\n', out);
    }
}

bool options_keep(const struct settings *in_force, struct settings *fresh, char *option)
{
    bool kept = false;
    for (int i = 0; i < OPTIONS; i++) {
        const void *before = (const char *)in_force + options[i].field;
        void *after = field_of(fresh, &options[i]);
        if (options[i].live || memcmp(before, after, options[i].bytes) == 0)
            continue;
        if (!kept)
            snprintf(option, PATH_BYTES, "%s", options[i].path);
        kept = true;
        memcpy(after, before, options[i].bytes);
    }
    return kept;
}
