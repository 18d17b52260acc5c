/* Spam headers: a table, literal words, the place of each header. */
#include "milter/filter/spam.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum place { place_of_bottom, place_of_top };

static const struct {
    const char *name;
    enum place place;
    const char *spam;
    const char *clean;
} headers[] = {
#define SPAM_HEADER(name, place, spam, clean) {name, place_of_##place, spam, clean},
#include "conf/tables/spam_headers.def"
#undef SPAM_HEADER
};
enum { HEADERS = sizeof headers / sizeof headers[0] };
_Static_assert((int)HEADERS <= (int)SPAM_HEADERS_MAX, "spam_state has a place for every header");

void spam_reset(struct spam_state *state)
{
    memset(state, 0, sizeof *state);
}

/* Does the value begin with this word, white space aside? */
static int begins_with(const char *value, const char *word)
{
    size_t skipped = 0;
    size_t length = strlen(word);
    while (skipped < SPAM_VALUE_MAX && isspace((unsigned char)value[skipped]))
        skipped++;
    if (skipped + length >= SPAM_VALUE_MAX)
        return 0;
    value += skipped;
    return strncasecmp(value, word, length) == 0 && !isalnum((unsigned char)value[length]);
}

void spam_header(struct spam_state *state, const char *name, const char *value)
{
    for (int i = 0; i < HEADERS; i++) {
        if (strcasecmp(name, headers[i].name) != 0)
            continue;
        if (headers[i].place == place_of_top && state->headers[i].seen)
            continue;
        enum label_spam verdict = spam_unscanned;
        if (begins_with(value, headers[i].spam))
            verdict = spam_spam;
        else if (begins_with(value, headers[i].clean))
            verdict = spam_clean;
        state->headers[i].seen = 1;
        state->headers[i].verdict = (unsigned char)verdict;
    }
}

enum label_spam spam_verdict(const struct spam_state *state)
{
    enum label_spam verdict = spam_unscanned;
    for (int i = 0; i < HEADERS; i++) {
        if (!state->headers[i].seen)
            continue;
        if (state->headers[i].verdict == spam_spam)
            return spam_spam;
        if (state->headers[i].verdict == spam_clean)
            verdict = spam_clean;
    }
    return verdict;
}
