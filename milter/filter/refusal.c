/* Refused recipients: each MTA puts something else into the macros. */
#include "milter/filter/refusal.h"

#include <string.h>

enum { NUMBER_MOST = 1000000 }; /* more is no count of recipients */

#define DIGITS "0123456789"

/* Is this an enhanced status code (RFC 3463), and nothing else? */
static bool is_status_code(const char *text)
{
    size_t digits = strspn(text, DIGITS);
    for (int part = 1; part < 3; part++) {
        if (digits < 1 || digits > 3 || text[digits] != '.')
            return false;
        text += digits + 1;
        digits = strspn(text, DIGITS);
    }
    return digits >= 1 && digits <= 3 && text[digits] == '\0';
}

/* Its mailer is `error`. So is that of one which Postfix accepted for its error transport; but then the host is that transport's text,
 * and not the code of a refusal. */
bool refusal_is_one(enum label_mta mta, const char *mailer, const char *host)
{
    return mailer != NULL && strcmp(mailer, "error") == 0 &&
           (mta != mta_postfix || (host != NULL && is_status_code(host)));
}

/* Sendmail leaves a name there that the client chose where it has no reply, and from 8.18 on never has one: whom it shows as refused and
 * says nothing of is a user whom it does not know. */
struct reject refusal_reason(const struct reject_texts *own, enum label_mta mta, const char *host, const char *address)
{
    if (mta == mta_sendmail && (host == NULL || !is_status_code(host))) {
        host = "5.1.1";
        address = NULL;
    } else if (mta == mta_sendmail && address != NULL && strspn(address, DIGITS) != 3) {
        address = NULL;
    }
    return reject_classify(own, host, address);
}

uint32_t refusal_number(const char *count)
{
    uint32_t number = 0;
    if (count == NULL)
        return 0;
    for (; *count >= '0' && *count <= '9' && number <= NUMBER_MOST; count++)
        number = number * 10 + (uint32_t)(*count - '0');
    return *count == '\0' && number <= NUMBER_MOST ? number : 0;
}
