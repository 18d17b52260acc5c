/* Why the MTA refused a recipient: the class of the refusal, 4xx or 5xx, and its enhanced status code.
 *
 * A milter is told of refused recipients by two macros. In Postfix {rcpt_host} is the enhanced code and {rcpt_addr} the
 * reply text without the codes and without its first word; in sendmail {rcpt_addr} begins with the SMTP code and mostly
 * the enhanced code. */
#ifndef CONF_LIB_REJECT_H
#define CONF_LIB_REJECT_H

#include <stdint.h>

#include "conf/lib/settings.h"

struct reject {
    enum label_class class;
    enum label_reply reply;
    uint16_t code; /* enum label_code */
};

/* Classifies a refusal by the operator's texts, which come first, and by conf/tables/reject_texts.def and reject_codes.def.
 * host is the value of {rcpt_host}, addr of {rcpt_addr}; either may be NULL, and hold anything. Memory operations only, in
 * bounded time; safe from any thread. */
struct reject reject_classify(const struct reject_texts *own, const char *host, const char *addr);

#endif
