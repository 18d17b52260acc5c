/*
 * load_script.h - what one SMTP session of the load generator says to the filter.
 *
 * A script is a sequence of events drawn from a mix by the session's own random numbers: session number n of a
 * seed says the same whatever runs beside it, so two filters are measured on the same work. The caller owns
 * the waiting: script_say() talks until a reply is due, script_hear() takes the reply in.
 */
#ifndef KIT_LOAD_SCRIPT_H
#define KIT_LOAD_SCRIPT_H

#include "load_mix.h"
#include "mta.h"

/* Session n of a flood is client n % flood, 10.0.0.0 and upwards, with a HELO name and a sender domain of its own, drawn from nobody. Heavy
 * hitter 1 is 192.0.2.1, steady-1.example, mail.heavy-1.example, and comes half of the times, the next a quarter, and so on. */
enum { STEADY = 5 };

/* What was said, in the words of the filter's verdicts. A message that a broken connection or a filter's refusal
 * cut short is among messages only. */
struct load_count {
    uint64_t messages;
    uint64_t passed;   /* end of message was answered */
    uint64_t rejected; /* every recipient was refused */
    uint64_t lost;     /* ended after DATA */
    uint64_t recipients, refused;
    uint64_t stopped;        /* replies other than "continue" */
    uint64_t steady[STEADY]; /* messages of each heavy hitter */
};

enum script_phase {
    SCRIPT_OFFER,
    SCRIPT_CONNECT,
    SCRIPT_HELO,
    SCRIPT_HELO_TLS,
    SCRIPT_GATE, /* between messages: script_say() waits here until script_pass() */
    SCRIPT_UNKNOWN,
    SCRIPT_TRANSACTION,
    SCRIPT_TAKE_BACK, /* that transaction */
    SCRIPT_MAIL,
    SCRIPT_RCPT,
    SCRIPT_DATA,
    SCRIPT_HEADER,
    SCRIPT_EOH,
    SCRIPT_BODY,
    SCRIPT_EOM,
    SCRIPT_RESET,
    SCRIPT_END
};

struct script {
    struct mta *m;
    const struct load_mix *mix;
    struct load_count *count;
    uint64_t number;  /* of this session */
    uint64_t random;  /* state of its random numbers */
    unsigned message; /* of this session, from 0 */
    unsigned recipients, recipient, accepted, header;
    enum script_phase phase; /* what is said next */
    enum script_phase said;  /* what was said last */
    unsigned more;           /* recipients beyond those that were drawn: which are still to be said */
    bool tls, authenticated, aborting;
    unsigned heavy; /* which of the heavy hitters it is, from 1; 0: none */
    bool refusing;  /* the recipient said last was refused by the MTA */
};

void script_begin(struct script *s, struct mta *m, uint64_t number, const struct load_mix *mix,
                  struct load_count *count);
/* The session speaks over m, which the caller opened and closes. */

int script_say(struct script *s);
/* Says what comes next until a reply is due (1; flushed), the gate or the end is reached (0), or sending
 * failed (-1). */

void script_pass(struct script *s);
/* Lets a session at the gate begin its next message. */

void script_quit(struct script *s);
/* Says goodbye; only at the gate. */

void script_hear(struct script *s, char code);

#endif
