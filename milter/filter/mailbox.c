/* Mailboxes. */
#include "milter/filter/mailbox.h"

#include <string.h>

const char *mailbox_of(const char *path, size_t *length)
{
    const char *begin = path + (*path == '<');
    *length = strlen(begin);
    if (*length > 0 && begin[*length - 1] == '>')
        --*length;
    const char *colon = begin[0] == '@' ? memchr(begin, ':', *length) : NULL;
    if (colon == NULL)
        return begin;
    *length -= (size_t)(colon + 1 - begin);
    return colon + 1;
}

const char *mailbox_domain(const char *mailbox, size_t *length)
{
    const char *at = memrchr(mailbox, '@', *length);
    if (at == NULL) {
        *length = 0;
        return mailbox;
    }
    *length -= (size_t)(at - mailbox);
    return at;
}
