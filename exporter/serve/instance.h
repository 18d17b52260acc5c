/* What Redis holds of one instance: the questions, and the answers as a snapshot. Knows no connection and no thread. */
#ifndef EXPORTER_SERVE_INSTANCE_H
#define EXPORTER_SERVE_INSTANCE_H

#include "conf/lib/failure.h"
#include "conf/lib/redis.h"
#include "conf/lib/snapshot.h"
#include "exporter/serve/shown.h"

struct instance {
    bool known;                   /* it was pushed, and has an owner; else all below is empty */
    char id[TALLY_ID_BYTES];      /* of the tally that pushes */
    char node_id[TALLY_ID_BYTES]; /* of the node's, whose values it pushes too; empty: there is none */
    int64_t pushed_at;            /* by Redis' clock, in microseconds */
    int64_t age;                  /* microseconds since the last push */
    struct snapshot values;
    unsigned dropped; /* fields that this build does not know, or whose value is none */
};

/* Adds the questions about instance `name` to an exchange: INSTANCE_QUESTIONS commands. The exchange, or one before, asks TIME too. */
enum { INSTANCE_QUESTIONS = 4 };
void instance_ask(struct redis *redis, const char *name);

/* Takes their answers, which begin with the `first` reply of the exchange; `now`: instance_time. false where one is an error, with its
 * class and text. */
bool instance_take(const struct redis *redis, size_t first, int64_t now, struct instance *instance,
                   enum label_error *error, struct failure *failure);

/* The key of an instance: `kind` is meta, counters or gauges. */
enum { INSTANCE_KEY_MAX = SETTINGS_NAME_MAX + 32 };
void instance_key(char key[INSTANCE_KEY_MAX], const char *name, const char *kind);

/* Redis' clock, in microseconds, from the answer to TIME: ages are told by the clock that pushes are dated with, whatever our host's
 * says. Where TIME is not allowed, our own has to do. */
int64_t instance_time(const struct redis_reply *reply);

#endif
