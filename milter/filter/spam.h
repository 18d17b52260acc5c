/* What the spam headers on a message say. Pure memory operations; no allocation. */
#ifndef MILTER_FILTER_SPAM_H
#define MILTER_FILTER_SPAM_H

#include "conf/lib/catalogue.h"

enum { SPAM_HEADERS_MAX = 32, SPAM_VALUE_MAX = 1024 };

/* What was said so far, one verdict for each row of conf/tables/spam_headers.def. */
struct spam_state {
    struct {
        unsigned char seen;
        unsigned char verdict; /* enum label_spam */
    } headers[SPAM_HEADERS_MAX];
};

/* Begins a message. */
void spam_reset(struct spam_state *state);

/* Takes note of a header, in the order in which they stand in the message, first to last. At most SPAM_VALUE_MAX bytes of the value are
 * looked at. */
void spam_header(struct spam_state *state, const char *name, const char *value);

/* The verdict on the whole message: spam if any known header at its place says so, else clean if any says so, else unscanned. */
enum label_spam spam_verdict(const struct spam_state *state);

#endif
