/* The part of the page that shows lines of the delivery log that were not understood. */
#ifndef EXPORTER_SERVE_PAGE_UNPARSED_H
#define EXPORTER_SERVE_PAGE_UNPARSED_H

#include <stdio.h>

/* `lines`: less than UNPARSED_BYTES; nothing where there are none. What stands before the @ of an address is left out: the page is seen by others than the
 * log. */
void page_unparsed_write(FILE *out, const char *lines);

#endif
