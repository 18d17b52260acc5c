/* The HTTP server: libmicrohttpd around the routes. A daemon, that is a thread, for each address of exporter.listen.
 *
 * The library's timeout is for idle connections only: a client that sends a byte now and then could stay for ever. So each request has
 * a deadline of its own, from its first byte to the last of the answer, and http_expire hangs up on those that miss it. */
#ifndef EXPORTER_SERVE_HTTP_H
#define EXPORTER_SERVE_HTTP_H

#include "conf/lib/settings.h"
#include "exporter/serve/routes.h"

struct http;

/* Listens and answers; NULL with *failure. `routes` must outlive http_close. */
struct http *http_open(const struct listen_addresses *addresses, const struct routes *routes, struct failure *failure);
void http_close(struct http *http);

/* Hangs up on clients that are too slow; to be called every second. */
void http_expire(struct http *http);

#endif
