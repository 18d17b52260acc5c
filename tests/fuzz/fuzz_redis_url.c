/* Fuzz target: redis.url, and an address that a sentinel gives. What is taken must be whole, and read the same when it is written
 * again. */
#include "conf/lib/redis_url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool right)
{
    if (!right)
        abort();
}

static void check_server(const struct redis_url *url)
{
    struct redis_url again;
    struct redis_sentinel_list none;
    char text[SETTINGS_URL_MAX];
    expect((url->host[0] != '\0') != (url->path[0] != '\0') && url->database[0] != '\0');
    expect(url->path[0] != '\0' || (atoi(url->port) >= 1 && atoi(url->port) <= 65535));
    redis_url_text(url, text, sizeof text);
    expect(redis_url_parse(text, &again, &none) == NULL && none.count == 0);
    expect(strcmp(url->path, again.path) == 0 && strcmp(url->host, again.host) == 0);
    expect(strcmp(url->port, again.port) == 0 || url->path[0] != '\0');
}

/* Two strings, host and port, after each other. */
static void check_move(char *host, size_t size)
{
    struct redis_url url = {.host = "before", .port = "1", .database = "0"};
    size_t length = strlen(host);
    if (length == size)
        return;
    if (redis_url_move(&url, host, host + length + 1))
        expect(strcmp(url.host, host) == 0 && atoi(url.port) >= 1 && atoi(url.port) <= 65535);
    else
        expect(strcmp(url.host, "before") == 0 && strcmp(url.port, "1") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_url url;
    struct redis_sentinel_list sentinels;
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (redis_url_parse(text, &url, &sentinels) == NULL) {
        expect(sentinels.count <= REDIS_SENTINELS_MAX && (sentinels.count == 0 || sentinels.master[0] != '\0'));
        for (size_t i = 0; i < sentinels.count; i++)
            check_server(&sentinels.list[i]);
        if (sentinels.count == 0)
            check_server(&url);
    }
    check_move(text, size);
    free(text);
    return 0;
}
