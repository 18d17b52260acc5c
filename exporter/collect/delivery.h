/* An attempt at delivery, as the log of any MTA tells it: where to, how it went, why it failed; and its counting. */
#ifndef EXPORTER_COLLECT_DELIVERY_H
#define EXPORTER_COLLECT_DELIVERY_H

#include "exporter/collect/counting.h"
#include "exporter/collect/log_line.h"

/* Who takes the mail next. What is not known is empty, or 0. */
struct hop {
    struct span domain;  /* of the recipient */
    struct span host;    /* name of the relay */
    struct span address; /* its address, without brackets; or a path */
    uint16_t port;
    bool local; /* delivered by the MTA itself, or by a program of this host */
};

/* By the option collector.destinations; what that does not name: local as above, or a Unix socket; internal: an address in
 * trusted_networks or one of the operator's own domains; else external. destination_COUNT: a hop to be ignored. */
enum label_destination delivery_destination(const struct settings *settings, const struct hop *hop);

/* Why it failed, by the text of the MTA or of the server that refused, from conf/tables/delivery_texts.def. Memory operations only, in
 * bounded time. */
enum label_problem delivery_problem(struct span text);

/* The first enhanced status code in a text, or what this span is; `other` where there is none, or no known one. */
enum label_delivery_code delivery_code(struct span text);

enum { DELIVERY_UNKNOWN = -1 };

struct delivery {
    struct hop hop;                     /* which destination is made of */
    enum label_destination destination; /* destination_COUNT: nothing is counted */
    enum label_status status;
    int64_t delay_us;               /* since arrival here; or DELIVERY_UNKNOWN */
    int64_t stages_us[stage_COUNT]; /* its parts; or DELIVERY_UNKNOWN */
    struct span code;               /* the MTA's own word (dsn=); empty: the first one in the text */
    struct span text;               /* why */
};

/* One of which nothing is known but this. */
struct delivery delivery_begin(const struct settings *settings, const struct hop *hop, enum label_status status);

/* Counts deliveries_total; of `sent` delivery_seconds and delivery_stage_seconds; of `deferred` and `bounced` delivery_problems_total;
 * of all but `expired`, which no server said, delivery_codes_total; and the open sets of those that failed. */
void delivery_count(const struct counting *counting, const struct delivery *delivery);

#endif
