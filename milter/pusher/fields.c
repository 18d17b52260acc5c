/* Names of fields, each made once. */
#include "milter/pusher/fields.h"

#include <string.h>

bool fields_fill(struct fields *fields)
{
    char text[SERIES_TEXT_MAX];
    bool good = true;
    for (unsigned i = 0; good && i < total_COUNT; i++) {
        catalogue_total_text(i, text);
        fields->total_units[i] = catalogue_total_unit(i);
        good = domains_place(i) >= 0 || (fields->totals[i] = strdup(text)) != NULL;
    }
    for (unsigned i = 0; good && i < gauge_COUNT; i++) {
        catalogue_gauge_text(i, text);
        good = (fields->gauges[i] = strdup(text)) != NULL;
    }
    return good;
}

static bool name_series(struct fields *fields, const struct domains *domains, const struct metric *metric)
{
    char text[SERIES_TEXT_MAX];
    bool good = true;
    for (unsigned slot = 0; good && slot < metric->slots; slot++) {
        const char **name = &fields->totals[metric->first + slot];
        if (*name == NULL && domains_series(domains, metric, slot, text) > 0)
            good = (*name = strdup(text)) != NULL;
    }
    return good;
}

bool fields_follow(struct fields *fields, const struct domains *domains, bool *changed)
{
    bool good = true;
    *changed = domains->shown != fields->shown;
    for (unsigned i = 0; *changed && good && i < metric_COUNT; i++) {
        if (catalogue_has_domain(&catalogue[i]))
            good = name_series(fields, domains, &catalogue[i]);
    }
    fields->shown = good ? domains->shown : fields->shown;
    return good;
}

bool fields_has(const struct fields *fields, const struct metric *metric, unsigned slot)
{
    return !catalogue_has_domain(metric) || (fields->shown >> slot / domains_width(metric) & 1) != 0;
}

unsigned fields_count(const struct fields *fields, const struct metric *metric)
{
    unsigned count = 0;
    for (unsigned slot = 0; slot < metric->slots; slot++)
        count += fields_has(fields, metric, slot);
    return count;
}
