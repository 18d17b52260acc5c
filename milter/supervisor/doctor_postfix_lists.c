/* Postfix' lists of filters, smtpd_milters and non_smtpd_milters, in main.cf and where a service of master.cf has its own, and those that
 * smtpd_milter_maps gives to some clients: is our filter there, once and last, and does mail flow on when it does not answer? */
#include "milter/supervisor/doctor_checks.h"
#include "milter/supervisor/doctor_memory.h"
#include "milter/supervisor/doctor_tables.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct list {
    const char *name;
    const char *command; /* of the services that use it */
    const char *lost;    /* what is not seen without us */
} lists[] = {
    {"smtpd_milters", "smtpd", "what comes over SMTP"},
    {"non_smtpd_milters", "cleanup", "what local programs hand in"},
};
enum { LISTS = sizeof lists / sizeof lists[0] };

static const struct list of_clients = {"smtpd_milter_maps", "smtpd", "what comes from there"};
enum { CLIENTS_SHOWN = 10 }; /* of a table; more are shown when these are cured */

/* A list where it stands, and the settings that are in force for its entries. */
struct view {
    const struct list *list;
    const struct postfix_service *service; /* NULL: main.cf */
    bool is_own;                           /* the list itself is the service's own */
    bool chrooted;
    const char *label;
    const struct filter *entries;
    const struct table *tables, *table; /* of_clients: all of the setting, the one with the entry, and */
    const struct table_entry *client;   /* the entry that gives this list to a client; else NULL */
};

struct selection {
    const struct doctor *doctor;
    bool chrooted;
};

static bool is_foreign(const struct filter *entry, const void *context)
{
    const struct selection *selection = context;
    return doctor_entry(selection->doctor, entry, selection->chrooted) == entry_other;
}

static size_t count_ours(const struct doctor *doctor, const struct filter *entries, bool chrooted)
{
    size_t count = 0;
    for (; entries != NULL; entries = entries->next)
        count += doctor_entry(doctor, entries, chrooted) != entry_other;
    return count;
}

/* $smtpd_milters, ${smtpd_milters} or $(smtpd_milters). */
static bool refers_to(const char *value, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = value; (at = strchr(at, '$')) != NULL; at++) {
        const char *begin = at + 1 + (at[1] == '{' || at[1] == '(');
        if (strncmp(begin, name, length) == 0 && strspn(begin + length, "abcdefghijklmnopqrstuvwxyz_") == 0)
            return true;
    }
    return false;
}

/* The entries to write again: as they stand, unless ours is hidden in another parameter or the one list refers to the other, which is
 * cured by a line of its own. */
static const struct filter *entries_to_write(const struct doctor *doctor, const struct view *view)
{
    const struct postfix_service *home = view->is_own ? view->service : NULL;
    const struct postfix_setting *setting = postfix_own(doctor->postfix, home, view->list->name);
    if (setting == NULL || setting->raw == NULL || refers_to(setting->raw, lists[0].name))
        return view->entries;
    const struct filter *raw = list_split(setting->raw);
    bool visible = count_ours(doctor, raw, view->chrooted) == count_ours(doctor, view->entries, view->chrooted);
    return visible ? raw : view->entries;
}

/* The entries with ours once, last, and with settings that are safe. */
static const char *with_ours(const struct doctor *doctor, const struct filter *entries, bool chrooted, bool compact)
{
    const struct selection selection = {doctor, chrooted};
    const char *ours =
        memory_print("{ %s, default_action=accept, connect_timeout=1s, command_timeout=2s, content_timeout=5s }",
                     doctor_name_for_postfix(doctor));
    return list_join(entries, is_foreign, &selection, ours, compact);
}

/* What postconf has expanded, written so that Postfix, which expands it again, comes to the same. */
static const char *unexpanded(const char *text)
{
    char *written = memory_take(2 * strlen(text) + 1), *end = written;
    for (; *text != '\0'; *end++ = *text++) {
        if (*text == '$')
            *end++ = '$';
    }
    return written;
}

static struct cure set_cure(const struct doctor *doctor, const struct view *view, const char *value)
{
    const char *setting = view->is_own ? memory_print("%s/%s=%s", view->service->name, view->list->name, value)
                                       : memory_print("%s = %s", view->list->name, value);
    return cure_run(
        memory_print("%s -%c %s", doctor->postfix->postconf, view->is_own ? 'P' : 'e', shell_word(setting)));
}

