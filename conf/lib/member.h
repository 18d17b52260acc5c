/* The members of open sets: addresses and names as they are counted and shown.
 *
 * Names are in lower case (ASCII; IDNA as it comes), UTF-8 without control characters, TOP_MEMBER_MAX bytes at most; domains of mail are
 * reduced to the registered domain (example.co.uk) by the list of public suffixes. With privacy, addresses are networks: /24, /48. */
#ifndef CONF_LIB_MEMBER_H
#define CONF_LIB_MEMBER_H

#include "conf/lib/top.h"

struct member {
    size_t length; /* 0: there is none */
    char text[TOP_MEMBER_MAX + 1];
};

/* Loads the list of public suffixes; without one domains stay as they are, and false is returned. */
bool member_prepare(bool privacy);

/* A client's address of family 4 or 6, in network order, in the first bytes; of any other family there is none. */
void member_client(uint8_t family, const uint8_t address[16], struct member *member);

/* A name as it is: of a user, a mailbox. */
void member_name(const char *text, size_t length, struct member *member);

/* A name given at HELO; an address literal is the address of a client. */
void member_helo(const char *text, size_t length, struct member *member);

/* The domain of a mailbox, or of "@domain"; "<>" is the null sender. None where there is no domain. */
void member_domain(const char *text, size_t length, struct member *member);

/* A domain or the name of a host. */
void member_registered(const char *text, size_t length, struct member *member);

#endif
