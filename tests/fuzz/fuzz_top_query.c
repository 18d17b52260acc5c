/* Fuzzes the parameters of a top list: the input is names and values, each ended by a NUL, in turn. What is taken is within its bounds; what
 * is not is answered with a sentence. */
#include "exporter/serve/top_answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARAMETERS = 16 };

static void check_answer(const struct parameter *parameters, size_t count, bool good)
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    unsigned status = out == NULL ? 0 : top_answer(out, NULL, parameters, count);
    if (out == NULL || fclose(out) != 0 || status != (good ? 503 : 400) || strstr(text, "\"error\"") == NULL)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parameter parameters[PARAMETERS];
    struct top_query query;
    char wrong[TOP_WRONG_MAX] = "", *copy = malloc(size + 1), *at = copy;
    size_t count = 0;
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    while (count < PARAMETERS && at < copy + size) {
        parameters[count].name = at;
        at += strlen(at) + 1;
        parameters[count].value = at < copy + size ? at : NULL;
        at = at < copy + size ? at + strlen(at) + 1 : at;
        count++;
    }
    bool good = top_query_read(parameters, count, &query, wrong);
    if (good ? query.set >= top_COUNT || query.by >= top_by_COUNT || query.hours < 1 || query.hours > TOP_HOURS_MAX ||
                   query.limit < 1 || query.limit > TOP_LIMIT_MAX
             : wrong[0] == '\0' || strlen(wrong) >= TOP_WRONG_MAX)
        abort();
    check_answer(parameters, count, good);
    free(copy);
    return 0;
}
