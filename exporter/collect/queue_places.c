#include "exporter/collect/queue_places.h"

#include "conf/lib/options.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CONFIG_BYTES_MAX = 4 << 20, LINE_BYTES = 4096 };

/* ---- configuration files ---- */

/* What is found in one. */
struct found {
    struct queue_places *places;
    enum label_queue queue;
    const char *option;
    char value[QUEUE_PATH_BYTES]; /* of the option; the last counts */
    bool has_instances;
};

/* Calls `take` with each line; one that begins with a blank goes on with the one before, # begins a comment. */
static bool read_config(const char *path, void (*take)(struct found *, char *line), struct found *found,
                        struct failure *failure)
{
    char part[LINE_BYTES], line[LINE_BYTES] = ""; /* its last byte stays a NUL */
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return fail(failure, errno == EACCES ? EX_NOPERM : EX_OSFILE,
                    "%s cannot be read: %s; it says where the queues are (mta.kind, mta.config)", path,
                    strerror(errno));
    for (size_t bytes = 0; bytes < CONFIG_BYTES_MAX && fgets(part, sizeof part, in) != NULL;) {
        bytes += strlen(part) + 1;
        part[strcspn(part, "\r\n")] = '\0';
        if (part[0] == '#' || part[strspn(part, " \t")] == '\0')
            continue;
        bool goes_on = part[0] == ' ' || part[0] == '\t';
        if (!goes_on)
            take(found, line);
        size_t length = goes_on ? strlen(line) : 0;
        memccpy(line + length, part, '\0', sizeof line - 1 - length);
    }
    fclose(in);
    take(found, line);
    return true;
}

/* Cuts blanks off both ends. */
static char *trim(char *text)
{
    text += strspn(text, " \t");
    for (size_t length = strlen(text); length > 0 && isspace((unsigned char)text[length - 1]);)
        text[--length] = '\0';
    return text;
}

static void keep(struct found *found, const char *value)
{
    if (strlen(value) < sizeof found->value)
        strcpy(found->value, value);
}

/* name = value, as in main.cf and in the configuration of Exim. */
static void take_setting(struct found *found, char *line)
{
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return;
    *equals = '\0';
    const char *name = trim(line);
    const char *value = trim(equals + 1);
    if (strcmp(name, found->option) == 0)
        keep(found, value);
    else if (strcmp(name, "multi_instance_directories") == 0)
        found->has_instances = *value != '\0';
}

/* ---- places ---- */

static void add_one(struct queue_places *places, const struct queue_place *place, const char *directory)
{
    for (unsigned i = 0; i < places->count; i++) {
        if (strcmp(places->list[i].directory, directory) == 0)
            return;
    }
    if (places->count >= QUEUE_PLACES_MAX || strlen(directory) >= sizeof place->directory) {
        places->cut[place->queue] = true;
        return;
    }
    struct queue_place *fresh = &places->list[places->count++];
    *fresh = *place;
    strcpy(fresh->directory, directory);
}

