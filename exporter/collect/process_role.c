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

static bool fits(const struct row *row, const char *name, const char *parent, const char *title)
{
    if (!has_name(row, name))
        return false;
    if (*row->parent == '!' ? strcmp(row->parent + 1, parent) == 0
                            : *row->parent != '\0' && strcmp(row->parent, parent) != 0)
        return false;
    return *row->title == '\0' || fnmatch(row->title, title, 0) == 0;
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
