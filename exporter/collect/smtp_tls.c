/* A TLS session that is as short as it can be. */
#include "exporter/collect/smtp_tls.h"

#include "conf/lib/snapshot.h"
#include "exporter/collect/smtp_wait.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/* Everything that a server may still have; nothing secret is said here. */
#define PRIORITIES "LEGACY:+VERS-ALL:%COMPAT:%VERIFY_ALLOW_BROKEN"

struct tls {
    gnutls_session_t session;
    int fd;
    int64_t until_ms;
};

/* After GNUTLS_E_AGAIN: is there something to go on with in time? */
static bool may_go_on(const struct tls *tls, int64_t result)
{
    if (result != GNUTLS_E_AGAIN && result != GNUTLS_E_INTERRUPTED)
        return false;
    return smtp_wait(tls->fd, gnutls_record_get_direction(tls->session) == 0 ? POLLIN : POLLOUT, tls->until_ms);
}

static bool shake_hands(const struct tls *tls)
{
    int result;
    do
        result = gnutls_handshake(tls->session);
    while (result != GNUTLS_E_SUCCESS && !gnutls_error_is_fatal(result) &&
           (may_go_on(tls, result) || (result == GNUTLS_E_WARNING_ALERT_RECEIVED && clock_ms() < tls->until_ms)));
    return result == GNUTLS_E_SUCCESS;
}

/* And whatever the answer is: a server that gets no QUIT would log a lost connection. */
static void quit(const struct tls *tls)
{
    static const char command[] = "QUIT\r\n";
    char answer[512];
    ssize_t result;
    do
        result = gnutls_record_send(tls->session, command, sizeof command - 1);
    while (may_go_on(tls, result));
    if (result < 0)
        return;
    do
        result = gnutls_record_recv(tls->session, answer, sizeof answer);
    while (may_go_on(tls, result));
    gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}

static int64_t expiry_of(gnutls_session_t session)
{
    unsigned count = 0;
    gnutls_x509_crt_t certificate;
    time_t expiry = -1;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (chain == NULL || count == 0 || gnutls_x509_crt_init(&certificate) != GNUTLS_E_SUCCESS)
        return GAUGE_ABSENT;
    if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) == GNUTLS_E_SUCCESS)
        expiry = gnutls_x509_crt_get_expiration_time(certificate);
    gnutls_x509_crt_deinit(certificate);
    return expiry == -1 ? GAUGE_ABSENT : (int64_t)expiry * 1000000;
}

int64_t smtp_tls_expiry(int fd, int64_t until_ms)
{
    struct tls tls = {.fd = fd, .until_ms = until_ms};
    gnutls_certificate_credentials_t credentials;
    int64_t expiry_us = GAUGE_ABSENT;
    if (gnutls_certificate_allocate_credentials(&credentials) != GNUTLS_E_SUCCESS)
        return GAUGE_ABSENT;
    if (gnutls_init(&tls.session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) == GNUTLS_E_SUCCESS) {
        gnutls_transport_set_int(tls.session, fd);
        if (gnutls_priority_set_direct(tls.session, PRIORITIES, NULL) == GNUTLS_E_SUCCESS &&
            gnutls_credentials_set(tls.session, GNUTLS_CRD_CERTIFICATE, credentials) == GNUTLS_E_SUCCESS &&
            shake_hands(&tls)) {
            expiry_us = expiry_of(tls.session);
            quit(&tls);
        }
        gnutls_deinit(tls.session);
    }
    gnutls_certificate_free_credentials(credentials);
    return expiry_us;
}
