"""STARTTLS of every version, for a private Postfix and its clients: a certificate of one's own, no limits on old versions."""

import ssl
import warnings

from kit.process import run

VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
ALL_CIPHERS = "ALL:@SECLEVEL=0"  # the old versions have none that would be allowed otherwise


def certificate(folder):
    """Makes one, for mx.example.test. Returns what main.cf needs to use it."""
    key, cert = folder.disk / "tls.key", folder.disk / "tls.pem"
    subject = ["-subj", "/CN=mx.example.test", "-days", "2"]
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", key, "-out", cert])
    return {
        "smtpd_tls_security_level": "may",
        "smtpd_tls_cert_file": cert,
        "smtpd_tls_key_file": key,
        "smtpd_tls_protocols": ">=TLSv1",
        "tls_medium_cipherlist": ALL_CIPHERS,
    }


def make_context(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ALL_CIPHERS)
    context.minimum_version = context.maximum_version = version
    return context


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions
    CONTEXTS = {version: make_context(number) for version, number in VERSIONS.items()}


def client_context(version):
    """Of a client that speaks this version alone, and trusts everybody."""
    return CONTEXTS[version]
