/* The address of a Redis server, read from redis.url. Private to redis*.c. */
#ifndef CONF_LIB_REDIS_URL_H
#define CONF_LIB_REDIS_URL_H

#include "conf/lib/settings.h"

struct redis_url {
    char path[108]; /* of a Unix socket; empty: TCP */
    char host[SETTINGS_PATH_MAX];
    char port[6];
    char database[6];
};

/* Fills *parsed. Returns NULL, or what is wrong with the URL (a literal). */
const char *redis_url_parse(const char *url, struct redis_url *parsed);

#endif
