/* Our socket, and how Postfix names it: as a path from its queue directory, which is its chroot, too. */
#include "milter/supervisor/doctor_checks.h"
#include "milter/supervisor/doctor_memory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *doctor_unix_path(const struct doctor *doctor)
{
    const char *socket = doctor->settings->milter_socket;
    return strncmp(socket, "unix:", 5) == 0 ? socket + 5 : NULL;
}

struct cure doctor_set(const struct doctor *doctor, const char *line)
{
    return (struct cure){
        memory_print("Put into %s, in place of what it says there, and restart milterscope", doctor->file), line};
}

/* The path with links resolved, as far as its folder exists. */
static const char *real_path(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return path;
    return realpath(memory_copy(path, (size_t)(slash - path)), folder) != NULL ? memory_print("%s%s", folder, slash)
                                                                               : path;
}

bool doctor_same_path(const char *one, const char *other)
{
    return strcmp(real_path(one), real_path(other)) == 0;
}

/* ---- TCP ---- */

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

bool doctor_same_port(const struct doctor *doctor, const char *port, size_t length, const char *host)
{
    const char *socket = doctor->settings->milter_socket, *own = strchr(socket, ':') + 1, *at = strchr(socket, '@');
    if (at == NULL || length != (size_t)(at - own) || strncmp(port, own, length) != 0)
        return false;
    bool any = strcmp(at + 1, "0.0.0.0") == 0 || strcmp(at + 1, "::") == 0;
    return any || strcmp(host, at + 1) == 0 || (is_loopback(host) && is_loopback(at + 1));
}

/* Postfix writes inet:host:port, [host]:port; we, as libmilter, inet:port@host. */
static bool is_our_port(const struct doctor *doctor, const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, "inet:", 5) != 0 || colon == endpoint + 4)
        return false;
    bool bracket = endpoint[5] == '[';
    size_t host_length = (size_t)(colon - endpoint) - 5 - 2 * (size_t)bracket;
    if (bracket && (colon < endpoint + 7 || colon[-1] != ']'))
        return false;
    const char *host = memory_copy(endpoint + 5 + bracket, host_length);
    return doctor_same_port(doctor, colon + 1, strlen(colon + 1), host);
}

/* ---- Unix sockets ---- */

const char *doctor_usual_path(const struct doctor *doctor)
{
    if (doctor->postfix == NULL)
        return "/run/milterscope/milter.sock";
    return memory_print("%s/milterscope/milter.sock", postfix_value(doctor->postfix, NULL, "queue_directory"));
}

/* What follows `folder` in `path`; NULL: it is not in there. */
static const char *path_below(const char *path, const char *folder)
{
    char real[PATH_MAX];
    if (realpath(folder, real) == NULL)
        return NULL;
    path = real_path(path);
    size_t length = strlen(real);
    return strncmp(path, real, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

bool doctor_out_of_chroot(const struct doctor *doctor)
{
    const char *path = doctor_unix_path(doctor);
    bool chrooted = doctor_any_chrooted(doctor->postfix, "smtpd") || doctor_any_chrooted(doctor->postfix, "cleanup");
    return path != NULL && chrooted &&
           path_below(path, postfix_value(doctor->postfix, NULL, "queue_directory")) == NULL;
}

const char *doctor_name_for_postfix(const struct doctor *doctor)
{
    const char *path = doctor_unix_path(doctor);
    if (path == NULL) {
        const char *socket = doctor->settings->milter_socket;
        const char *port = strchr(socket, ':') + 1, *at = strchr(socket, '@');
        bool bracket = strchr(at, ':') != NULL;
        return memory_print("inet:%s%s%s:%.*s", bracket ? "[" : "", at + 1, bracket ? "]" : "", (int)(at - port), port);
    }
    if (doctor_out_of_chroot(doctor))
        return "unix:milterscope/milter.sock"; /* once it has moved */
    const char *below = path_below(path, postfix_value(doctor->postfix, NULL, "queue_directory"));
    return memory_print("unix:%s", below != NULL ? below : path);
}

enum entry_kind doctor_entry(const struct doctor *doctor, const struct filter *entry, bool chrooted)
{
    const char *ours = doctor_unix_path(doctor);
    const char *colon = strchr(entry->endpoint, ':');
    if (ours == NULL)
        return is_our_port(doctor, entry->endpoint) ? entry_ours : entry_other;
    if (colon == NULL || (strncmp(entry->endpoint, "unix:", 5) != 0 && strncmp(entry->endpoint, "local:", 6) != 0))
        return entry_other;
    const char *path = colon + 1;
    const char *below = memory_print("%s/%s", postfix_value(doctor->postfix, NULL, "queue_directory"), path);
    bool is_below = path[0] != '/' || chrooted;
    const char *inside = is_below ? below : path, *outside = is_below ? path : below;
    if (doctor_same_path(inside, doctor_out_of_chroot(doctor) ? doctor_usual_path(doctor) : ours))
        return entry_ours;
    return path[0] == '/' && doctor_same_path(outside, ours) ? entry_astray : entry_other;
}
