/* What the MTA's configuration says of its queues, and what stands there. */
#include "exporter/collect/queue_places.h"

#include "exporter/collect/mta_settings.h"
#include "exporter/collect/queue_pattern.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The value of an option that is a plain path: `value` as it is where the option is not there. */
static bool take_path(const struct mta_text *text, bool (*find)(const struct mta_text *, const char *, char *, size_t),
                      const char *option, char value[QUEUE_PATH_BYTES], struct failure *failure)
{
    char found[QUEUE_PATH_BYTES];
    if (!find(text, option, found, sizeof found))
        return true;
    if (found[0] != '/' || strchr(found, '$') != NULL)
        return fail(failure, EX_CONFIG,
                    "%s = %s is not a plain path in the configuration of the mail server; write it out", option, found);
    strcpy(value, found);
    return true;
}

static bool cannot_read(const char *what, const struct settings *settings, struct failure *failure)
{
    return fail(failure, errno == EACCES ? EX_NOPERM : EX_OSFILE,
                "%s, which says where the queues are, cannot be read: %s; see mta.config (%s)", what, strerror(errno),
                settings->mta_config);
}

/* Cuts blanks off both ends. */
static char *trim(char *text)
{
    text += strspn(text, " \t");
    for (size_t length = strlen(text); length > 0 && isspace((unsigned char)text[length - 1]);)
        text[--length] = '\0';
    return text;
}

/* ---- places ---- */

/* That looking for the directories of a queue may take: patterns may stand for many, and for more that must be looked at. */
enum { FIND_WALL_MICROS = 4 * 1000000, FIND_CPU_MICROS = 500 * 1000 };

/* false: there is no room for more. */
static bool add_one(struct queue_places *places, const struct queue_place *place, const char *directory)
{
    if (places->cuts[place->queue] == queue_cut_room)
        return false;
    for (unsigned i = 0; i < places->count; i++) {
        if (strcmp(places->list[i].directory, directory) == 0)
            return true;
    }
    if (places->count >= QUEUE_PLACES_MAX || places->counts[place->queue] >= QUEUE_DIRECTORIES_MAX ||
        strlen(directory) >= sizeof place->directory) {
        places->cuts[place->queue] = queue_cut_room;
        return false;
    }
    struct queue_place *fresh = &places->list[places->count++];
    places->counts[place->queue]++;
    *fresh = *place;
    strcpy(fresh->directory, directory);
    return true;
}

struct matches {
    struct queue_places *places;
    struct queue_place place;
};

/* Where directories cannot even be looked for, the one that they are in fails in their place. */
static bool add_match(void *context, const char *directory, enum queue_found found)
{
    const struct matches *matches = context;
    struct queue_place place = matches->place;
    if (found == queue_found_directory)
        place.missing = queue_missing_says_nothing; /* gone since it was found */
    return add_one(matches->places, &place, directory);
}

/* All patterns of a queue have one time. */
static const struct queue_time *end_of(struct queue_places *places, enum label_queue queue)
{
    struct queue_time *end = &places->ends[queue];
    if (end->wall == 0) {
        *end = queue_time_now();
        end->wall += FIND_WALL_MICROS;
        end->cpu += FIND_CPU_MICROS;
    }
    return end;
}

/* `pattern`: a path, in which an asterisk stands for any text. */
static void add(struct queue_places *places, struct queue_place place, const char *pattern)
{
    enum queue_cut *cut = &places->cuts[place.queue];
    struct matches matches = {places, place};
    if (strchr(pattern, '*') == NULL)
        add_one(places, &place, pattern);
    else if (!queue_pattern_find(pattern, end_of(places, place.queue), add_match, &matches) && *cut == queue_cut_none)
        *cut = queue_cut_search;
}

/* ---- Postfix ---- */

static void add_postfix_queues(const char *directory, struct queue_places *places)
{
    static const struct {
        enum label_queue queue;
        const char *name;
    } queues[] = {{queue_active, "active"}, {queue_incoming, "incoming"}, {queue_maildrop, "maildrop"},
                  {queue_hold, "hold"},     {queue_corrupt, "corrupt"},   {queue_deferred, "deferred"}};
    char path[QUEUE_PATH_BYTES];
    for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
        struct queue_place place = {.format = &queue_format_postfix,
                                    .queue = queues[i].queue,
                                    .apart = queues[i].queue,
                                    .lost = queues[i].queue,
                                    .shows_tried = queues[i].queue == queue_deferred};
        if (snprintf(path, sizeof path, "%s/%s", directory, queues[i].name) < (int)sizeof path)
            add(places, place, path);
    }
}

