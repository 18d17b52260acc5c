/* The table of roles, asked row by row. */
#include "exporter/collect/process_role.h"

#include <fnmatch.h>
#include <string.h>

struct row {
    enum label_server server;
    enum label_role role;
    const char *name, *parent, *title;
};

static const struct row rows[] = {
#define PROCESS_ROLE(server, role, name, parent, title) {server_##server, role_##role, name, parent, title},
#include "conf/tables/process_roles.def"
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static bool has_name(const struct row *row, const char *name)
{
    return fnmatch(row->name, name, 0) == 0;
}

/* "sendmail: MTA: accepting connections": what stands behind the prefix, if there is one; NULL: a command line as it was begun. A prefix
 * is one word, so that it is none of the texts of clients ("sendmail: [192.0.2.1]: ...", "sendmail: host [192.0.2.1]: ..."). */
static const char *said_by_sendmail(const char *title)
{
    static const char name[] = "sendmail: ";
    if (strncmp(title, name, sizeof name - 1) != 0)
        return NULL;
    title += sizeof name - 1;
    size_t prefix = strspn(title, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    return prefix > 0 && strncmp(title + prefix, ": ", 2) == 0 ? title + prefix + 2 : title;
}

static bool fits(const struct row *row, const char *name, const char *parent, const char *title)
{
    if (!has_name(row, name))
        return false;
    if (*row->parent == '!' ? strcmp(row->parent + 1, parent) == 0
                            : *row->parent != '\0' && strcmp(row->parent, parent) != 0)
        return false;
    if (row->server == server_sendmail)
        title = said_by_sendmail(title);
    return title != NULL && (*row->title == '\0' || fnmatch(row->title, title, 0) == 0);
}

bool process_role_likely(const char *name)
{
    for (int i = 0; i < ROWS; i++) {
        if (has_name(&rows[i], name))
            return true;
    }
    return false;
}

enum label_role process_role(const char *name, const char *parent, const char *title)
{
    for (int i = 0; i < ROWS; i++) {
        if (fits(&rows[i], name, parent, title))
            return rows[i].role;
    }
    return role_COUNT;
}

enum label_server process_role_server(enum label_role role)
{
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].role == role)
            return rows[i].server;
    }
    return server_COUNT;
}
