/* Fuzzes the reading of refusals: the input is {rcpt_host}, a NUL, {rcpt_addr}. Beside memory errors it finds a class
 * that was changed by what stands before the last ">: ". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/lib/reject.h"

static const struct reject_texts no_texts;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of its own, so that a read beyond the end is seen. */
static char *copy(const char *prefix, const uint8_t *data, size_t size)
{
    const size_t length = strlen(prefix);
    char *text = malloc(length + size + 1);

    if (text == NULL)
        abort();
    memcpy(text, prefix, length);
    if (size > 0)
        memcpy(text + length, data, size);
    text[length + size] = '\0';
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    const size_t host_size = nul != NULL ? (size_t)(nul - data) : size;
    const size_t skip = nul != NULL ? host_size + 1 : size;
    char *host = copy("", data, host_size);
    char *addr = nul != NULL ? copy("", data + skip, size - skip) : NULL;
    char *forged = copy("Mailbox full@x>: ", data + skip, size - skip);
    const struct reject reject = reject_classify(&no_texts, host, addr);

    if ((unsigned)reject.class >= class_COUNT || (unsigned)reject.reply >= reply_COUNT || reject.code >= code_COUNT)
        abort();
    if (strlen(forged) <= 512 &&
        reject_classify(&no_texts, "5.7.1", addr).class != reject_classify(&no_texts, "5.7.1", forged).class)
        abort();
    free(forged);
    free(addr);
    free(host);
    return 0;
}
