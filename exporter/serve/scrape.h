/* One scrape: what is shown, in an exposition format. Memory operations only; from any thread. */
#ifndef EXPORTER_SERVE_SCRAPE_H
#define EXPORTER_SERVE_SCRAPE_H

#include "conf/lib/exposition.h"
#include "exporter/serve/source.h"

/* false: there is no memory. */
bool scrape_write(FILE *out, enum exposition_format format, const struct view *view);

#endif
