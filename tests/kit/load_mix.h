/*
 * load_mix.h - of what the work of the load generator is made.
 */
#ifndef KIT_LOAD_MIX_H
#define KIT_LOAD_MIX_H

#include <stdbool.h>
#include <stdint.h>

/* Said once more in each message, or beside it. */
enum load_more { MORE_RECIPIENT = 1, MORE_REFUSED = 2, MORE_TRANSACTION = 4, MORE_UNKNOWN = 8 };

enum { WITHOUT_MAX = 16 };

struct load_mix {
    uint64_t seed;
    unsigned messages;   /* per session */
    unsigned recipients; /* per message: 1 to this */
    unsigned headers;    /* per message */
    unsigned body;       /* bytes, where the filter asks for bodies */
    unsigned clients;    /* distinct client addresses */
    unsigned flood;      /* distinct clients, sender domains and HELO names of a flood; 0: none */
    double steady;       /* share of the flood's sessions that come from one of STEADY heavy hitters instead */
    double refused;      /* share of recipients that the MTA refuses */
    double aborted;      /* share of messages that end after DATA without an end of message */
    double tls;          /* share of sessions with STARTTLS, that is a second HELO */
    double authenticated;
    const char *mta; /* macro v */
    unsigned more;   /* enum load_more */
    const char *without[WITHOUT_MAX];
    unsigned without_count;
};

/* The work is the same with and without these, in all else: what is left out or added takes no random number from what follows. */

bool load_without(struct load_mix *mix, const char *name);
/* Leaves out an event ("helo", "data", "headers", "eoh", "eom", "abort"), a macro ("v", "{auth_type}") or the headers of a name
 * ("Received:"); false: there is none such, or no room. */

bool load_more(struct load_mix *mix, const char *name);
/* Adds to each message, if somebody receives it, a recipient ("recipient") or one whom the MTA refuses ("refused"), or before it a
 * transaction that ends after MAIL ("transaction") or a command that the MTA does not know ("unknown"); false: there is none such. */

bool load_leaves_out(const struct load_mix *mix, const char *before, const char *name, const char *after);
/* Is this name, between the other two words, among what is left out? */

#endif
