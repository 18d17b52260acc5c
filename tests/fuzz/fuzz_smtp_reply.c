/* Fuzz target: replies of an SMTP server, in pieces as the first byte says, and the name of an MTA in a greeting and in the macro v. */
#include "exporter/collect/mta.c"

#include "exporter/collect/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reply(const struct smtp_reply *reply, size_t bytes)
{
    if (strnlen(reply->text, sizeof reply->text) == sizeof reply->text || reply->length > sizeof reply->line ||
        reply->lines > SMTP_REPLY_LINES_MAX + 1 || (reply->state == smtp_reply_whole && bytes < 4) ||
        (reply->state == smtp_reply_whole && (reply->code < 200 || reply->code > 599)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_reply reply = SMTP_REPLY_NONE;
    struct mta mta = {.count = 0};
    char macro[MTA_CHECKS_VERSION_BYTES];
    size_t piece = size == 0 ? 1 : 1u + data[0] % 64, used = 0;
    for (size_t at = 1; at < size && reply.state == smtp_reply_begun; at += piece)
        used += smtp_reply_take(&reply, (const char *)data + at, size - at < piece ? size - at : piece);
    check_reply(&reply, used);
    take_greeting(&mta, reply.text);
    snprintf(macro, sizeof macro, "%.*s", (int)(size < sizeof macro ? size : sizeof macro - 1), (const char *)data);
    take_macro(&mta, macro);
    if (strlen(mta.version) >= sizeof mta.version)
        abort();
    return 0;
}
