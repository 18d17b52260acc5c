/* The operator's own domains: a hash table of both spellings, fixed once it is filled. */
#include "conf/lib/own_domains.h"

#include "conf/lib/fnv1a.h"

#include <string.h>

_Static_assert(OWN_DOMAINS_BUCKETS >= 4 * OWN_DOMAINS_MAX, "a bucket in two is free");
_Static_assert(2 * OWN_DOMAINS_MAX + 1 <= UINT8_MAX, "a bucket holds any spelling");

static const char *spelling(const struct own_domains *domains, unsigned bucket)
{
    const struct own_domain *domain = &domains->list[(bucket - 1) / 2];
    return (bucket - 1) % 2 == 0 ? domain->name : domain->utf8;
}

static unsigned first_bucket(const char *text, size_t length)
{
    uint64_t hash = fnv1a(FNV1A_BEGINS, text, length);
    return (unsigned)((hash ^ hash >> 32) % OWN_DOMAINS_BUCKETS);
}

/* The bucket of a text in lower case, or the free one where it would be. */
static unsigned bucket_of(const struct own_domains *domains, const char *text, size_t length)
{
    unsigned at = first_bucket(text, length);
    for (; domains->buckets[at] != 0; at = (at + 1) % OWN_DOMAINS_BUCKETS) {
        const char *there = spelling(domains, domains->buckets[at]);
        if (strlen(there) == length && memcmp(there, text, length) == 0)
            break;
    }
    return at;
}

const char *own_domains_add(struct own_domains *domains, const char *name, const char *utf8)
{
    if (domains->count >= OWN_DOMAINS_MAX)
        return "more than 64 domains";
    struct own_domain *domain = &domains->list[domains->count];
    unsigned place = bucket_of(domains, name, strlen(name));
    if (domains->buckets[place] != 0 ||
        (*utf8 != '\0' && domains->buckets[bucket_of(domains, utf8, strlen(utf8))] != 0))
        return "is given twice";
    strcpy(domain->name, name);
    strcpy(domain->utf8, utf8);
    domain->place = -1;
    domains->buckets[place] = (uint8_t)(2 * domains->count + 1);
    if (*utf8 != '\0')
        domains->buckets[bucket_of(domains, utf8, strlen(utf8))] = (uint8_t)(2 * domains->count + 2);
    domains->count++;
    return NULL;
}

const struct own_domain *own_domains_find(const struct own_domains *domains, const char *text, size_t length)
{
    char lower[OWN_DOMAIN_TEXT_BYTES];
    length -= length > 0 && text[length - 1] == '.';
    if (domains->count == 0 || length == 0 || length >= sizeof lower)
        return NULL;
    for (size_t i = 0; i < length; i++)
        lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    unsigned bucket = domains->buckets[bucket_of(domains, lower, length)];
    return bucket == 0 ? NULL : &domains->list[(bucket - 1) / 2];
}
