/* Content negotiation: what a client's Accept and Accept-Encoding ask for (RFC 9110, section 12). Pure. */
#ifndef EXPORTER_SERVE_ACCEPT_H
#define EXPORTER_SERVE_ACCEPT_H

#include "conf/lib/exposition.h"

/* The exposition format for an Accept header, NULL where there is none. OpenMetrics only where it is asked for by name, in version
 * 1.0.0 or without a version, and not less than text; text for everything else, garbage too: a scraper must get something. */
enum exposition_format accept_format(const char *accept);

/* May the answer be compressed with gzip? Only where that is named, and not less than identity. */
bool accept_gzip(const char *accept_encoding);

#endif
