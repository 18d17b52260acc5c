/* Fuzzes the headers of scanners: the input is names and values of headers, each ended by a NUL, in turn. Whatever they say, verdict and
 * score are in their ranges; capitals, what stands beyond the part that is looked at, and headers of other names change nothing. */
#include "milter/filter/spam.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SCORE_MOST = 2000000000 };

static const struct settings settings = {
    .spam_headers = {.count = 3,
                     .list = {{.name = "X-Own", .spam = "bad", .score_after = "=|score ", .has_score = true},
                              {.name = "X-Own", .spam = "", .score_after = "", .has_score = true},
                              {.name = "X-First", .spam = "yes", .place = spam_place_top}}},
};

static void require(bool good)
{
    if (!good)
        abort();
}

static char *copy(const char *text, size_t size, bool upper)
{
    size_t length = strnlen(text, size);
    char *own = malloc(length + 1);
    require(own != NULL);
    for (size_t i = 0; i < length; i++)
        own[i] = upper ? (char)toupper((unsigned char)text[i]) : text[i];
    own[length] = '\0';
    return own;
}

static void take(struct spam_state *state, const char *name, const char *value, size_t most, bool upper)
{
    char *own_name = copy(name, strlen(name), upper), *own_value = copy(value, most, upper);
    spam_header(state, &settings, own_name, own_value);
    spam_header(state, &settings, "Subject", own_value);
    free(own_name);
    free(own_value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spam_state state = {0}, capitals = {0}, cut = {0};
    char *input = malloc(size + 1), *at = input;
    require(input != NULL);
    if (size > 0)
        memcpy(input, data, size);
    input[size] = '\0';
    while (at < input + size) {
        const char *name = at, *value = at + strlen(at) + 1;
        value = value < input + size ? value : "";
        take(&state, name, value, size, false);
        take(&capitals, name, value, size, true);
        take(&cut, name, value, SPAM_VALUE_MAX, false);
        at += strlen(at) + 1;
        at += at < input + size ? strlen(at) + 1 : 0;
    }
    require(memcmp(&state, &capitals, sizeof state) == 0 && memcmp(&state, &cut, sizeof state) == 0);
    require(spam_verdict(&state) < spam_COUNT && spam_score(&state) >= -1 && spam_score(&state) <= SCORE_MOST);
    (void)spam_infected(&state);
    free(input);
    return 0;
}
