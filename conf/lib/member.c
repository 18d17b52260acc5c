/* Members. The only file that includes libpsl.h. */
#include "conf/lib/member.h"

#include <arpa/inet.h>
#include <libpsl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static const psl_ctx_t *suffixes;
static bool private_addresses;

bool member_prepare(bool privacy)
{
    private_addresses = privacy;
    if (suffixes == NULL)
        suffixes = psl_latest(NULL);
    return suffixes != NULL;
}

/* ---- addresses ---- */

/* 4: the first four bytes are the address. */
static void write_address(uint8_t family, const uint8_t *bytes, struct member *member)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t address[16] = {0};
    bool is_ipv4 = family == 4 || memcmp(bytes, mapped, sizeof mapped) == 0;
    size_t kept = is_ipv4 ? (private_addresses ? 3 : 4) : (private_addresses ? 6 : 16);
    memcpy(address, is_ipv4 && family != 4 ? bytes + sizeof mapped : bytes, kept);
    inet_ntop(is_ipv4 ? AF_INET : AF_INET6, address, member->text, sizeof member->text);
    if (private_addresses)
        strcat(member->text, is_ipv4 ? "/24" : "/48");
    member->length = strlen(member->text);
}

void member_client(uint8_t family, const uint8_t address[16], struct member *member)
{
    member->length = 0;
    if (family == 4 || family == 6)
        write_address(family, address, member);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" of RFC 5321, and the same without brackets. */
static bool read_literal(const char *text, uint8_t *family, uint8_t *address)
{
    char inside[INET6_ADDRSTRLEN + 1];
    size_t length = strlen(text);
    bool brackets = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    text += brackets;
    length -= 2 * (size_t)brackets;
    if (brackets && strncasecmp(text, "ipv6:", 5) == 0) {
        text += 5;
        length -= 5;
    }
    if (length >= sizeof inside)
        return false;
    memcpy(inside, text, length);
    inside[length] = '\0';
    *family = strchr(inside, ':') == NULL ? 4 : 6;
    return inet_pton(*family == 4 ? AF_INET : AF_INET6, inside, address) == 1;
}

/* ---- names ---- */

static char shown_byte(char byte)
{
    unsigned char value = (unsigned char)byte;
    if (value < 0x20 || value == 0x7f)
        return '?';
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

void member_name(const char *text, size_t length, struct member *member)
{
    member->length = 0;
    for (size_t i = 0, bytes; i < length && i < TOP_MEMBER_MAX; i += bytes) {
        bytes = top_character(text + i, length - i);
        bool is_c1 = bytes == 2 && (unsigned char)text[i] == 0xc2 && (unsigned char)text[i + 1] < 0xa0;
        if (bytes > 1 && !is_c1 && i + bytes <= TOP_MEMBER_MAX) {
            memcpy(member->text + member->length, text + i, bytes);
            member->length += bytes;
        } else {
            member->text[member->length++] = bytes == 1 ? shown_byte(text[i]) : '?';
            bytes = 1;
        }
    }
    member->text[member->length] = '\0';
}

/* An address in place of a name must not tell more than that of a client may. Is it one? */
static bool hide_address(struct member *member)
{
    uint8_t family, address[16];
    bool is_address = read_literal(member->text, &family, address);
    if (private_addresses && is_address)
        write_address(family, address, member);
    return is_address;
}

void member_helo(const char *text, size_t length, struct member *member)
{
    member_name(text, length, member);
    hide_address(member);
}

void member_registered(const char *text, size_t length, struct member *member)
{
    member_name(text, length, member);
    while (member->length > 0 && member->text[member->length - 1] == '.')
        member->text[--member->length] = '\0';
    bool reducible = !hide_address(member) && suffixes != NULL && member->text[0] != '[';
    const char *registered = reducible ? psl_registrable_domain(suffixes, member->text) : NULL;
    if (registered == NULL)
        return;
    member->length = strlen(registered);
    memmove(member->text, registered, member->length + 1);
}

void member_domain(const char *text, size_t length, struct member *member)
{
    const char *at = memrchr(text, '@', length);
    size_t before = at == NULL ? 0 : (size_t)(at + 1 - text);
    if (at != NULL || (length == 2 && memcmp(text, "<>", 2) == 0))
        member_registered(text + before, length - before, member);
    else
        member->length = 0;
}
