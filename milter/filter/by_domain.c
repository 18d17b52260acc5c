/* Messages and recipients by domain. */
#include "milter/filter/by_domain.h"

#include "milter/filter/mailbox.h"

void by_domain_recipient(struct by_domain *message, const struct own_domains *domains, const char *path,
                         enum label_outcome outcome)
{
    size_t length;
    if (domains->count == 0 || path == NULL)
        return;
    const char *mailbox = mailbox_of(path, &length);
    const char *at = mailbox_domain(mailbox, &length);
    const struct own_domain *domain = length > 0 ? own_domains_find(domains, at + 1, length - 1) : NULL;
    if (domain == NULL || domain->place < 0)
        return;
    message->seen |= UINT64_C(1) << domain->place;
    message->recipients[domain->place][outcome]++;
}

static void count_recipients(const struct tally *tally, unsigned place, const uint32_t *recipients)
{
    for (unsigned outcome = 0; outcome < outcome_COUNT; outcome++) {
        if (recipients[outcome] > 0)
            tally_add(tally, SERIES_2(domain_recipients_total, place, outcome), recipients[outcome]);
    }
}

void by_domain_count(const struct by_domain *message, const struct tally *tally, enum label_verdict verdict)
{
    for (uint64_t left = message->seen; left != 0; left &= left - 1) {
        unsigned place = (unsigned)__builtin_ctzll(left);
        tally_add(tally, SERIES_2(domain_messages_total, place, verdict), 1);
        count_recipients(tally, place, message->recipients[place]);
    }
}
