/* Fuzzes texts of networks: one that is taken is printed as a text that is read as the same, and contains its own address. */
#include "conf/lib/networks.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct networks networks = {.count = 1};
    struct network again;
    char text[64];
    char *input = malloc(size + 1);
    if (input == NULL)
        abort();
    if (size > 0)
        memcpy(input, data, size);
    input[size] = '\0';
    const struct network *network = &networks.list[0];
    if (network_parse(input, &networks.list[0]) == NULL) {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6};
        memcpy(&address.sin6_addr, network->address, 16);
        network_text(network, text);
        if (network_parse(text, &again) != NULL || memcmp(network, &again, sizeof again) != 0 || network->prefix > 128)
            abort();
        if (!networks_contain(&networks, (const struct sockaddr *)&address))
            abort();
    }
    free(input);
    return 0;
}
