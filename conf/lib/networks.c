/* Networks: all are kept as IPv6, IPv4 as ::ffff:0:0/96, so that there is one comparison. */
#include "conf/lib/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool bit_is_set(const uint8_t *address, unsigned bit)
{
    return (address[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

/* Decimal digits up to `most`; -1 for anything else. */
static int parse_prefix(const char *text, int most)
{
    int prefix = 0;
    if (*text == '\0' || strlen(text) > 3)
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        prefix = prefix * 10 + (*text - '0');
    }
    return prefix <= most ? prefix : -1;
}

const char *network_parse(const char *text, struct network *network)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (length >= sizeof address)
        return "not an address";
    memcpy(address, text, length);
    address[length] = '\0';
    bool is_ipv4 = inet_pton(AF_INET, address, network->address + 12) == 1;
    if (is_ipv4)
        memcpy(network->address, mapped, sizeof mapped);
    else if (inet_pton(AF_INET6, address, network->address) != 1)
        return "not an address";
    int most = is_ipv4 ? 32 : 128;
    int prefix = slash != NULL ? parse_prefix(slash + 1, most) : most;
    if (prefix < 0)
        return is_ipv4 ? "the prefix is not a number from 0 to 32" : "the prefix is not a number from 0 to 128";
    network->prefix = (uint8_t)(prefix + 128 - most);
    for (unsigned bit = network->prefix; bit < 128; bit++) {
        if (bit_is_set(network->address, bit))
            return "the address has bits set beyond the prefix";
    }
    return NULL;
}

void network_text(const struct network *network, char *text)
{
    char address[INET6_ADDRSTRLEN];
    bool is_ipv4 = network->prefix >= 96 && memcmp(network->address, mapped, sizeof mapped) == 0;
    inet_ntop(is_ipv4 ? AF_INET : AF_INET6, network->address + (is_ipv4 ? 12 : 0), address, sizeof address);
    int prefix = is_ipv4 ? network->prefix - 96 : network->prefix;
    if (network->prefix == 128)
        snprintf(text, 64, "%s", address);
    else
        snprintf(text, 64, "%s/%d", address, prefix);
}

/* An address as networks have it; false: of another family. */
static bool read_bytes(const struct sockaddr *address, uint8_t bytes[16])
{
    if (address->sa_family == AF_INET) {
        memcpy(bytes, mapped, sizeof mapped);
        memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    } else {
        return false;
    }
    return true;
}

static bool has_bytes(const struct network *network, const uint8_t *address)
{
    unsigned bytes = network->prefix / 8;
    unsigned bits = network->prefix % 8;
    if (network->prefix < 96 && memcmp(address, mapped, sizeof mapped) == 0)
        return false; /* ::/0 is all of IPv6, and none of IPv4 */
    return memcmp(network->address, address, bytes) == 0 &&
           (bits == 0 || (network->address[bytes] ^ address[bytes]) >> (8 - bits) == 0);
}

bool network_contains(const struct network *network, const struct sockaddr *address)
{
    uint8_t bytes[16];
    return read_bytes(address, bytes) && has_bytes(network, bytes);
}

bool networks_contain(const struct networks *networks, const struct sockaddr *address)
{
    uint8_t bytes[16];
    if (!read_bytes(address, bytes))
        return false;
    for (uint32_t i = 0; i < networks->count && i < NETWORKS_MAX; i++) {
        if (has_bytes(&networks->list[i], bytes))
            return true;
    }
    return false;
}
