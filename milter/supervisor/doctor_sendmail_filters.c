/* sendmail's filters: is ours defined and used, once and last, and does mail flow on when it does not answer? What cures stands in
 * sendmail.mc, from which sendmail.cf is made. */
#include "milter/supervisor/doctor_checks.h"
#include "milter/supervisor/doctor_memory.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define REMAKE "make sendmail.cf anew (Debian: sendmailconfig) and restart sendmail"

/* TYPE:PORT@HOST as in our own option; the host, which may stand in brackets, may have another name there. */
static bool is_our_port(const struct doctor *doctor, const char *socket)
{
    const char *colon = strchr(socket, ':'), *at = colon != NULL ? strchr(colon, '@') : NULL;
    if (at == NULL || (strncasecmp(socket, "inet:", 5) != 0 && strncasecmp(socket, "inet6:", 6) != 0))
        return false;
    size_t bracket = at[1] == '[', length = strlen(at + 1 + bracket);
    const char *host = memory_copy(at + 1 + bracket, length - (bracket > 0 && length > 0));
    return doctor_same_port(doctor, colon + 1, (size_t)(at - colon - 1), host);
}

/* S= is TYPE:PATH or TYPE:PORT@HOST; without a type it is a path. */
static bool is_our_socket(const struct doctor *doctor, const char *socket)
{
    const char *path = doctor_unix_path(doctor), *colon = strchr(socket, ':');
    if (path == NULL)
        return is_our_port(doctor, socket);
    if (colon == NULL)
        return *socket == '/' && doctor_same_path(socket, path);
    bool is_unix = colon == socket || strncasecmp(socket, "unix:", 5) == 0 || strncasecmp(socket, "local:", 6) == 0;
    return is_unix && doctor_same_path(colon + 1, path);
}

static bool is_ours(const struct doctor *doctor, const char *name)
{
    const struct sendmail_filter *filter = sendmail_filter(doctor->sendmail, name);
    return filter != NULL && is_our_socket(doctor, filter->socket);
}

static const struct sendmail_filter *find_ours(const struct doctor *doctor)
{
    const struct sendmail_filter *filter = doctor->sendmail->filters;
    while (filter != NULL && !is_our_socket(doctor, filter->socket))
        filter = filter->next;
    return filter;
}

static const char *name_of_ours(const struct doctor *doctor)
{
    const struct sendmail_filter *filter = find_ours(doctor);
    return filter != NULL ? filter->name : "milterscope";
}

static const char *definition(const struct doctor *doctor)
{
    return memory_print("INPUT_MAIL_FILTER(`%s', `S=%s, F=, T=C:1s;S:2s;R:2s;E:5s')dnl", name_of_ours(doctor),
                        doctor->settings->milter_socket);
}

/* All others in their order, and ours once behind them. */
static const char *right_list(const struct doctor *doctor, const struct sendmail_word *names, const char *separator)
{
    const char *list = "";
    for (; names != NULL; names = names->next) {
        if (!is_ours(doctor, names->text))
            list = memory_print("%s%s%s", list, names->text, separator);
    }
    return memory_print("%s%s", list, name_of_ours(doctor));
}

/* ---- the list ---- */

struct place {
    unsigned count;
    const char *behind; /* the first filter behind the last of ours, or NULL */
};

static struct place find_place(const struct doctor *doctor, const struct sendmail_word *names)
{
    struct place place = {0, NULL};
    for (; names != NULL; names = names->next) {
        bool ours = is_ours(doctor, names->text);
        place.count += ours;
        if (ours)
            place.behind = names->next != NULL ? names->next->text : NULL;
    }
    return place;
}

/* A list of names, and what makes it right. */
static void look_at_names(struct doctor *doctor, const char *label, const struct sendmail_word *names, struct cure cure)
{
    struct place place = find_place(doctor, names);
    if (place.count == 0)
        findings_add(&doctor->findings, cure, "%s: milterscope is not in it, so nothing that comes that way is counted",
                     label);
    if (place.count > 1)
        findings_add(&doctor->findings, cure, "%s: milterscope stands in it %u times, so all is counted %u times",
                     label, place.count, place.count);
    if (place.behind != NULL)
        findings_add(
            &doctor->findings, cure,
            "%s: milterscope is not the last, so it does not see the headers that %s adds, nor what that refuses",
            label, place.behind);
}