/* The list that a table gives to a client; no table can give an empty one. */
static const struct filter *list_of_client(const struct table_entry *client)
{
    return list_split(strcasecmp(client->value, "DISABLE") == 0 ? "" : client->value);
}

static bool is_in_the_setting(const struct table *table)
{
    return strcmp(table->type, "inline") == 0 || strcmp(table->type, "static") == 0;
}

/* The table as the setting has it; with all its lists put right where they stand in the setting: they are cured by one line. */
static const char *table_cured(const struct doctor *doctor, const struct view *view, const struct table *table)
{
    bool is_static = strcmp(table->type, "static") == 0;
    const char *prefix = memory_copy(table->text, (size_t)(table->name - table->text)), *text = "";
    if (!is_in_the_setting(table))
        return table->text;
    for (const struct table_entry *client = table->entries; client != NULL; client = client->next)
        text = memory_print("%s%s{%s%s%s}", text, *text != '\0' ? "," : "", is_static ? "" : client->key,
                            is_static ? "" : "=", with_ours(doctor, list_of_client(client), view->chrooted, true));
    return memory_print(is_static ? "%s%s" : "%s{%s}", prefix, text);
}

static struct cure client_cure(const struct doctor *doctor, const struct view *view)
{
    const struct table *table = view->table;
    const char *place = table->name, *remake = "", *setting = "";
    if (is_in_the_setting(table)) {
        for (const struct table *each = view->tables; each != NULL; each = each->next)
            setting = memory_print("%s%s%s", setting, *setting != '\0' ? "," : "", table_cured(doctor, view, each));
        setting = unexpanded(setting);
        if (!view->is_own || strpbrk(setting, " \t") == NULL)
            return set_cure(doctor, view, setting);
        return (struct cure){
            /* postconf -P takes no blanks, and a table may need them */
            memory_print("Put into master.cf, in place of what %s has for %s", view->service->name, view->list->name),
            memory_print("-o { %s = %s }", view->list->name, setting)};
    }
    const char *key = view->client->key, *value = with_ours(doctor, view->entries, view->chrooted, false);
    if (place[0] != '/') {
        place = memory_print("%s of %s", view->list->name, view->is_own ? "master.cf" : "main.cf");
        key = unexpanded(key);
        value = unexpanded(value);
    }
    if (table->indexed)
        remake = memory_print(", and run postmap %s:%s", table->type, shell_word(table->name));
    return (struct cure){memory_print("Put into %s, in place of what %s has there%s", place, key, remake),
                         memory_print("%s %s", key, value)};
}

/* The line that puts the list right. */
static struct cure list_cure(const struct doctor *doctor, const struct view *view)
{
    if (view->client != NULL)
        return client_cure(doctor, view);
    return set_cure(doctor, view, with_ours(doctor, entries_to_write(doctor, view), view->chrooted, view->is_own));
}

/* ---- what an entry does when the filter does not answer ---- */

static const char *in_force(const struct doctor *doctor, const struct view *view, const struct filter *entry,
                            const char *own, const char *general)
{
    const char *value = list_setting(entry, own);
    return value != NULL ? value : postfix_value(doctor->postfix, view->service, general);
}

static void look_at_action(struct doctor *doctor, const struct view *view, const struct filter *entry)
{
    static const struct {
        const char *action, *harm;
    } harms[] = {{"tempfail", "mail is put off with 4xx"},
                 {"shutdown", "clients are turned away with 421"},
                 {"reject", "mail is refused with 5xx"},
                 {"quarantine", "mail is held in the queue"}};
    const char *action = in_force(doctor, view, entry, "default_action", "milter_default_action");
    const char *harm = "mail may be refused";
    if (strcasecmp(action, "accept") == 0)
        return;
    for (size_t i = 0; i < sizeof harms / sizeof harms[0]; i++) {
        if (strcasecmp(action, harms[i].action) == 0)
            harm = harms[i].harm;
    }
    findings_add(&doctor->findings, list_cure(doctor, view),
                 "%s: default_action is %s for milterscope, so %s when the filter does not answer", view->label, action,
                 harm);
}

