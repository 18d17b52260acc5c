/* The parts of a scrape: our own values, and in scope fleet those of each instance with its name. */
#include "exporter/serve/scrape.h"

#include "exporter/serve/fleet.h"

#include <stdlib.h>

bool scrape_write(FILE *out, enum exposition_format format, const struct view *view)
{
    const struct fleet_view *fleet = view->fleet;
    size_t count = 1 + (fleet == NULL ? 0 : fleet->count);
    struct exposition_part *parts = calloc(count, sizeof *parts);
    if (parts == NULL)
        return false;
    parts[0] = (struct exposition_part){NULL, &view->values};
    for (size_t i = 1; fleet != NULL && i < count; i++)
        parts[i] = (struct exposition_part){fleet->rows[i - 1].name, &fleet->rows[i - 1].values};
    exposition_write(out, format, parts, count);
    free(parts);
    return true;
}
