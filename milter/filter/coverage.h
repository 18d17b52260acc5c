/* What this MTA shows to the filter and what it hides: the one series of coverage_info that is so, and the parts that are observable.
 * Memory operations only; any thread. */
#ifndef MILTER_FILTER_COVERAGE_H
#define MILTER_FILTER_COVERAGE_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"

/* Told at the start and at each reload: what the configuration asks for. */
void coverage_configured(const struct tally *tally, const struct settings *settings);

/* Told at negotiation: does the MTA show recipients that it refused itself (SMFIP_RCPT_REJ), does it send the macros that we ask for
 * (SMFIF_SETSYMLIST), does it show unknown commands? */
void coverage_saw_offer(const struct tally *tally, bool rejected_recipients, bool macros, bool unknown_commands);

/* A macro of this part came that was not asked for. */
void coverage_saw_part(const struct tally *tally, enum label_part part);

/* A session began. */
void coverage_saw_mta(const struct tally *tally, enum label_mta mta);

/* The MTA showed what may be a bounce of its own (Postfix: internal_mail_filter_classes). */
void coverage_saw_bounce(const struct tally *tally, enum label_mta mta);

#endif
