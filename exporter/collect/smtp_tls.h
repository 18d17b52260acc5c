/* TLS behind STARTTLS, to read the server's certificate: it is looked at, not judged, and old versions and weak ciphers are fine. The only
 * file that sees GnuTLS, which libmicrohttpd brings with it; libcurl would speak SMTP too, but says the expiry as a text of its TLS
 * library's making, and does not say which reply was late. */
#ifndef EXPORTER_COLLECT_SMTP_TLS_H
#define EXPORTER_COLLECT_SMTP_TLS_H

#include <stdint.h>

/* Begins TLS on a non-blocking socket, says QUIT in it and ends it. Returns when the server's certificate expires, in microseconds since
 * the Unix epoch; GAUGE_ABSENT where there was none until `until_ms` (clock_ms). The socket is the caller's to close. */
int64_t smtp_tls_expiry(int fd, int64_t until_ms);

#endif