/* ---- the definition ---- */

static void look_at_definition(struct doctor *doctor, const struct sendmail_filter *filter)
{
    static const struct {
        char flag;
        const char *harm;
    } harms[] = {{'T', "mail is put off with 4xx"},
                 {'R', "mail is refused with 5xx"},
                 {'4', "clients are turned away with 421"}};
    struct cure cure = {
        memory_print("Put into sendmail.mc, in place of the line that defines %s; " REMAKE, filter->name),
        definition(doctor)};
    for (size_t i = 0; i < sizeof harms / sizeof harms[0]; i++) {
        if (strchr(filter->flags, harms[i].flag) != NULL)
            findings_add(&doctor->findings, cure, "filter %s has F=%s, so %s when milterscope does not answer",
                         filter->name, filter->flags, harms[i].harm);
    }
    if (filter->connect > CONNECT_MOST || filter->write > COMMAND_MOST || filter->read > COMMAND_MOST ||
        filter->content > CONTENT_MOST)
        findings_add(&doctor->findings, cure,
                     "filter %s: one that hangs may hold up a session for %" PRId64 " s at its start, %" PRId64
                     " s at each command and "
                     "%" PRId64 " s at the end of a message",
                     filter->name, filter->connect, filter->write + filter->read, filter->content);
}

void doctor_sendmail_filters(struct doctor *doctor)
{
    const struct sendmail_filter *filter = find_ours(doctor);
    if (filter == NULL) {
        findings_add(&doctor->findings,
                     (struct cure){"Put into sendmail.mc, behind all other filters; " REMAKE, definition(doctor)},
                     "sendmail.cf defines no filter with the socket %s, so nothing is counted",
                     doctor->settings->milter_socket);
        return;
    }
    const char *line =
        memory_print("define(`confINPUT_MAIL_FILTERS', `%s')dnl", right_list(doctor, doctor->sendmail->input, ", "));
    look_at_names(doctor, "InputMailFilters", doctor->sendmail->input,
                  (struct cure){"Put into sendmail.mc, as its last line; " REMAKE, line});
    for (; filter != NULL; filter = filter->next) {
        if (is_our_socket(doctor, filter->socket))
            look_at_definition(doctor, filter);
    }
}

/* Does mail come there a second time, with nothing for us to see? */
static bool comes_back(const struct doctor *doctor, const struct sendmail_listener *listener)
{
    const char *address = listener->address + (strncasecmp(listener->address, "IPv6:", 5) == 0 ? 5 : 0);
    return doctor->settings->spam_scanner != scanner_reinjection && doctor_reinjects(doctor, address, listener->port);
}

static void look_at_listener(struct doctor *doctor, const struct sendmail_listener *listener)
{
    bool named = listener->name[0] != '\0';
    const char *line = memory_print("DAEMON_OPTIONS(`%s%sInputMailFilters=%s')dnl", listener->options,
                                    *listener->options != '\0' ? ", " : "", right_list(doctor, listener->filters, ";"));
    const char *where = memory_print("Put into sendmail.mc, in place of the line with %s%s; " REMAKE,
                                     named ? "Name=" : "", named ? listener->name : listener->options);
    const char *label = memory_print("InputMailFilters of %s %s", named ? "listener" : "the listener with",
                                     named ? listener->name : listener->options);
    look_at_names(doctor, label, listener->filters, (struct cure){where, line});
}

void doctor_sendmail_listeners(struct doctor *doctor)
{
    if (find_ours(doctor) == NULL)
        return; /* first things first */
    for (const struct sendmail_listener *listener = doctor->sendmail->listeners; listener != NULL;
         listener = listener->next) {
        if (listener->has_filters && !comes_back(doctor, listener))
            look_at_listener(doctor, listener);
    }
}
