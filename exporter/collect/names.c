/* From lists of the configuration to places. */
#include "exporter/collect/names.h"

#include <string.h>

void names_fill(const struct settings *settings, struct places *places)
{
    (void)settings;
    memset(places, 0, sizeof *places);
}
