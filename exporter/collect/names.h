/* The names of the operator's that stand in gauges (conf/lib/places.h), as the configuration gives them. */
#ifndef EXPORTER_COLLECT_NAMES_H
#define EXPORTER_COLLECT_NAMES_H

#include "conf/lib/settings.h"

/* Fills *places: the n-th name of an option's list is in the n-th place of its kind. */
void names_fill(const struct settings *settings, struct places *places);

#endif
