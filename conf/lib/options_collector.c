/* The types of options that say what the collector looks at: logs, processes, file systems. */
#include "conf/lib/options_types.h"
#include "conf/lib/places.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Texts that become labels, or that are paths: on one line. */
static bool is_plain(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (iscntrl((unsigned char)*c))
            return false;
    }
    return true;
}

/* ---- logs ---- */

static const char *read_log_places(const struct option *option, const char *text, void *field)
{
    struct log_places *places = field;
    bool nothing = !places->automatic && !places->journal && places->count == 0;
    if (places->automatic || (strcmp(text, "auto") == 0 && !nothing))
        return "auto stands alone";
    if (strcmp(text, "auto") == 0) {
        places->automatic = 1;
        return NULL;
    }
    if (strcmp(text, "journal") == 0) {
        places->journal = 1;
        return NULL;
    }
    if (text[0] != '/' || !is_plain(text))
        return "";
    if (strlen(text) >= sizeof places->files[0])
        return "too long";
    if (places->count >= LOG_FILES_MAX || places->count >= (uint32_t)option->maximum)
        return "more than 8 files";
    for (uint32_t i = 0; i < places->count; i++) {
        if (strcmp(places->files[i], text) == 0)
            return "stands there twice";
    }
    strcpy(places->files[places->count++], text);
    return NULL;
}

static void print_log_places(FILE *out, const void *field)
{
    const struct log_places *places = field;
    const char *between = "";
    if (places->automatic) {
        fputs("auto", out);
        return;
    }
    fputc('[', out);
    if (places->journal) {
        fputs("journal", out);
        between = ", ";
    }
    for (uint32_t i = 0; i < places->count; i++) {
        fputs(between, out);
        option_print_text(out, places->files[i]);
        between = ", ";
    }
    fputc(']', out);
}

/* ---- processes ---- */

enum { PROCESSES_MOST = 1000000, MATCH_LEAST = 3 }; /* a shorter text stands in too many command lines */

/* Digits, to PROCESSES_MOST; not given: 0. */
static bool read_count(const char *text, int64_t *count)
{
    size_t digits = text == NULL ? 0 : strspn(text, "0123456789");
    *count = 0;
    if (text == NULL)
        return true;
    if (digits == 0 || digits > 7 || text[digits] != '\0')
        return false;
    *count = strtol(text, NULL, 10);
    return *count <= PROCESSES_MOST;
}

/* A role of the MTA's, which the operator's must not be called. */
static bool is_known_role(const char *name)
{
    const struct label_set *roles = catalogue[metric_processes].labels[0];
    for (unsigned i = 0; i < roles->count; i++) {
        if (strcmp(roles->values[i], name) == 0)
            return true;
    }
    return false;
}

static const char *read_own_role(const struct option *option, const char *const *values, void *field)
{
    struct own_roles *roles = field;
    struct own_role role;
    memset(&role, 0, sizeof role);
    if (roles->count >= OWN_ROLES_MAX || roles->count >= (uint32_t)option->maximum)
        return "more than 16 roles";
    if (values[0] == NULL || !settings_is_name(values[0], strlen(values[0])))
        return "role is to be a name of letters, digits, point, underscore and hyphen, 64 at most";
    if (is_known_role(values[0]))
        return "role is one of the MTA's, which is counted anyhow";
    for (uint32_t i = 0; i < roles->count; i++) {
        if (strcmp(roles->list[i].name, values[0]) == 0)
            return "role stands there twice";
    }
    if (values[1] == NULL || strlen(values[1]) < MATCH_LEAST || !is_plain(values[1]))
        return "match is to be a text of 3 bytes at least";
    if (strlen(values[1]) >= sizeof role.match)
        return "match is too long";
    if (!read_count(values[2], &role.least) || !read_count(values[3], &role.most))
        return "min and max are numbers from 0 to 1000000";
    if (role.most != 0 && role.most < role.least)
        return "max is less than min";
    strcpy(role.name, values[0]);
    strcpy(role.match, values[1]);
    roles->list[roles->count++] = role;
    return NULL;
}

static void print_own_roles(FILE *out, const void *field)
{
    const struct own_roles *roles = field;
    fputc('[', out);
    for (uint32_t i = 0; i < roles->count; i++) {
        const struct own_role *role = &roles->list[i];
        fprintf(out, "%s{role: ", i == 0 ? "" : ", ");
        option_print_text(out, role->name);
        fputs(", match: ", out);
        option_print_text(out, role->match);
        fprintf(out, ", min: %" PRId64 ", max: %" PRId64 "}", role->least, role->most);
    }
    fputc(']', out);
}

/* ---- file systems ---- */

static const char *read_filesystems(const struct option *option, const char *text, void *field)
{
    struct filesystems *filesystems = field;
    if (strlen(text) > PLACE_MAX)
        return "longer than 128 bytes";
    if (text[0] != '/' || !places_is_name(text, strlen(text)))
        return "";
    if (filesystems->count >= FILESYSTEMS_MAX || filesystems->count >= (uint32_t)option->maximum)
        return "more than 8 file systems";
    for (uint32_t i = 0; i < filesystems->count; i++) {
        if (strcmp(filesystems->list[i], text) == 0)
            return "stands there twice";
    }
    strcpy(filesystems->list[filesystems->count++], text);
    return NULL;
}

static void print_filesystems(FILE *out, const void *field)
{
    const struct filesystems *filesystems = field;
    fputc('[', out);
    for (uint32_t i = 0; i < filesystems->count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        option_print_text(out, filesystems->list[i]);
    }
    fputc(']', out);
}

const struct option_type option_log_places = {.expected = "auto, or journal and absolute paths of files, 8 at most",
                                              .is_list = true,
                                              .read = read_log_places,
                                              .print = print_log_places};
const struct option_type option_own_roles = {
    .expected = "mappings such as {role: scanner, match: MailScanner, min: 1, max: 50}",
    .is_list = true,
    .print = print_own_roles,
    .keys = {"role", "match", "min", "max"},
    .read_keys = read_own_role};
const struct option_type option_filesystems = {
    .expected = "absolute paths such as /var/log, of printable ASCII without blanks and quotes",
    .is_list = true,
    .read = read_filesystems,
    .print = print_filesystems};