static void look_at_deadlines(struct doctor *doctor, const struct view *view, const struct filter *entry)
{
    const char *connect = in_force(doctor, view, entry, "connect_timeout", "milter_connect_timeout");
    const char *command = in_force(doctor, view, entry, "command_timeout", "milter_command_timeout");
    const char *content = in_force(doctor, view, entry, "content_timeout", "milter_content_timeout");
    if (list_seconds(connect) <= CONNECT_MOST && list_seconds(command) <= COMMAND_MOST &&
        list_seconds(content) <= CONTENT_MOST)
        return;
    findings_add(&doctor->findings, list_cure(doctor, view),
                 "%s: a filter that hangs may hold up a session for %s at its start, %s at each command and %s at the "
                 "end of a message",
                 view->label, connect, command, content);
}

static void look_at_protocol(struct doctor *doctor, const struct view *view, const struct filter *entry)
{
    const char *protocol = in_force(doctor, view, entry, "protocol", "milter_protocol");
    if (strtol(protocol, NULL, 10) >= 6)
        return;
    bool own = list_setting(entry, "protocol") != NULL;
    const struct postfix_service *home =
        view->service != NULL && postfix_own(doctor->postfix, view->service, "milter_protocol") != NULL ? view->service
                                                                                                        : NULL;
    const char *line =
        home != NULL ? memory_print("%s -P %s/milter_protocol=6", doctor->postfix->postconf, shell_word(home->name))
                     : memory_print("%s -e 'milter_protocol = 6'", doctor->postfix->postconf);
    findings_add(&doctor->findings, own ? list_cure(doctor, view) : cure_run(line),
                 "%s: milter_protocol is %s; below 6 refused recipients are not shown to filters", view->label,
                 protocol);
}

static void look_at_settings(struct doctor *doctor, const struct view *view, const struct filter *entry)
{
    look_at_action(doctor, view, entry);
    look_at_deadlines(doctor, view, entry);
    look_at_protocol(doctor, view, entry);
}

/* ---- where our entry stands ---- */

static const struct filter *find_ours(const struct doctor *doctor, const struct view *view)
{
    const struct filter *entry = view->entries;
    while (entry != NULL && doctor_entry(doctor, entry, view->chrooted) == entry_other)
        entry = entry->next;
    return entry;
}

static void look_at_list(struct doctor *doctor, const struct view *view)
{
    struct findings *findings = &doctor->findings;
    const struct filter *ours = find_ours(doctor, view), *last = ours;
    if (ours == NULL) {
        findings_add(findings, list_cure(doctor, view), "%s: milterscope is not in it, so %s is not counted",
                     view->label, view->list->lost);
        return;
    }
    size_t count = count_ours(doctor, view->entries, view->chrooted);
    for (const struct filter *entry = ours; entry != NULL; entry = entry->next)
        last = doctor_entry(doctor, entry, view->chrooted) != entry_other ? entry : last;
    if (count > 1)
        findings_add(findings, list_cure(doctor, view),
                     "%s: milterscope stands in it %zu times, so all is counted %zu times", view->label, count, count);
    if (last->next != NULL)
        findings_add(
            findings, list_cure(doctor, view),
            "%s: milterscope is not the last, so it does not see the headers that %s adds, nor what that refuses",
            view->label, last->next->endpoint);
    if (doctor_entry(doctor, last, view->chrooted) == entry_astray)
        findings_add(findings, list_cure(doctor, view), "%s: %s, where %s leads elsewhere than to milterscope's socket",
                     view->label,
                     view->chrooted ? memory_print("%s works in the chroot %s", view->list->command,
                                                   postfix_value(doctor->postfix, NULL, "queue_directory"))
                                    : memory_print("%s works in no chroot", view->list->command),
                     last->endpoint);
    for (const struct filter *entry = ours; entry != NULL; entry = entry->next) {
        if (doctor_entry(doctor, entry, view->chrooted) != entry_other)
            look_at_settings(doctor, view, entry);
    }
}

/* Has the service a setting of its own that counts where the entry has none? */
static bool sets_general(const struct postfix *postfix, const struct postfix_service *service)
{
    static const char *const names[] = {"milter_default_action", "milter_connect_timeout", "milter_command_timeout",
                                        "milter_content_timeout", "milter_protocol"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (postfix_own(postfix, service, names[i]) != NULL)
            return true;
    }
    return false;
}

