/* What a message has to do with the operator's own domains: which of them its recipients are in. Kept until the message ends, since what
 * comes of it is theirs, too. Memory operations only. */
#ifndef MILTER_FILTER_BY_DOMAIN_H
#define MILTER_FILTER_BY_DOMAIN_H

#include "conf/lib/own_domains.h"
#include "conf/lib/tally.h"

/* Of a new message all is 0. */
struct by_domain {
    uint64_t seen; /* a bit for each place in the tally */
    uint32_t recipients[DOMAINS_MAX][outcome_COUNT];
};

/* A recipient: its forward-path, or NULL. */
void by_domain_recipient(struct by_domain *message, const struct own_domains *domains, const char *path,
                         enum label_outcome outcome);

/* The message is over: counts it, once for each domain. */
void by_domain_count(const struct by_domain *message, const struct tally *tally, enum label_verdict verdict);

#endif
