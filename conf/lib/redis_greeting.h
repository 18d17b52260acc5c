/* What a new connection to Redis begins with: AUTH, SELECT, CLIENT SETNAME, and ROLE where the server is to be a master. Private to
 * redis*.c. */
#ifndef CONF_LIB_REDIS_GREETING_H
#define CONF_LIB_REDIS_GREETING_H

#include "conf/lib/redis_pipeline.h"
#include "conf/lib/settings.h"

enum { REDIS_GREETINGS_MAX = 4 };

struct redis_greeting {
    struct redis_pipeline pipeline;
    const char *what[REDIS_GREETINGS_MAX]; /* each command of it is */
};

struct redis_refusal {
    enum label_error error;
    char text[256];
};

/* Puts the commands together; reads the password. false with *refusal. `name` is told to the server; `role`: it is asked for its. */
bool redis_greeting_prepare(struct redis_greeting *greeting, const struct settings *settings, const char *database,
                            const char *name, bool role, struct redis_refusal *refusal);

/* Looks for a reply among those that are there that ends the connection: false with *refusal. */
bool redis_greeting_accepted(const struct redis_greeting *greeting, struct redis_refusal *refusal);

/* Was the server asked for its role, and said another one than master? */
bool redis_greeting_by_replica(const struct redis_greeting *greeting);

#endif
