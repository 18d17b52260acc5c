/* The exposition formats: snapshots as Prometheus text 0.0.4 or OpenMetrics 1.0. Knows no metric: it walks the catalogue.
 *
 * Of several snapshots each has an instance: neither format allows families to interleave, so a family has one head, and below it
 * each series with the samples of all of them. The label `instance` stands first, so `le` is the last one, as everywhere.
 *
 * Sources: Prometheus docs instrumenting/exposition_formats.md; the OpenMetrics 1.0 specification. `le` is written alike in
 * both formats, since Prometheus 2 stores the text. Buckets become cumulative here, `_count` is their sum. */
#ifndef CONF_LIB_EXPOSITION_H
#define CONF_LIB_EXPOSITION_H

#include "conf/lib/snapshot.h"

#include <stdio.h>

enum exposition_format { exposition_text, exposition_openmetrics };

/* The Content-Type that goes with a format. */
const char *exposition_content_type(enum exposition_format format);

struct exposition_part {
    const char *instance; /* what settings_is_name allows: nothing in it needs escaping; NULL: without this label */
    const struct snapshot *values;
};

/* Writes every series of the parts that is present; families without a present series are left out whole. OpenMetrics gets its
 * `# EOF`. Errors are those of the stream. Thread-safe on different streams. */
void exposition_write(FILE *out, enum exposition_format format, const struct exposition_part *parts, size_t count);

#endif
