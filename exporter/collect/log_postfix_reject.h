/* Refusals in the log of Postfix. Private to log_postfix.c. */
#ifndef EXPORTER_COLLECT_LOG_POSTFIX_REJECT_H
#define EXPORTER_COLLECT_LOG_POSTFIX_REJECT_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"
#include "exporter/collect/log_line.h"

/* What follows "reject: ", "milter-reject: " or "proxy-reject: ", up to the end of the line. */
enum label_line log_postfix_reject(const struct settings *settings, const struct tally *tally, bool by_postscreen,
                                   struct span text);

#endif
