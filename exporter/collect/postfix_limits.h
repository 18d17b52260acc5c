/* How many processes of each role Postfix may start: master.cf's maxproc, with default_process_limit. */
#ifndef EXPORTER_COLLECT_POSTFIX_LIMITS_H
#define EXPORTER_COLLECT_POSTFIX_LIMITS_H

#include "exporter/collect/mta_settings.h"

/* Puts the sum over all services of a role into its place; GAUGE_ABSENT where a service of it has no limit, where there is no such service,
 * and for all roles that are not Postfix' daemons. */
void postfix_limits(const struct mta_text *main_cf, const struct mta_text *master_cf, int64_t limits[role_COUNT]);

#endif
