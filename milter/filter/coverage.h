/* What this MTA shows to the filter and what it hides: the one series of coverage_info that is so. Memory operations only; any
 * thread. */
#ifndef MILTER_FILTER_COVERAGE_H
#define MILTER_FILTER_COVERAGE_H

#include "conf/lib/tally.h"

/* Told at negotiation: does the MTA show recipients that it refused itself (SMFIP_RCPT_REJ)? */
void coverage_saw_offer(bool rejected_recipients);

/* A session began. */
void coverage_saw_mta(const struct tally *tally, enum label_mta mta);

/* The MTA showed a bounce of its own (Postfix: internal_mail_filter_classes). */
void coverage_saw_bounce(const struct tally *tally, enum label_mta mta);

#endif
