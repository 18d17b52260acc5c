/* Fuzzes Authentication-Results headers: the input is the headers of a message, a NUL between two. Whatever they say: nothing is read
 * beyond a header, nothing of one that stands below somebody else's or of a method that was told above, and the same headers in capitals,
 * or with a comment before each, say the same. */
#include "milter/filter/auth_results.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct authserv_ids trusted = {.count = 2, .list = {"example.com", "mx \"1"}};

/* A header in memory of its own, behind `before`. */
static char *copy(const char *before, const uint8_t *data, size_t size)
{
    const size_t length = strlen(before);
    char *text = malloc(length + size + 1);
    if (text == NULL)
        abort();
    memcpy(text, before, length);
    if (size > 0)
        memcpy(text + length, data, size);
    text[length + size] = '\0';
    return text;
}

static void require(bool good)
{
    if (!good)
        abort();
}

/* Takes one more header, and looks at what it changed. */
static void take(struct auth_results *results, const char *header)
{
    const struct auth_results before = *results;
    auth_results_header(results, &trusted, header);
    for (unsigned method = 0; method < method_COUNT; method++) {
        unsigned number = 0;
        for (unsigned result = 0; result < result_COUNT; result++)
            number += results->counts[method][result];
        require((number > 0) == results->methods[method]);
        if (before.over || results->over || before.methods[method])
            require(memcmp(before.counts[method], results->counts[method], sizeof before.counts[method]) == 0);
    }
    require(results->over || !before.over);
}

static bool same(const struct auth_results *one, const struct auth_results *other)
{
    return memcmp(one->counts, other->counts, sizeof one->counts) == 0 && one->over == other->over;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_results results = {.over = false}, capitals = {.over = false}, commented = {.over = false};
    const size_t room = AUTH_RESULTS_VALUE_MAX / 2; /* so that a comment pushes nothing out of what is read */
    for (const uint8_t *end = data + size; data <= end;) {
        const uint8_t *nul = data < end ? memchr(data, '\0', (size_t)(end - data)) : NULL;
        size_t length = (size_t)((nul != NULL ? nul : end) - data);
        char *header = copy("", data, length), *upper = copy("", data, length);
        char *other = copy(" (a (comment\\)) ;)\r\n\t", data, length);
        for (char *c = upper; *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        take(&results, header);
        take(&capitals, upper);
        take(&commented, other);
        require(length > room || (same(&results, &capitals) && same(&results, &commented)));
        free(header);
        free(upper);
        free(other);
        if (length > room)
            return 0;
        data += length + 1;
    }
    return 0;
}
