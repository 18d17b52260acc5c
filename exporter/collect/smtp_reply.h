/* A reply of an SMTP server (RFC 5321, 4.2), taken in piece by piece. Pure; what is not a reply is broken, and one without end, too. */
#ifndef EXPORTER_COLLECT_SMTP_REPLY_H
#define EXPORTER_COLLECT_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

enum { SMTP_REPLY_LINE_MAX = 2048, SMTP_REPLY_LINES_MAX = 128, SMTP_REPLY_TEXT_MAX = 256 };

enum smtp_reply_state { smtp_reply_begun, smtp_reply_whole, smtp_reply_broken };

struct smtp_reply {
    enum smtp_reply_state state;
    int code;
    bool starttls;                  /* one of its lines offers it */
    char text[SMTP_REPLY_TEXT_MAX]; /* of the last line, behind the code; cut, printable ASCII */
    unsigned lines;
    size_t length; /* of the line that has begun */
    char line[SMTP_REPLY_LINE_MAX];
};

#define SMTP_REPLY_NONE ((struct smtp_reply){.state = smtp_reply_begun})

/* Takes bytes up to the reply's end, and returns how many these were. */
size_t smtp_reply_take(struct smtp_reply *reply, const char *bytes, size_t count);

#endif
