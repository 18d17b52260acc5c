/* What the headers of spam and virus scanners on a message say. Pure memory operations; no allocation. */
#ifndef MILTER_FILTER_SPAM_H
#define MILTER_FILTER_SPAM_H

#include "conf/lib/settings.h"

enum { SPAM_HEADERS_MAX = 24, SPAM_VALUE_MAX = 1024 };

/* What was said so far: one place for each row of conf/tables/spam_headers.def, and one for each of the operator's own. All 0: nothing. */
struct spam_state {
    bool milters_on_top; /* a milter's header stands above all others of its name: sendmail */
    struct spam_word {
        int32_t score;         /* in millionths */
        unsigned char seen;    /* boolean, as has_score and infected are */
        unsigned char verdict; /* enum label_spam */
        unsigned char has_score;
        unsigned char infected;
    } known[SPAM_HEADERS_MAX], own[SPAM_HEADERS_OWN_MAX];
};

/* Takes note of a header, in the order in which they stand in the message, first to last. At most SPAM_VALUE_MAX bytes of the value are
 * looked at. A name in settings->spam_headers is theirs alone; if it is one of those that a row stands for, that row is theirs. */
void spam_header(struct spam_state *state, const struct settings *settings, const char *name, const char *value);

/* The verdict on the whole message: spam if any known header at its place says so, else clean if any says so, else unscanned. */
enum label_spam spam_verdict(const struct spam_state *state);

bool spam_infected(const struct spam_state *state);

/* The score that the first of the rows with one gives, in millionths; -1: there is none. A negative one is 0. */
int64_t spam_score(const struct spam_state *state);

#endif