/* `pattern` may end in an asterisk, or hold one where it is not the operator's. */
static void add(struct queue_places *places, struct queue_place place, const char *pattern)
{
    glob_t found;
    if (strchr(pattern, '*') == NULL) {
        add_one(places, &place, pattern);
        return;
    }
    place.is_optional = true; /* gone since it was found, or a link to something else */
    if (glob(pattern, GLOB_ONLYDIR | GLOB_NOSORT, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_one(places, &place, found.gl_pathv[i]);
    globfree(&found);
}

/* ---- Postfix ---- */

static bool add_postfix(const char *config, struct queue_places *places, struct failure *failure)
{
    static const struct {
        enum label_queue queue;
        const char *name;
    } queues[] = {{queue_active, "active"}, {queue_incoming, "incoming"}, {queue_maildrop, "maildrop"},
                  {queue_hold, "hold"},     {queue_corrupt, "corrupt"},   {queue_deferred, "deferred"}};
    struct found found = {.option = "queue_directory", .value = "/var/spool/postfix"};
    char path[QUEUE_PATH_BYTES];
    const char *folder = config != NULL ? config : getenv("MAIL_CONFIG");
    snprintf(path, sizeof path, "%s/main.cf", folder != NULL ? folder : "/etc/postfix");
    if (!read_config(path, take_setting, &found, failure))
        return false;
    if (found.value[0] != '/' || strpbrk(found.value, "$*") != NULL)
        return fail(failure, EX_CONFIG, "%s: queue_directory = %s is not a plain path; write it out", path,
                    found.value);
    places->has_instances = found.has_instances;
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        struct queue_place place = {.format = &queue_format_postfix,
                                    .queue = queues[i].queue,
                                    .apart = queues[i].queue,
                                    .shows_tried = queues[i].queue == queue_deferred};
        if (snprintf(path, sizeof path, "%s/%s", found.value, queues[i].name) < (int)sizeof path)
            add(places, place, path);
    }
    return true;
}

/* ---- sendmail ---- */

static void add_sendmail_queue(const struct found *found, const char *pattern)
{
    struct queue_place place = {.format = &queue_format_sendmail,
                                .queue = found->queue,
                                .apart = queue_quarantined,
                                .is_optional = found->queue == queue_clientmqueue,
                                .shows_tried = true};
    if (pattern[0] == '/')
        add(found->places, place, pattern);
}

/* Qgroup, P=/var/spool/mqueue/slow, ... */
static void take_group(const struct found *found, char *line)
{
    char *rest;
    for (char *field = strtok_r(line, ",", &rest); field != NULL; field = strtok_r(NULL, ",", &rest)) {
        field = trim(field);
        char *equals = strchr(field, '=');
        if (toupper((unsigned char)*field) == 'P' && equals != NULL)
            add_sendmail_queue(found, trim(equals + 1));
    }
}

static void take_sendmail(struct found *found, char *line)
{
    static const char option[] = "O QueueDirectory";
    if (line[0] == 'Q' && found->queue == queue_mqueue) {
        take_group(found, line);
    } else if (strncasecmp(line, option, sizeof option - 1) == 0) {
        char *value = trim(line + sizeof option - 1);
        if (*value == '=')
            keep(found, trim(value + 1));
    } else if (line[0] == 'O' && line[1] == 'Q') {
        keep(found, trim(line + 2));
    }
}

static bool add_sendmail(const char *config, struct queue_places *places, struct failure *failure)
{
    static const char submit[] = "submit.cf";
    struct failure ignored;
    char path[QUEUE_PATH_BYTES];
    struct found found = {.places = places, .queue = queue_mqueue, .value = "/var/spool/mqueue"};
    snprintf(path, sizeof path, "%s", config != NULL ? config : "/etc/mail/sendmail.cf");
    if (!read_config(path, take_sendmail, &found, failure))
        return false;
    add_sendmail_queue(&found, found.value);
    char *slash = strrchr(path, '/');
    size_t room = sizeof path - (size_t)(slash + 1 - path);
    struct found submission = {.places = places, .queue = queue_clientmqueue, .value = "/var/spool/clientmqueue"};
    if (snprintf(slash + 1, room, "%s", submit) < (int)room && read_config(path, take_sendmail, &submission, &ignored))
        add_sendmail_queue(&submission, submission.value);
    return true;
}

/* ---- Exim ---- */

static bool add_exim(const char *config, struct queue_places *places, struct failure *failure)
{
    static const char *const configs[] = {"/var/lib/exim4/config.autogenerated", "/etc/exim4/exim4.conf",
                                          "/etc/exim/exim.conf"};
    struct found found = {.option = "spool_directory"};
    struct failure ignored;
    char path[QUEUE_PATH_BYTES];
    if (config != NULL && !read_config(config, take_setting, &found, failure))
        return false;
    for (size_t i = 0; config == NULL && i < sizeof configs / sizeof configs[0]; i++) {
        if (read_config(configs[i], take_setting, &found, &ignored))
            break;
    }
    if (found.value[0] == '\0')
        strcpy(found.value, access("/var/spool/exim4", F_OK) == 0 ? "/var/spool/exim4" : "/var/spool/exim");
    if (found.value[0] != '/' || strpbrk(found.value, "$*") != NULL)
        return fail(failure, EX_CONFIG, "spool_directory = %s of Exim is not a plain path; write it out", found.value);
    const struct queue_place place = {
        .format = &queue_format_exim, .queue = queue_input, .apart = queue_frozen, .shows_tried = true};
    if (snprintf(path, sizeof path, "%s/input", found.value) < (int)sizeof path)
        add(places, place, path);
    if (snprintf(path, sizeof path, "%s/*/input", found.value) < (int)sizeof path) /* named queues */
        add(places, place, path);
    return true;
}

/* ---- all ---- */

static void add_own(const struct own_queues *queues, struct queue_places *places)
{
    static const struct queue_format *const formats[] = {&queue_format_postfix, &queue_format_sendmail,
                                                         &queue_format_exim};
    for (uint32_t i = 0; i < queues->count; i++) {
        const struct own_queue *queue = &queues->list[i];
        enum label_queue label = (enum label_queue)(queue_own_0 + i);
        char path[QUEUE_PATH_BYTES];
        snprintf(path, sizeof path, "%s", queue->directory);
        for (size_t length = strlen(path); length > 1 && path[length - 1] == '/';)
            path[--length] = '\0';
        const char *slash = strrchr(path, '/');
        bool is_deferred = strcmp(slash + 1, "deferred") == 0;
        struct queue_place place = {.format = formats[queue->format],
                                    .queue = label,
                                    .apart = label,
                                    .is_own = true,
                                    .shows_tried = queue->format != queue_form_postfix || is_deferred};
        add(places, place, path);
    }
}

/* As the doctor decides: a folder is Postfix', a file sendmail's. */
static enum mta_kind kind_of(const struct settings *settings)
{
    struct stat status;
    if (settings->mta_kind != mta_kind_auto)
        return (enum mta_kind)settings->mta_kind;
    if (settings->mta_config[0] == '/' && stat(settings->mta_config, &status) == 0)
        return S_ISDIR(status.st_mode) ? mta_kind_postfix : mta_kind_sendmail;
    return getenv("MAIL_CONFIG") != NULL ? mta_kind_postfix : options_installed_mta();
}

bool queue_places_find(const struct settings *settings, struct queue_places *places, struct failure *failure)
{
    const char *config = settings->mta_config[0] == '/' ? settings->mta_config : NULL;
    bool good = true;
    memset(places, 0, sizeof *places);
    add_own(&settings->collector_queues, places);
    switch (kind_of(settings)) {
    case mta_kind_postfix:
        return add_postfix(config, places, failure);
    case mta_kind_sendmail:
        return add_sendmail(config, places, failure);
    case mta_kind_exim:
        return add_exim(config, places, failure);
    default:
        good = settings->collector_queues.count > 0;
        break;
    }
    return good ||
           fail(failure, EX_CONFIG, "no mail server is found on this host, so there are no queues; set mta.kind");
}
