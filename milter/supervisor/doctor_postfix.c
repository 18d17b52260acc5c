/* Asking postconf, and taking in what it prints: lines NAME = VALUE, SERVICE/TYPE/FIELD = VALUE, SERVICE/TYPE/NAME = VALUE. */
#include "milter/supervisor/doctor_postfix.h"

#include "milter/supervisor/doctor_command.h"
#include "milter/supervisor/doctor_findings.h"
#include "milter/supervisor/doctor_memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEADLINE_MS = 10 * 1000, WORDS_MAX = 32 };

static const char *const asked[] = {"compatibility_level",
                                    "config_directory",
                                    "content_filter",
                                    "default_process_limit",
                                    "mail_owner",
                                    "milter_command_timeout",
                                    "milter_connect_timeout",
                                    "milter_content_timeout",
                                    "milter_default_action",
                                    "milter_protocol",
                                    "non_smtpd_milters",
                                    "queue_directory",
                                    "receive_override_options",
                                    "smtpd_delay_reject",
                                    "smtpd_milter_maps",
                                    "smtpd_milters",
                                    "smtpd_proxy_filter"};
enum { ASKED = sizeof asked / sizeof asked[0] };

/* ---- what postconf prints ---- */

/* A line's name and value; false at the end of the text. */
static bool take_line(const char **text, const char **name, const char **value)
{
    for (;;) {
        if (**text == '\0')
            return false;
        size_t length = strcspn(*text, "\n");
        const char *line = memory_copy(*text, length);
        *text += length + ((*text)[length] == '\n');
        char *equals = strstr(line, " =");
        if (equals == NULL || equals == line)
            continue;
        *equals = '\0';
        *name = line;
        *value = equals + 2 + strspn(equals + 2, " \t");
        return true;
    }
}

static struct postfix_setting *find_setting(struct postfix_setting *settings, const char *name)
{
    while (settings != NULL && strcmp(settings->name, name) != 0)
        settings = settings->next;
    return settings;
}

static void set(struct postfix_setting **settings, const char *name, const char *value, enum postfix_form form)
{
    struct postfix_setting *setting = find_setting(*settings, name);
    if (setting == NULL) {
        setting = memory_take(sizeof *setting);
        setting->name = name;
        setting->next = *settings;
        *settings = setting;
    }
    if (form == postfix_raw)
        setting->raw = value;
    else
        setting->value = value;
}

/* The service of the first `length` bytes of `name`, made where it is new; services stay in the order of master.cf. */
static struct postfix_service *service_of(struct postfix *postfix, const char *name, size_t length)
{
    struct postfix_service **end = &postfix->services;
    for (; *end != NULL; end = &(*end)->next) {
        if (strncmp((*end)->name, name, length) == 0 && (*end)->name[length] == '\0')
            return *end;
    }
    *end = memory_take(sizeof **end);
    (*end)->name = memory_copy(name, length);
    (*end)->command = (*end)->process_limit = (*end)->chroot = "";
    return *end;
}

void postfix_take_settings(struct postfix *postfix, const char *text, enum postfix_form form)
{
    for (const char *name, *value; take_line(&text, &name, &value);)
        set(&postfix->settings, name, value, form);
}

void postfix_take_services(struct postfix *postfix, const char *text)
{
    for (const char *name, *value; take_line(&text, &name, &value);) {
        const char *field = strrchr(name, '/');
        if (field == NULL)
            continue;
        struct postfix_service *service = service_of(postfix, name, (size_t)(field - name));
        if (strcmp(field, "/command") == 0)
            service->command = memory_copy(value, strcspn(value, " \t"));
        else if (strcmp(field, "/chroot") == 0)
            service->chroot = value;
        else if (strcmp(field, "/process_limit") == 0)
            service->process_limit = value;
    }
}

void postfix_take_own(struct postfix *postfix, const char *text, enum postfix_form form)
{
    for (const char *name, *value; take_line(&text, &name, &value);) {
        const char *setting = strrchr(name, '/');
        if (setting != NULL)
            set(&service_of(postfix, name, (size_t)(setting - name))->settings, setting + 1, value, form);
    }
}

