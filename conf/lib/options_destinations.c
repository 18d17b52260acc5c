/* The type of options that name destinations of deliveries: networks, addresses with a port, names of relays and of domains, paths. */
#include "conf/lib/options_types.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ":10024" at the end of a name or an address in brackets, or of an IPv4 address: takes it off. 0: none; -1: a wrong one. */
static int take_port(char *text)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL || text[0] == '/' || (text[0] == '[' ? colon[-1] != ']' : strchr(text, ':') != colon))
        return 0;
    size_t digits = strspn(colon + 1, "0123456789");
    long port = digits > 0 && digits < 6 && colon[1 + digits] == '\0' ? strtol(colon + 1, NULL, 10) : 0;
    *colon = '\0';
    return port >= 1 && port <= 65535 ? (int)port : -1;
}

static const char *read_destinations(const struct option *option, const char *text, void *field)
{
    struct destinations *destinations = field;
    if (destinations->count >= DESTINATIONS_MAX || destinations->count >= (uint32_t)option->maximum)
        return "more than 16 of them";
    if (strlen(text) >= DESTINATION_MAX)
        return "too long";
    char *name = destinations->list[destinations->count].name;
    for (size_t i = 0; i == 0 || text[i - 1] != '\0'; i++) {
        if (iscntrl((unsigned char)text[i]) && text[i] != '\0')
            return "holds a control character";
        name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    }
    strcpy(destinations->list[destinations->count].text, name);
    int port = take_port(name);
    if (port < 0)
        return "the port is not a number from 1 to 65535";
    if (strchr(name, '*') != NULL)
        return "there are no patterns; a point at the beginning stands for all below, as in .example.org";
    size_t length = strlen(name);
    if (name[0] == '[' && length > 2 && name[length - 1] == ']') {
        name[length - 1] = '\0';
        memmove(name, name + 1, length - 1);
    }
    const char *wrong = network_parse(name, &destinations->list[destinations->count].network);
    bool is_network = wrong == NULL;
    if (!is_network && (name[0] == '\0' || strpbrk(name, " @[]<>") != NULL))
        return "";
    if (!is_network && strspn(name, "0123456789.:/") == strlen(name))
        return wrong;
    destinations->list[destinations->count].port = (uint16_t)port;
    destinations->list[destinations->count].is_network = is_network;
    destinations->count++;
    return NULL;
}

static void print_destinations(FILE *out, const void *field)
{
    const struct destinations *destinations = field;
    fputc('[', out);
    for (uint32_t i = 0; i < destinations->count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        option_print_text(out, destinations->list[i].text);
    }
    fputc(']', out);
}

const struct option_type option_destinations = {
    .expected = "domains, names of relays, networks or addresses with a port, such as example.org or 127.0.0.1:10024",
    .is_list = true,
    .read = read_destinations,
    .print = print_destinations};
