/* The part of the page that tells what the collector sees: a table for each thing, of what is there. */
#ifndef EXPORTER_SERVE_PAGE_NODE_H
#define EXPORTER_SERVE_PAGE_NODE_H

#include "conf/lib/snapshot.h"

#include <stdio.h>

/* Nothing where there is no collector. */
void page_node_write(FILE *out, const struct snapshot *values);

/* Messages in all queues together; GAUGE_ABSENT: none is seen. */
int64_t page_node_queued(const struct snapshot *values);

/* Text as HTML. */
void page_write_text(FILE *out, const char *text);

#endif
