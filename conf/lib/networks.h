/* Lists of networks (CIDR), for IPv4 and IPv6. Plain data of fixed size: it lives in the settings that processes share. */
#ifndef CONF_LIB_NETWORKS_H
#define CONF_LIB_NETWORKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { NETWORKS_MAX = 256 };

struct network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d, bits beyond the prefix are 0 */
    uint8_t prefix;      /* of 128 */
};

struct networks {
    uint32_t count;
    struct network list[NETWORKS_MAX];
};

/* Reads "10.0.0.0/8", "192.0.2.1", "::1", "fe80::/10" into *network. Returns NULL, or what is wrong with the text (a literal). Host
 * bits that are set are an error, as in postconf's mynetworks: they are a typing mistake more often than meant. */
const char *network_parse(const char *text, struct network *network);

/* Writes it back in its usual form, into `text` of at least 64 bytes. */
void network_text(const struct network *network, char *text);

/* Is this AF_INET or AF_INET6 address in the network, or in one of them? IPv4-mapped IPv6 addresses count as IPv4, which no network of
 * IPv6 contains. Pure; thread-safe. */
bool network_contains(const struct network *network, const struct sockaddr *address);
bool networks_contain(const struct networks *networks, const struct sockaddr *address);

#endif
