/* Who is there, by address and MTA: what each MTA does with mail of its own host differs. */
#include "milter/filter/peer.h"

#include <netinet/in.h>
#include <string.h>

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

static in_port_t port_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET ? ((const struct sockaddr_in *)(const void *)address)->sin_port
                                         : ((const struct sockaddr_in6 *)(const void *)address)->sin6_port;
}

struct peer peer_of(const struct sockaddr *address, enum label_mta mta, const struct networks *trusted)
{
    bool is_internet = address != NULL && (address->sa_family == AF_INET || address->sa_family == AF_INET6);
    struct peer peer = {.mta = mta, .client = client_external};
    peer.never_smtp = !is_internet || (mta == mta_sendmail && is_loopback(address));
    peer.submitted_here = peer.never_smtp || (is_loopback(address) && port_of(address) == 0);
    if (peer.submitted_here)
        peer.client = client_local;
    else if (networks_contain(trusted, address))
        peer.client = client_internal;
    return peer;
}

/* architecture.md: bounce, local, authenticated, internal, external, in this order. Postfix gives the reverse-path of mail that did not
 * come over SMTP without brackets; bounces of its own have the null or the double-bounce sender. */
enum label_source peer_source(const struct peer *peer, const char *sender, const char *auth_type)
{
    bool brackets = sender[0] == '<';
    if (peer->never_smtp || (peer->submitted_here && !brackets)) {
        const char *path = sender + brackets;
        bool notice = *path == '\0' || *path == '>' || strncmp(path, "double-bounce@", 14) == 0;
        return notice ? source_bounce : source_local;
    }
    if (auth_type != NULL && *auth_type != '\0')
        return source_authenticated;
    return peer->client == client_external ? source_external : source_internal;
}
