/* What Redis holds of one instance: the questions, and the answers as a snapshot. Knows no connection and no thread. */
#ifndef EXPORTER_SERVE_INSTANCE_H
#define EXPORTER_SERVE_INSTANCE_H

#include "conf/lib/failure.h"
#include "conf/lib/redis.h"
#include "conf/lib/snapshot.h"
#include "exporter/serve/shown.h"

struct instance {
    bool known;              /* it was pushed, and has an owner; else all below is empty */
    char id[TALLY_ID_BYTES]; /* of the tally that pushes */
    int64_t age;             /* microseconds since the last push */
    struct snapshot values;
    unsigned dropped; /* fields that this build does not know, or whose value is none */
};

/* Adds the questions about instance `name` to an exchange. */
void instance_ask(struct redis *redis, const char *name);

/* Takes the answers of that exchange. false where one is an error, with its class and text. */
bool instance_take(const struct redis *redis, struct instance *instance, enum label_error *error,
                   struct failure *failure);

#endif
