/* Fuzzes what the collector of processes, sockets and the host reads: /proc/PID/stat and status, /proc/net/tcp, configurations of the MTAs.
 * The first byte of the input chooses. What stands twice is read as what stands once. */
#include "conf/lib/snapshot.h"
#include "exporter/collect/load_limits.h"
#include "exporter/collect/postfix_limits.h"
#include "exporter/collect/process.h"
#include "exporter/collect/process_role.h"
#include "exporter/collect/socket_diag.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool right)
{
    if (!right)
        abort();
}

/* A copy of its own, so that a read beyond the end is seen; with a NUL behind it where one is asked for. */
static char *copy(const uint8_t *data, size_t size, bool terminated)
{
    char *text = malloc(size + terminated + 1);
    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text = realloc(text, size + terminated == 0 ? 1 : size + terminated);
    if (terminated)
        text[size] = '\0';
    return text;
}

static void read_process(const char *text, size_t size)
{
    struct process process;
    if (process_parse(text, size, &process))
        expect(strlen(process.name) < sizeof process.name && process.state != '\0');
    process_is_nested(text, size);
}

/* name, parent's name and title, with NULs between them. */
static void read_role(const char *text, size_t size)
{
    const char *parent = text + strlen(text) + 1;
    const char *title = parent <= text + size ? parent + strlen(parent) + 1 : NULL;
    if (title == NULL || title > text + size)
        return;
    enum label_role role = process_role(text, parent, title);
    expect(role == role_COUNT || process_role_likely(text));
    expect(role == role_COUNT || process_role_server(role) != server_COUNT);
}

/* main.cf, a NUL, master.cf. */
static void read_postfix(char *text, size_t size)
{
    int64_t limits[role_COUNT];
    const char *nul = memchr(text, '\0', size);
    size_t first = nul != NULL ? (size_t)(nul - text) : size;
    const struct mta_text main_cf = {text, first};
    const struct mta_text master_cf = {text + first, size - first};
    postfix_limits(&main_cf, &master_cf, limits);
    for (int role = 0; role < role_COUNT; role++)
        expect(limits[role] == GAUGE_ABSENT || limits[role] > 0);
}

static void read_loads(char *text, size_t size, enum label_server server)
{
    int64_t once[load_COUNT], twice[load_COUNT];
    char *doubled = malloc(2 * size + 1);
    if (doubled == NULL)
        abort();
    memcpy(doubled, text, size);
    doubled[size] = '\n';
    memcpy(doubled + size + 1, text, size);
    load_limits(server, &(struct mta_text){text, size}, 4, once);
    load_limits(server, &(struct mta_text){doubled, 2 * size + 1}, 4, twice);
    for (int i = 0; i < load_COUNT; i++)
        expect(once[i] == GAUGE_ABSENT || once[i] > 0);
    /* Where a text begins by going on with a line, its end is not what it was. */
    if (size > 0 && strchr(" \t", text[0]) == NULL && server == server_sendmail)
        expect(memcmp(once, twice, sizeof once) == 0);
    free(doubled);
}

static void read_socket(const char *text)
{
    uint16_t port;
    unsigned state;
    if (socket_table_line(text, &port, &state))
        expect(state <= 255 && (unsigned)socket_state(state) <= socket_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool terminated = data[0] == 'r' || data[0] == 't';
    char *text = copy(data + 1, size - 1, terminated);
    switch (data[0]) {
    case 'r':
        read_role(text, size - 1);
        break;
    case 't':
        read_socket(text);
        break;
    case 'p':
        read_postfix(text, size - 1);
        break;
    case 's':
    case 'e':
        read_loads(text, size - 1, data[0] == 's' ? server_sendmail : server_exim);
        break;
    default:
        read_process(text, size - 1);
    }
    free(text);
    return 0;
}
