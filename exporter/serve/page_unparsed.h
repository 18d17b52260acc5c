/* The part of the page that shows lines of the delivery log that were not understood, from the file that the collector writes for people. */
#ifndef EXPORTER_SERVE_PAGE_UNPARSED_H
#define EXPORTER_SERVE_PAGE_UNPARSED_H

#include <stdio.h>

/* Nothing where there is no such file in the directory, or nothing in it. What stands before the @ of an address is left out: the page is seen by
 * others than the log. */
void page_unparsed_write(FILE *out, const char *run_directory);

#endif
