/* The address of a Redis server, or of the sentinels that know where it is, read from redis.url. Private to redis*.c. */
#ifndef CONF_LIB_REDIS_URL_H
#define CONF_LIB_REDIS_URL_H

#include "conf/lib/settings.h"

enum { REDIS_SENTINELS_MAX = 16 };

struct redis_url {
    char path[108]; /* of a Unix socket; empty: TCP */
    char host[SETTINGS_PATH_MAX];
    char port[6];
    char database[6];
};

struct redis_sentinel_list {
    size_t count; /* 0: the URL names the server itself */
    struct redis_url list[REDIS_SENTINELS_MAX];
    char master[SETTINGS_NAME_MAX]; /* what they call it */
};

/* Fills *parsed and *sentinels; where there are sentinels, of *parsed only the database. Returns NULL, or what is wrong with the URL (a
 * literal). */
const char *redis_url_parse(const char *url, struct redis_url *parsed, struct redis_sentinel_list *sentinels);

/* Takes another host and port, as a sentinel says them; false, and *url stays as it is, where they cannot be any. */
bool redis_url_move(struct redis_url *url, const char *host, const char *port);

/* The URL of a server without its database, for people and for redis_url_parse. */
void redis_url_text(const struct redis_url *url, char *text, size_t size);

#endif
