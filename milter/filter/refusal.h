/* What the macros at RCPT say of a recipient that the MTA itself refused (SMFIP_RCPT_REJ). Pure functions; each macro may be NULL, and
 * hold anything. */
#ifndef MILTER_FILTER_REFUSAL_H
#define MILTER_FILTER_REFUSAL_H

#include "conf/lib/settings.h"
#include "conf/lib/reject.h"

/* By {rcpt_mailer} and {rcpt_host}: is it refused? */
bool refusal_is_one(enum label_mta mta, const char *mailer, const char *host);

/* By {rcpt_host} and {rcpt_addr}: why? `own`: the operator's texts. */
struct reject refusal_reason(const struct reject_texts *own, enum label_mta mta, const char *host, const char *address);

/* {nbadrcpts}: how many of the message so far; 0 also where that is not told. */
uint32_t refusal_number(const char *count);

#endif
