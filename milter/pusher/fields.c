/* Names of fields, each made once. */
#include "milter/pusher/fields.h"

#include <stdlib.h>
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
        const struct metric *metric = catalogue_gauge_metric(i);
        if (places_of(metric, i - metric->first) >= 0)
            continue;
        catalogue_gauge_text(i, text);
        good = (fields->gauges[i] = strdup(text)) != NULL;
    }
    return good;
}

bool fields_follow_places(struct fields *fields, const struct places *places)
{
    char text[SERIES_TEXT_MAX];
    bool good = true;
    if (memcmp(&fields->places, places, sizeof *places) == 0)
        return true;
    for (unsigned i = 0; good && i < gauge_COUNT; i++) {
        const struct metric *metric = catalogue_gauge_metric(i);
        if (places_of(metric, i - metric->first) < 0)
            continue;
        free((void *)(uintptr_t)fields->gauges[i]);
        fields->gauges[i] = NULL;
        if (places_series(places, metric, i - metric->first, text) > 0)
            good = (fields->gauges[i] = strdup(text)) != NULL;
    }
    if (good)
        fields->places = *places;
    else
        memset(&fields->places, 0, sizeof fields->places); /* tried again by the next push */
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
