/* The operator's own domains, as configured: what a recipient's domain is looked up in. Plain data, a part of the settings: filled where
 * the configuration is read, given places in the tally by the supervisor, and looked up in the callbacks of the filter. */
#ifndef CONF_LIB_OWN_DOMAINS_H
#define CONF_LIB_OWN_DOMAINS_H

#include "conf/lib/domains.h"

enum {
    OWN_DOMAINS_MAX = DOMAINS_MAX,
    OWN_DOMAIN_TEXT_BYTES = 256, /* of a domain in an address, RFC 5321 */
    OWN_DOMAINS_BUCKETS = 256,   /* of two spellings each at most half are taken */
};

struct own_domain {
    char name[DOMAIN_BYTES];          /* as domains_is_name has it */
    char utf8[OWN_DOMAIN_TEXT_BYTES]; /* the same as U-labels, which is how SMTPUTF8 has it; empty: no other spelling */
    int32_t place;                    /* of its series in the tally; -1: none, it is not counted */
};

struct own_domains {
    uint32_t count;
    uint8_t buckets[OWN_DOMAINS_BUCKETS]; /* open addressing: 0, or one more than twice the domain, one more for utf8 */
    struct own_domain list[OWN_DOMAINS_MAX];
};

/* Appends a domain, without a place. `name`: as domains_is_name has it; `utf8`: empty, or the other spelling, below OWN_DOMAIN_TEXT_BYTES
 * and its ASCII letters lower case. NULL, or what is wrong (a literal). */
const char *own_domains_add(struct own_domains *domains, const char *name, const char *utf8);

/* The domain with this spelling, whatever the case of its ASCII letters, with or without a point at its end; NULL: none. Memory
 * operations only, and few. */
const struct own_domain *own_domains_find(const struct own_domains *domains, const char *text, size_t length);

#endif
