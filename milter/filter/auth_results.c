/* The grammar of RFC 8601, section 2.2, read from left to right:
 *
 *     authserv-id [version] *( ";" method ["/" version] "=" result [reason] [properties] )
 *
 * with comments and folding between any two words. Reasons and properties are skipped, as methods that are not counted are. */
#include "milter/filter/auth_results.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { KEYWORD_MAX = 16 }; /* longer than all that are known */

/* What is still to be read; `end` is where we stop, whatever follows. */
struct reader {
    const char *at, *end;
};

static char next(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

/* The one after a backslash stands for itself. */
static char take(struct reader *reader)
{
    if (next(reader) == '\\' && reader->at + 1 < reader->end)
        reader->at++;
    return reader->at < reader->end ? *reader->at++ : '\0';
}

/* A comment, with all that it contains. */
static void skip_comment(struct reader *reader)
{
    unsigned depth = 0;
    do {
        char c = next(reader);
        depth += c == '(';
        depth -= c == ')';
        take(reader);
    } while (depth > 0 && reader->at < reader->end);
}

/* [CFWS] of RFC 5322. */
static void skip_space(struct reader *reader)
{
    for (;;) {
        char c = next(reader);
        if (c == '(')
            skip_comment(reader);
        else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            reader->at++;
        else
            return;
    }
}

/* Takes the character `c` and the space around it, if it is next. */
static bool accept_char(struct reader *reader, char c)
{
    skip_space(reader);
    if (next(reader) != c)
        return false;
    reader->at++;
    skip_space(reader);
    return true;
}

/* A quoted string, into `text` of `bytes`; false if it does not end, or not fit. */
static bool read_quoted(struct reader *reader, char *text, size_t bytes)
{
    size_t length = 0;
    for (reader->at++; reader->at < reader->end && *reader->at != '"';) {
        char c = take(reader);
        if (length + 1 < bytes)
            text[length] = c;
        length++;
    }
    bool closed = take(reader) == '"';
    text[length < bytes ? length : 0] = '\0';
    return closed && length < bytes;
}

/* A word of characters that `belongs` accepts; false if there is none, or it does not fit. */
static bool read_word(struct reader *reader, bool (*belongs)(char c), char *text, size_t bytes)
{
    const char *begin = reader->at;
    while (reader->at < reader->end && belongs(*reader->at))
        reader->at++;
    size_t length = (size_t)(reader->at - begin);
    if (length == 0 || length >= bytes)
        return false;
    memcpy(text, begin, length);
    text[length] = '\0';
    return true;
}

/* More than a token of RFC 2045, since authserv-ids are not always what they should be. */
static bool is_of_id(char c)
{
    return c > ' ' && c != 0x7f && strchr("()<>,;\\\"=", c) == NULL;
}

static bool is_of_keyword(char c)
{
    return isalnum((unsigned char)c) || c == '-';
}

/* authserv-id and version. Is it one of these? *understood: of a version that this is written for. */
static bool read_id(struct reader *reader, const struct authserv_ids *trusted, bool *understood)
{
    char id[AUTHSERV_ID_MAX], version[KEYWORD_MAX] = "1";
    skip_space(reader);
    if (!(next(reader) == '"' ? read_quoted(reader, id, sizeof id) : read_word(reader, is_of_id, id, sizeof id)))
        return false;
    skip_space(reader);
    if (next(reader) != ';' && next(reader) != '\0') {
        bool is_word = read_word(reader, is_of_keyword, version, sizeof version);
        skip_space(reader);
        if (!is_word || (next(reader) != ';' && next(reader) != '\0'))
            return false; /* no authserv-id at all: a result */
    }
    *understood = strcmp(version, "1") == 0;
    for (uint32_t i = 0; i < trusted->count; i++) {
        if (strcasecmp(trusted->list[i], id) == 0)
            return true;
    }
    return false;
}

/* Goes to the next result, behind its semicolon; false: there is none. */
static bool next_result(struct reader *reader)
{
    char ignored[1];
    for (;;) {
        skip_space(reader);
        if (reader->at >= reader->end)
            return false;
        if (next(reader) == '"')
            read_quoted(reader, ignored, sizeof ignored);
        else if (take(reader) == ';')
            return true;
    }
}

/* The value of this name in a label; -1: none. */
static int find_value(unsigned label, const char *text)
{
    const struct label_set *set = catalogue[metric_auth_results_total].labels[label];
    for (unsigned i = 0; i < set->count; i++) {
        if (strcasecmp(set->values[i], text) == 0)
            return (int)i;
    }
    return -1;
}

/* What stands behind a semicolon. The word `none` of a header without results has no equals sign. */
static void read_result(struct reader *reader, struct auth_results *found)
{
    char method[KEYWORD_MAX], version[KEYWORD_MAX] = "1", result[KEYWORD_MAX];
    skip_space(reader);
    if (!read_word(reader, is_of_keyword, method, sizeof method))
        return;
    if (accept_char(reader, '/') && !read_word(reader, is_of_keyword, version, sizeof version))
        return;
    if (!accept_char(reader, '='))
        return;
    bool known = read_word(reader, is_of_keyword, result, sizeof result);
    bool whole = reader->at >= reader->end || strchr(" \t\r\n(;", *reader->at) != NULL;
    int which = find_value(0, method), what = known && whole ? find_value(1, result) : (int)result_other;
    if (which < 0 || strcmp(version, "1") != 0)
        return;
    uint8_t *count = &found->counts[which][what < 0 ? (int)result_other : what];
    *count = (uint8_t)(*count + (*count < UINT8_MAX));
    found->methods[which] = true;
}

void auth_results_header(struct auth_results *results, const struct authserv_ids *trusted, const char *value)
{
    struct auth_results found = {.over = false};
    struct reader reader = {value, value + strnlen(value, AUTH_RESULTS_VALUE_MAX)};
    bool understood;
    if (results->over || trusted->count == 0)
        return;
    if (!read_id(&reader, trusted, &understood)) {
        results->over = true;
        return;
    }
    while (understood && next_result(&reader))
        read_result(&reader, &found);
    for (unsigned method = 0; method < method_COUNT; method++) {
        if (results->methods[method] || !found.methods[method])
            continue;
        results->methods[method] = true;
        memcpy(results->counts[method], found.counts[method], sizeof found.counts[method]);
    }
}
