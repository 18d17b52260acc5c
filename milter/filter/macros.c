/* Macros of Postfix and sendmail: words in tables. */
#include "milter/filter/macros.h"

#include <string.h>
#include <strings.h>

struct word {
    const char *text;
    int value;
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Both MTAs say these; TEMP is a server that did not answer, FAIL no name at all, FORGED a name that does not lead back. */
static const struct word resolves[] = {
    {"OK", resolve_ok},
    {"FORGED", resolve_forged},
    {"FAIL", resolve_unknown},
    {"TEMP", resolve_tempfail},
};

/* As OpenSSL names them. */
static const struct word versions[] = {
    {"TLSv1", tls_1_0},
    {"TLSv1.1", tls_1_1},
    {"TLSv1.2", tls_1_2},
    {"TLSv1.3", tls_1_3},
};

static const struct word mechanisms[] = {
    {"PLAIN", mechanism_plain},     {"LOGIN", mechanism_login},       {"CRAM-MD5", mechanism_cram_md5},
    {"XOAUTH2", mechanism_xoauth2}, {"EXTERNAL", mechanism_external},
};

static int find(const struct word *words, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(words[i].text, text) == 0)
            return words[i].value;
    }
    return -1;
}

enum label_mta macros_mta(const char *version)
{
    if (version == NULL)
        return mta_other;
    if (strncmp(version, "Postfix", 7) == 0)
        return mta_postfix;
    return version[0] >= '0' && version[0] <= '9' ? mta_sendmail : mta_other;
}

int macros_resolve(const char *client_resolve)
{
    return client_resolve == NULL ? -1 : find(resolves, COUNT(resolves), client_resolve);
}

int macros_tls(const char *tls_version)
{
    if (tls_version == NULL || *tls_version == '\0')
        return tls_none;
    return find(versions, COUNT(versions), tls_version);
}

enum label_mechanism macros_mechanism(const char *auth_type)
{
    int found = find(mechanisms, COUNT(mechanisms), auth_type == NULL ? "" : auth_type);
    if (found >= 0)
        return (enum label_mechanism)found;
    return auth_type != NULL && strncasecmp(auth_type, "SCRAM-", 6) == 0 ? mechanism_scram : mechanism_other;
}

/* Decimal digits, up to 65535; 0 for anything else. */
static unsigned read_port(const char *text)
{
    unsigned port = 0;
    for (; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
        port = port * 10 + (unsigned)(*text - '0');
    return *text == '\0' && port <= UINT16_MAX ? port : 0;
}

bool macros_name_listener(const struct listeners *listeners, const char *daemon_address, const char *daemon_port)
{
    struct network address;
    if (listeners->count == 0 || daemon_address == NULL || daemon_port == NULL)
        return false;
    if (strncasecmp(daemon_address, "IPv6:", 5) == 0) /* sendmail */
        daemon_address += 5;
    if (network_parse(daemon_address, &address) != NULL)
        return false;
    unsigned port = read_port(daemon_port);
    for (uint32_t i = 0; i < listeners->count; i++) {
        if (listeners->list[i].port == port &&
            memcmp(listeners->list[i].address.address, address.address, sizeof address.address) == 0)
            return true;
    }
    return false;
}