/* ---- what it means ---- */

const struct postfix_setting *postfix_own(const struct postfix *postfix, const struct postfix_service *service,
                                          const char *name)
{
    return find_setting(service != NULL ? service->settings : postfix->settings, name);
}

const char *postfix_value(const struct postfix *postfix, const struct postfix_service *service, const char *name)
{
    const struct postfix_setting *setting = service != NULL ? postfix_own(postfix, service, name) : NULL;
    if (setting == NULL)
        setting = postfix_own(postfix, NULL, name);
    return setting != NULL && setting->value != NULL ? setting->value : "";
}

/* Since Postfix 3.0 a "-" means no, unless it was told to be compatible with what was before. */
bool postfix_chrooted(const struct postfix *postfix, const struct postfix_service *service)
{
    if (strcmp(service->chroot, "-") == 0)
        return strtol(postfix_value(postfix, NULL, "compatibility_level"), NULL, 10) < 1;
    return service->chroot[0] == 'y';
}

unsigned long postfix_process_limit(const struct postfix *postfix, const struct postfix_service *service)
{
    const char *limit = service->process_limit;
    return strtoul(strcmp(limit, "-") == 0 ? postfix_value(postfix, NULL, "default_process_limit") : limit, NULL, 10);
}

/* ---- asking ---- */

static const char *call(const char *path, const char *directory, const char *flag, bool names, struct failure *failure)
{
    const char *words[WORDS_MAX] = {path};
    struct command command = {.arguments = words, .descriptor = -1, .deadline_ms = DEADLINE_MS};
    struct command_result result;
    size_t count = 1;
    if (directory != NULL) {
        words[count++] = "-c";
        words[count++] = directory;
    }
    if (flag != NULL)
        words[count++] = flag;
    for (size_t i = 0; names && i < ASKED; i++)
        words[count++] = asked[i];
    if (!command_run(&command, &result, failure))
        return NULL;
    if (result.status == 0)
        return result.out;
    fail(failure, geteuid() == 0 ? EX_UNAVAILABLE : EX_NOPERM, "%s cannot tell how Postfix is configured: %s", path,
         result.err);
    return NULL;
}

static bool ask_all(struct postfix *postfix, const char *path, const char *directory, struct failure *failure)
{
    const char *raw = call(path, directory, NULL, true, failure);
    const char *value = raw != NULL ? call(path, directory, "-x", true, failure) : NULL;
    const char *fields = value != NULL ? call(path, directory, "-F", false, failure) : NULL;
    const char *own_raw = fields != NULL ? call(path, directory, "-P", false, failure) : NULL;
    const char *own = own_raw != NULL ? call(path, directory, "-Px", false, failure) : NULL;
    if (own == NULL)
        return false;
    postfix_take_settings(postfix, raw, postfix_raw);
    postfix_take_settings(postfix, value, postfix_expanded);
    postfix_take_services(postfix, fields);
    postfix_take_own(postfix, own_raw, postfix_raw);
    postfix_take_own(postfix, own, postfix_expanded);
    return true;
}

struct postfix *postfix_ask(const char *directory, struct failure *failure)
{
    struct postfix *postfix = memory_take(sizeof *postfix);
    const char *path = command_find("postconf");
    if (path == NULL) {
        fail(failure, EX_UNAVAILABLE, "there is no postconf in PATH, which tells how Postfix is configured");
        return NULL;
    }
    if (!ask_all(postfix, path, directory, failure))
        return NULL;
    const char *where = postfix_value(postfix, NULL, "config_directory");
    const char *option =
        directory != NULL || getenv("MAIL_CONFIG") != NULL ? memory_print(" -c %s", shell_word(where)) : "";
    postfix->postconf = memory_print("postconf%s", option);
    postfix->reload = memory_print("postfix%s reload", option);
    return postfix;
}
