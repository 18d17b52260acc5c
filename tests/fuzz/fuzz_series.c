/* Fuzzes names of series and values, which come from tallies and from Redis: the input is a name, a NUL, and a value. A name that is found is
 * the name of what was found, also with a domain in it, which is then a name that needs no escaping; a value that is taken is printed as a text that is read as the same. */
#include "conf/lib/domains.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name, size_t length)
{
    char text[SERIES_TEXT_MAX];
    int total = catalogue_find_total(name, length);
    int gauge = catalogue_find_gauge(name, length);
    if (total >= 0 && (catalogue_total_text((unsigned)total, text) != length || memcmp(text, name, length) != 0))
        abort();
    if (gauge >= 0 && (catalogue_gauge_text((unsigned)gauge, text) != length || memcmp(text, name, length) != 0))
        abort();
    if (total >= 0 && gauge >= 0)
        abort();
}

static void check_domain(const char *name, size_t length)
{
    struct domains domains = {.shown = 0};
    char text[SERIES_TEXT_MAX];
    int total = domains_take_total(&domains, name, length);
    bool has_domain = domains.names[0][0] != '\0';
    if (has_domain != (total >= 0 && domains_place((unsigned)total) >= 0) ||
        total != domains_find_total(&domains, name, length))
        abort();
    if (has_domain && (strpbrk(domains.names[0], "\"\\#\n {}") != NULL || !domains_has_total(name, length)))
        abort();
    if (total < 0)
        return;
    const struct metric *metric = catalogue_total_metric((unsigned)total);
    if (domains_series(&domains, metric, (unsigned)total - metric->first, text) != length ||
        memcmp(text, name, length) != 0)
        abort();
}

static void check_value(enum metric_unit unit, const char *value, size_t length)
{
    char text[32];
    int64_t number, again;
    if (!catalogue_value_parse(unit, value, length, &number))
        return;
    size_t printed = catalogue_value_text(unit, number, text);
    if (printed != strlen(text) || !catalogue_value_parse(unit, text, printed, &again) || again != number)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *input = malloc(size + (size == 0)); /* not terminated: the length alone counts */
    if (input == NULL)
        abort();
    if (size > 0)
        memcpy(input, data, size);
    const char *nul = size > 0 ? memchr(input, '\0', size) : NULL;
    size_t length = nul != NULL ? (size_t)(nul - input) : size;
    check_name(input, length);
    check_name(input, size);
    check_domain(input, length);
    check_domain(input, size);
    if (nul != NULL) {
        for (unsigned unit = unit_one; unit <= unit_bytes; unit++)
            check_value((enum metric_unit)unit, nul + 1, size - length - 1);
    }
    free(input);
    return 0;
}