static void look_at_service(struct doctor *doctor, const struct list *list, const struct postfix_service *service)
{
    const char *value = postfix_value(doctor->postfix, service, list->name);
    struct view view = {.list = list,
                        .service = service,
                        .is_own = postfix_own(doctor->postfix, service, list->name) != NULL,
                        .chrooted = postfix_chrooted(doctor->postfix, service),
                        .label = memory_print("%s of %s in master.cf", list->name, service->name),
                        .entries = list_split(value)};
    const struct filter *ours = find_ours(doctor, &view);
    if (view.is_own)
        look_at_list(doctor, &view);
    else if (ours != NULL && sets_general(doctor->postfix, service))
        look_at_settings(doctor, &view, ours);
}

/* Of the services that use such a list: not one to which a content filter hands mail back, and none from which one before the queue
 * takes the mail, which have checks of their own. */
static bool is_looked_at(const struct doctor *doctor, const struct list *list, const struct postfix_service *service)
{
    return strcmp(service->command, list->command) == 0 && !doctor_comes_back(doctor, service) &&
           !doctor_before_queue(doctor, service);
}

/* Does main.cf's list count for some service, or is there none that could tell? */
static bool is_used(const struct doctor *doctor, const struct list *list)
{
    bool any = false;
    for (const struct postfix_service *service = doctor->postfix->services; service != NULL; service = service->next) {
        if (!is_looked_at(doctor, list, service))
            continue;
        if (postfix_own(doctor->postfix, service, list->name) == NULL)
            return true;
        any = true;
    }
    return !any;
}

static void look_at_main(struct doctor *doctor, const struct list *list)
{
    const struct postfix_setting *setting = postfix_own(doctor->postfix, NULL, list->name);
    const struct filter *raw = setting != NULL && setting->raw != NULL ? list_split(setting->raw) : NULL;
    struct view view = {.list = list,
                        .chrooted = doctor_any_chrooted(doctor->postfix, list->command),
                        .label = list->name,
                        .entries = list_split(postfix_value(doctor->postfix, NULL, list->name))};
    /* What is nothing but the other list is put right with it. */
    if (list != &lists[0] && raw != NULL && raw->next == NULL && refers_to(raw->text, lists[0].name))
        return;
    look_at_list(doctor, &view);
}

/* ---- lists for some clients ---- */

static void look_at_table(struct doctor *doctor, struct view view, const char *whose)
{
    const struct table *table = view.table;
    const size_t before = doctor->findings.count;
    if (table->unread.status != EX_OK)
        findings_blind(&doctor->findings, table->unread.status,
                       "%s%s, %s: %s; whom it keeps from milterscope is not known", view.list->name, whose, table->text,
                       table->unread.text);
    for (const struct table_entry *client = table->entries;
         client != NULL && doctor->findings.count < before + CLIENTS_SHOWN; client = client->next) {
        view.client = client;
        view.label = memory_print("%s%s, %s in %s", view.list->name, whose, client->key,
                                  table->name[0] == '/' ? table->text : table->type);
        view.entries = list_of_client(client);
        look_at_list(doctor, &view);
    }
}

/* Of a service that has tables of its own, or of main.cf (NULL). */
static void look_at_tables(struct doctor *doctor, const struct postfix_service *service)
{
    struct view view = {.list = &of_clients, .service = service, .is_own = service != NULL};
    const struct postfix *postfix = doctor->postfix;
    const char *whose = service != NULL ? memory_print(" of %s in master.cf", service->name) : "";
    view.chrooted = service != NULL ? postfix_chrooted(postfix, service) : doctor_any_chrooted(postfix, "smtpd");
    view.tables = tables_read(postfix, postfix_value(postfix, service, of_clients.name));
    for (view.table = view.tables; view.table != NULL; view.table = view.table->next)
        look_at_table(doctor, view, whose);
}

/* ---- all lists ---- */

void doctor_postfix_lists(struct doctor *doctor)
{
    const struct postfix_service *const services = doctor->postfix->services, *service;
    for (const struct list *list = lists; list < lists + LISTS; list++) {
        if (is_used(doctor, list))
            look_at_main(doctor, list);
        for (service = services; service != NULL; service = service->next) {
            if (is_looked_at(doctor, list, service))
                look_at_service(doctor, list, service);
        }
    }
    if (is_used(doctor, &of_clients))
        look_at_tables(doctor, NULL);
    for (service = services; service != NULL; service = service->next) {
        if (is_looked_at(doctor, &of_clients, service) &&
            postfix_own(doctor->postfix, service, of_clients.name) != NULL)
            look_at_tables(doctor, service);
    }
}
