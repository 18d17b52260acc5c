/* What a session tells to the ring, for the open sets: a record when a session ends, and one for a message and each of its recipients when
 * the message ends, together.
 *
 * Of what people are called only what a set asks for leaves the session: names of users and the local parts of recipients that do not
 * exist stay out of the ring unless top.sets has them. Memory operations only; a full ring drops, and what it drops is counted. */
#ifndef MILTER_FILTER_REPORT_H
#define MILTER_FILTER_REPORT_H

#include "conf/lib/tally.h"
#include "milter/ring.h"

#include <sys/socket.h>

enum { REPORT_NAME_MAX = 255, REPORT_RECIPIENTS_BYTES = 2048, REPORT_RECIPIENTS_MAX = 128 };

struct report_name {
    uint8_t length;
    char text[REPORT_NAME_MAX];
};

/* What one session has to tell; see report_begin. */
struct report {
    int64_t sets; /* top.sets */
    uint8_t family;
    uint8_t address[16];
    struct report_name helo, sender, user;
    unsigned recipients, used;
    char buffer[REPORT_RECIPIENTS_BYTES]; /* recipients of the message: flags, length, text */
};

/* The ring that reports go to, in descriptor `fd`. Without it, or where it is none, they are dropped, and counted. Before that nothing is
 * reported at all. */
void report_open(int fd, const struct tally *tally);

/* Of a new session; the buffers, which are large, are left as they are. */
void report_begin(struct report *report);

void report_client(struct report *report, int64_t sets, const struct sockaddr *address);
void report_helo(struct report *report, const char *name);

/* A message begins: its reverse-path. */
void report_sender(struct report *report, const char *path);
void report_user(struct report *report, const char *name);

/* A recipient: its forward-path, or NULL. `flags` of enum ring_flags. */
void report_recipient(struct report *report, const char *path, unsigned flags);

/* The end of a message with so many recipients, and of a session. `flags` of enum ring_flags. */
void report_message(struct report *report, uint32_t recipients, uint32_t refused, unsigned flags);
void report_session(const struct report *report);

#endif
