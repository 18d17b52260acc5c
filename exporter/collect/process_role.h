/* Which role a process has: by conf/tables/process_roles.def for those of the MTAs. */
#ifndef EXPORTER_COLLECT_PROCESS_ROLE_H
#define EXPORTER_COLLECT_PROCESS_ROLE_H

#include "conf/lib/catalogue.h"

#include <stdbool.h>

/* May a process of this name have a role? Where not, nothing more has to be read of it. */
bool process_role_likely(const char *name);

/* Its role by the name, its parent's name, and the command line; role_COUNT: none. Any bytes, in bounded time. */
enum label_role process_role(const char *name, const char *parent, const char *title);

/* The MTA that a role belongs to; server_COUNT: the operator's. */
enum label_server process_role_server(enum label_role role);

#endif
