/* Our own checks among the sessions. */
#include "milter/filter/own_check.h"

#include "conf/lib/mta_checks.h"
#include "conf/lib/tally.h"
#include "milter/filter/current.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct mta_checks *checks; /* NULL: none */
static _Atomic uint64_t count;

static const uint8_t ipv4[12] = {[10] = 0xff, [11] = 0xff};

struct client {
    uint8_t address[16]; /* as in struct network */
    uint16_t port;       /* 0: it did not come over SMTP */
};

void own_check_open(int fd)
{
    struct stat status;
    bool fits = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == (off_t)sizeof *checks;
    void *map = fits ? mmap(NULL, sizeof *checks, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (map == MAP_FAILED)
        return; /* also where the descriptor is something else's, which came to have that number */
    close(fd);
    tally_guard_also(map, sizeof *checks);
    checks = map;
}

static struct client client_of(const struct sockaddr *address)
{
    struct client client = {.port = 0};
    if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        memcpy(client.address, ipv4, sizeof ipv4);
        memcpy(client.address + sizeof ipv4, &in->sin_addr, sizeof in->sin_addr);
        client.port = ntohs(in->sin_port);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        memcpy(client.address, &in6->sin6_addr, sizeof client.address);
        client.port = ntohs(in6->sin6_port);
    }
    return client;
}

static bool is_at(const struct mta_check *check, const struct client *client)
{
    uint64_t words[2];
    memcpy(words, client->address, sizeof words);
    return atomic_load_explicit(&check->address[0], memory_order_relaxed) == words[0] &&
           atomic_load_explicit(&check->address[1], memory_order_relaxed) == words[1];
}

static bool is_fresh(uint64_t mark)
{
    int64_t age_ms = tally_clock_ms() - (int64_t)(mark >> 16);
    return age_ms >= 0 && age_ms <= MTA_CHECKS_FRESH_MS;
}

/* Only reached where an entry fits. */
static bool is_this_host(const struct client *client)
{
    static const uint8_t loopback[16] = {[15] = 1};
    if (memcmp(client->address, loopback, sizeof loopback) == 0 ||
        (memcmp(client->address, ipv4, sizeof ipv4) == 0 && client->address[12] == 127))
        return true;
    bool found = false;
    const struct settings *settings = current_take();
    for (uint32_t i = 0; settings != NULL && i < settings->mta_listeners.count && i < LISTENERS_MAX; i++)
        found = found || memcmp(client->address, settings->mta_listeners.list[i].address.address, 16) == 0;
    current_release(settings);
    return found;
}

struct own_check own_check_find(const struct sockaddr *address)
{
    const struct own_check none = {.mark = 0};
    struct client client = client_of(address);
    if (checks == NULL || client.port == 0)
        return none;
    for (int i = 0; i < LISTENERS_MAX; i++) {
        const struct mta_check *check = &checks->list[i];
        uint64_t mark = atomic_load_explicit(&check->mark, memory_order_acquire);
        if ((mark & UINT16_MAX) == client.port && is_at(check, &client) && is_fresh(mark) && is_this_host(&client))
            return (struct own_check){i, mark};
    }
    return none;
}

void own_check_saw(struct own_check check, const char *version)
{
    struct mta_check *entry = &checks->list[check.place];
    uint64_t words[MTA_CHECKS_VERSION_BYTES / 8] = {0};
    if (version != NULL)
        memcpy(words, version, strnlen(version, sizeof words - 1));
    for (int i = 0; i < MTA_CHECKS_VERSION_BYTES / 8; i++)
        atomic_store_explicit(&entry->version[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&entry->seen, check.mark, memory_order_release);
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

uint64_t own_check_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}
