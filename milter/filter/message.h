/* A mail transaction: what is known of it until it ends, and counting it then. Filled by session.c. Memory operations only. */
#ifndef MILTER_FILTER_MESSAGE_H
#define MILTER_FILTER_MESSAGE_H

#include "conf/lib/settings.h"
#include "conf/lib/tally.h"
#include "milter/filter/auth_results.h"
#include "milter/filter/by_domain.h"
#include "milter/filter/spam.h"

struct message {
    bool open;
    bool null_sender;
    bool data; /* DATA reached us */
    enum label_source source;
    int64_t begun_ns;
    uint64_t declared_bytes; /* SIZE=, RFC 1870; 0: none */
    uint64_t counted_bytes;
    uint32_t accepted;
    uint32_t refused;      /* that we saw */
    uint32_t refused_told; /* that the MTA counted, the same among them */
    uint32_t rejects[class_COUNT][reply_COUNT];
    uint32_t codes[code_COUNT];
    uint32_t received; /* headers of this name */
    struct spam_state spam;
    struct auth_results auth_results;
    struct by_domain by_domain;
};

/* The only place that clears a message. */
void message_reset(struct message *message);

/* How many recipients were refused; of those that were not seen, only the number is known. */
uint32_t message_refused(const struct message *message);

/* Counts a message that has ended so, `lasted_us` microseconds after MAIL. */
void message_count(const struct message *message, const struct tally *tally, const struct settings *settings,
                   enum label_verdict verdict, uint64_t lasted_us);

/* Counts what scanners said of it, if the configuration says that they are seen `here`. */
void message_count_scan(const struct message *message, const struct tally *tally, const struct settings *settings,
                        enum spam_scanner here);

#endif
