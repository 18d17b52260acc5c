/* Replies, line by line. */
#include "exporter/collect/smtp_reply.h"

#include <string.h>
#include <strings.h>

enum { CODE_DIGITS = 3 };

/* 200 to 599; 0: it is none. */
static int code_of(const char *line, size_t length)
{
    int code = 0;
    if (length < CODE_DIGITS || line[0] < '2' || line[0] > '5')
        return 0;
    for (size_t i = 0; i < CODE_DIGITS; i++) {
        if (line[i] < '0' || line[i] > '9')
            return 0;
        code = code * 10 + (line[i] - '0');
    }
    return code;
}

static void keep_text(struct smtp_reply *reply, const char *text, size_t length)
{
    if (length >= sizeof reply->text)
        length = sizeof reply->text - 1;
    for (size_t i = 0; i < length; i++)
        reply->text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    reply->text[length] = '\0';
}

/* A line without its end. */
static enum smtp_reply_state take_line(struct smtp_reply *reply, const char *line, size_t length)
{
    static const char starttls[] = "STARTTLS";
    int code = code_of(line, length);
    bool ends = length == CODE_DIGITS || line[CODE_DIGITS] == ' ';
    if (code == 0 || (reply->lines > 0 && code != reply->code) || (!ends && line[CODE_DIGITS] != '-') ||
        ++reply->lines > SMTP_REPLY_LINES_MAX || memchr(line, '\0', length) != NULL)
        return smtp_reply_broken;
    size_t begin = length == CODE_DIGITS ? CODE_DIGITS : CODE_DIGITS + 1;
    reply->code = code;
    keep_text(reply, line + begin, length - begin);
    reply->starttls = reply->starttls || (length - begin == sizeof starttls - 1 &&
                                          strncasecmp(line + begin, starttls, sizeof starttls - 1) == 0);
    return ends ? smtp_reply_whole : smtp_reply_begun;
}

size_t smtp_reply_take(struct smtp_reply *reply, const char *bytes, size_t count)
{
    size_t used = 0;
    while (used < count && reply->state == smtp_reply_begun) {
        char byte = bytes[used++];
        if (byte == '\n') {
            size_t length = reply->length - (reply->length > 0 && reply->line[reply->length - 1] == '\r');
            reply->length = 0;
            reply->state = take_line(reply, reply->line, length);
        } else if (reply->length == sizeof reply->line) {
            reply->state = smtp_reply_broken;
        } else {
            reply->line[reply->length++] = byte;
        }
    }
    return used;
}