static bool add_postfix(const struct settings *settings, struct queue_places *places, struct failure *failure)
{
    char directory[QUEUE_PATH_BYTES] = "/var/spool/postfix", others[MTA_LINE_MAX];
    struct mta_text text = mta_read_postfix(settings, "main.cf");
    if (text.text == NULL)
        return cannot_read("main.cf", settings, failure);
    bool good = take_path(&text, mta_postfix_value, "queue_directory", directory, failure);
    places->has_instances =
        mta_postfix_value(&text, "multi_instance_directories", others, sizeof others) && others[0] != '\0';
    free(text.text);
    if (good)
        add_postfix_queues(directory, places);
    return good;
}

/* ---- sendmail ---- */

static void add_sendmail_queue(struct queue_places *places, enum label_queue queue, const char *pattern)
{
    struct queue_place place = {.format = &queue_format_sendmail,
                                .queue = queue,
                                .apart = queue_quarantined,
                                .lost = queue_corrupt,
                                .missing =
                                    queue == queue_clientmqueue ? queue_missing_says_nothing : queue_missing_fails,
                                .shows_tried = true};
    if (pattern[0] == '/')
        add(places, place, pattern);
}

/* Qslow, P=/var/spool/mqueue/slow, ... */
static void add_groups(const struct mta_text *text, struct queue_places *places)
{
    char line[MTA_LINE_MAX], *rest;
    for (const char *at = text->text; mta_next_line(&at, text->text + text->length, line);) {
        char *field = line[0] == 'Q' ? strtok_r(line, ",", &rest) : NULL;
        for (; field != NULL; field = strtok_r(NULL, ",", &rest)) {
            char *path = strchr(trim(field), '=');
            if (toupper((unsigned char)*trim(field)) == 'P' && path != NULL)
                add_sendmail_queue(places, queue_mqueue, trim(path + 1));
        }
    }
}

/* submit.cf is beside sendmail.cf; without it there is no queue of submissions. */
static void add_submissions(const struct settings *settings, struct queue_places *places)
{
    char path[SETTINGS_PATH_MAX + 16] = "/etc/mail/", directory[QUEUE_PATH_BYTES] = "/var/spool/clientmqueue";
    struct failure ignored;
    if (settings->mta_config[0] == '/')
        strcpy(path, settings->mta_config);
    strcpy(strrchr(path, '/'), "/submit.cf");
    struct mta_text text = mta_read_file(path);
    if (text.text != NULL && take_path(&text, mta_sendmail_value, "QueueDirectory", directory, &ignored))
        add_sendmail_queue(places, queue_clientmqueue, directory);
    free(text.text);
}

static bool add_sendmail(const struct settings *settings, struct queue_places *places, struct failure *failure)
{
    char directory[QUEUE_PATH_BYTES] = "/var/spool/mqueue";
    struct mta_text text = mta_read_sendmail(settings);
    if (text.text == NULL)
        return cannot_read("sendmail.cf", settings, failure);
    add_groups(&text, places);
    bool good = take_path(&text, mta_sendmail_value, "QueueDirectory", directory, failure);
    free(text.text);
    if (good)
        add_sendmail_queue(places, queue_mqueue, directory);
    add_submissions(settings, places);
    return good;
}

/* ---- Exim ---- */

/* Debian's configuration does not name the spool directory: it is compiled in. */
static bool add_exim(const struct settings *settings, struct queue_places *places, struct failure *failure)
{
    struct queue_place place = {.format = &queue_format_exim,
                                .queue = queue_input,
                                .apart = queue_frozen,
                                .lost = queue_input,
                                .shows_tried = true};
    char directory[QUEUE_PATH_BYTES], path[QUEUE_PATH_BYTES];
    strcpy(directory, access("/var/spool/exim4", F_OK) == 0 ? "/var/spool/exim4" : "/var/spool/exim");
    struct mta_text text = mta_read_exim(settings);
    bool good = take_path(&text, mta_exim_value, "spool_directory", directory, failure);
    free(text.text);
    if (good && access(directory, F_OK) == 0)
        place.missing = queue_missing_is_empty; /* made with the first message */
    if (good && snprintf(path, sizeof path, "%s/input", directory) < (int)sizeof path)
        add(places, place, path);
    if (good && snprintf(path, sizeof path, "%s/*/input", directory) < (int)sizeof path) /* named queues */
        add(places, place, path);
    return good;
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
                                    .lost = queue->format == queue_form_sendmail ? queue_corrupt : label,
                                    .is_own = true,
                                    .shows_tried = queue->format != queue_form_postfix || is_deferred};
        add(places, place, path);
    }
}

bool queue_places_find(const struct settings *settings, struct queue_places *places, struct failure *failure)
{
    memset(places, 0, offsetof(struct queue_places, list));
    add_own(&settings->collector_queues, places);
    switch (mta_server(settings)) {
    case server_postfix:
        return add_postfix(settings, places, failure);
    case server_sendmail:
        return add_sendmail(settings, places, failure);
    case server_exim:
        return add_exim(settings, places, failure);
    default:
        return settings->collector_queues.count > 0 ||
               fail(failure, EX_CONFIG, "no mail server is found on this host, so there are no queues; set mta.kind");
    }
}
