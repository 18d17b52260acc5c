/* Lines of master.cf: service type private unprivileged chroot wakeup maxproc command. */
#include "exporter/collect/postfix_limits.h"

#include "conf/lib/snapshot.h"
#include "exporter/collect/process_role.h"

#include <inttypes.h>
#include <string.h>

enum { DEFAULT_LIMIT = 100, LIMIT_MOST = 1000000 }; /* postconf(5) */

/* A number as Postfix takes it, or -1. */
static int64_t read_limit(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != '\0')
        return -1;
    int64_t limit = 0;
    for (; *text != '\0'; text++)
        limit = limit * 10 + (*text - '0');
    return limit <= LIMIT_MOST ? limit : -1;
}

/* Of a service that runs a daemon of ours. */
static void add(int64_t *sum, int64_t limit)
{
    if (limit <= 0 || *sum < 0) /* without a limit, or not known: then so is the sum */
        *sum = -1;
    else
        *sum += limit;
}

void postfix_limits(const struct mta_text *main_cf, const struct mta_text *master_cf, int64_t limits[role_COUNT])
{
    char line[MTA_LINE_MAX], value[32];
    int64_t preset =
        mta_postfix_value(main_cf, "default_process_limit", value, sizeof value) ? read_limit(value) : DEFAULT_LIMIT;
    memset(limits, 0, role_COUNT * sizeof limits[0]);
    for (const char *at = master_cf->text;
         at != NULL && mta_next_line(&at, master_cf->text + master_cf->length, line);) {
        char maxproc[32], command[64];
        if (sscanf(line, "%*s %*s %*s %*s %*s %*s %31s %63s", maxproc, command) != 2)
            continue;
        enum label_role role = process_role(command, "master", "");
        if (role != role_COUNT && process_role_server(role) == server_postfix)
            add(&limits[role], strcmp(maxproc, "-") == 0 ? preset : read_limit(maxproc));
    }
    for (int role = 0; role < role_COUNT; role++)
        limits[role] = limits[role] > 0 ? limits[role] : GAUGE_ABSENT;
}
