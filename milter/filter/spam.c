/* Headers of scanners: a table, literal words, the place of each header. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strcasestr */
#endif
#include "milter/filter/spam.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum place { place_of_bottom, place_of_top };
enum { SCORE_MOST = 2000 }; /* more is not believed: scores end at 1000 (GTUBE) */

static const struct known {
    const char *name;
    size_t length;
    enum place place;
    bool is_short;                       /* counts where the row before it says nothing */
    const char *spam, *clean, *infected; /* words with | between them */
    const char *score_after;             /* the same; NULL: no score */
} known[] = {
#define SPAM_HEADER(name, place, spam, clean, score_after)                                                             \
    {name, sizeof(name) - 1, place_of_##place, false, spam, clean, "", score_after},
#define SHORT_SPAM_HEADER(name, place, spam, clean)                                                                    \
    {name, sizeof(name) - 1, place_of_##place, true, spam, clean, "", NULL},
#define VIRUS_HEADER(name, place, infected) {name, sizeof(name) - 1, place_of_##place, false, "", "", infected, NULL},
#include "conf/tables/spam_headers.def"
#undef SPAM_HEADER
#undef SHORT_SPAM_HEADER
#undef VIRUS_HEADER
};
enum { KNOWN = sizeof known / sizeof known[0] };
_Static_assert((int)KNOWN <= (int)SPAM_HEADERS_MAX, "spam_state has a place for every header");

/* A name that begins with a hyphen stands for all that begin with X and end so. */
static bool is_named(const struct known *row, const char *name, size_t length)
{
    return (length == row->length || (row->name[0] == '-' && length > row->length)) &&
           strcasecmp(name + length - row->length, row->name) == 0;
}

/* Does the value begin with this word, and no longer one? */
static bool begins_with(const char *value, const char *word, size_t length)
{
    return length > 0 && strncasecmp(value, word, length) == 0 && !isalnum((unsigned char)value[length]);
}

static bool begins_with_any(const char *value, const char *words)
{
    if (strcmp(words, "*") == 0)
        return *value != '\0';
    for (size_t length; *words != '\0'; words += length + (words[length] == '|')) {
        length = strcspn(words, "|");
        if (begins_with(value, words, length))
            return true;
    }
    return false;
}

/* A decimal number with up to six places behind its point; what begins so, if it is followed by more. */
static bool read_score(const char *text, int32_t *score)
{
    const char *digit = text + strspn(text, " \t\r\n");
    bool negative = *digit == '-';
    int64_t value = 0, place = 1000000;
    digit += *digit == '-' || *digit == '+';
    if (!isdigit((unsigned char)*digit))
        return false;
    for (; isdigit((unsigned char)*digit); digit++)
        value = value > SCORE_MOST ? value : value * 10 + (*digit - '0');
    value *= 1000000;
    if (*digit == '.') {
        for (digit++; isdigit((unsigned char)*digit) && place > 1; digit++)
            value += (*digit - '0') * (place /= 10);
    }
    *score = negative ? 0 : value > SCORE_MOST * INT64_C(1000000) ? SCORE_MOST * 1000000 : (int32_t)value;
    return true;
}

/* Takes the score that stands behind one of these texts. */
static void find_score(struct spam_word *word, const char *value, const char *score_after)
{
    char text[SPAM_TEXT_MAX];
    for (size_t length;; score_after += length + 1) {
        length = strcspn(score_after, "|");
        memcpy(text, score_after, length);
        text[length] = '\0';
        const char *found = strcasestr(value, text);
        if (found != NULL && read_score(found + length, &word->score)) {
            word->has_score = true;
            return;
        }
        if (score_after[length] == '\0')
            return;
    }
}

static void take_known(struct spam_word *word, const struct known *row, bool top, const char *value)
{
    if (top && word->seen)
        return;
    *word = (struct spam_word){.seen = true, .verdict = spam_unscanned};
    if (begins_with_any(value, row->spam))
        word->verdict = spam_spam;
    else if (begins_with_any(value, row->clean))
        word->verdict = spam_clean;
    word->infected = begins_with_any(value, row->infected);
    if (row->score_after != NULL)
        find_score(word, value, row->score_after);
}

static void take_own(struct spam_word *word, const struct spam_header *row, const char *value)
{
    if (row->place == spam_place_top && word->seen)
        return;
    *word = (struct spam_word){.seen = true, .verdict = spam_unscanned};
    if (row->spam[0] != '\0')
        word->verdict = begins_with(value, row->spam, strlen(row->spam)) ? spam_spam : spam_clean;
    if (row->has_score != 0)
        find_score(word, value, row->score_after);
}

/* What of the value is looked at: from its first word on. */
static void cut_value(char *cut, const char *value)
{
    size_t skipped = 0, length = 0;
    while (skipped < SPAM_VALUE_MAX && isspace((unsigned char)value[skipped]))
        skipped++;
    for (value += skipped; skipped + length < SPAM_VALUE_MAX - 1 && value[length] != '\0'; length++)
        cut[length] = value[length];
    cut[length] = '\0';
}

/* Has the operator given the one name that counts, of those that a row stands for? */
static bool is_taken(const struct spam_headers *own, const struct known *row)
{
    for (uint32_t i = 0; i < own->count && row->name[0] == '-'; i++) {
        if (is_named(row, own->list[i].name, strlen(own->list[i].name)))
            return true;
    }
    return false;
}

void spam_header(struct spam_state *state, const struct settings *settings, const char *name, const char *value)
{
    char cut[SPAM_VALUE_MAX];
    const struct spam_headers *own = &settings->spam_headers;
    bool is_own = false;
    for (uint32_t i = 0; i < own->count; i++) {
        if (strcasecmp(own->list[i].name, name) != 0)
            continue;
        is_own = true;
        cut_value(cut, value);
        take_own(&state->own[i], &own->list[i], cut);
    }
    if (is_own || (name[0] != 'X' && name[0] != 'x'))
        return;
    size_t length = strlen(name);
    for (int i = 0; i < KNOWN; i++) {
        if (!is_named(&known[i], name, length) || is_taken(own, &known[i]))
            continue;
        cut_value(cut, value);
        bool top = known[i].place == place_of_top || state->milters_on_top;
        take_known(&state->known[i], &known[i], top, cut);
    }
}

static enum label_spam word_verdict(const struct spam_word *word)
{
    return word->seen ? (enum label_spam)word->verdict : spam_unscanned;
}

/* Spam before clean, and clean before nothing. */
static enum label_spam worse_of(enum label_spam one, enum label_spam other)
{
    if (one == spam_spam || other == spam_spam)
        return spam_spam;
    return one == spam_clean ? one : other;
}

enum label_spam spam_verdict(const struct spam_state *state)
{
    enum label_spam verdict = spam_unscanned;
    for (int i = 0; i < SPAM_HEADERS_OWN_MAX; i++)
        verdict = worse_of(verdict, word_verdict(&state->own[i]));
    for (int i = 0; i < KNOWN; i++) {
        if (!known[i].is_short || word_verdict(&state->known[i - 1]) == spam_unscanned)
            verdict = worse_of(verdict, word_verdict(&state->known[i]));
    }
    return verdict;
}

bool spam_infected(const struct spam_state *state)
{
    bool infected = false;
    for (int i = 0; i < KNOWN; i++)
        infected = infected || state->known[i].infected;
    return infected;
}

int64_t spam_score(const struct spam_state *state)
{
    for (int i = 0; i < SPAM_HEADERS_OWN_MAX; i++) {
        if (state->own[i].has_score)
            return state->own[i].score;
    }
    for (int i = 0; i < KNOWN; i++) {
        if (state->known[i].has_score)
            return state->known[i].score;
    }
    return -1;
}
