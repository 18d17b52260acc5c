/* What the files of the parser of sendmail's log have in common: log_sendmail.h is for everybody else. */
#ifndef EXPORTER_COLLECT_LOG_SENDMAIL_PARTS_H
#define EXPORTER_COLLECT_LOG_SENDMAIL_PARTS_H

#include "exporter/collect/log_sendmail.h"

/* What one line is read with. */
struct sendmail_reading {
    struct log_sendmail *state;
    const struct counting *counting;
};

/* Takes "6AKKJas021488: ", IDs of any version, or "NOQUEUE: ". */
bool sendmail_take_queue_id(struct span *text, struct span *queue_id);

/* What follows "to=". */
enum label_line sendmail_delivery(const struct sendmail_reading *reading, struct span queue_id, struct span text);

/* What follows the queue ID of a notice that is made of the message `queue_id`. */
enum label_line sendmail_notice(const struct sendmail_reading *reading, struct span queue_id, struct span text);

/* "Too many hops …": the message was returned before anybody was asked. */
enum label_line sendmail_looped(const struct sendmail_reading *reading, struct span text);

/* A refusal, or an error of a milter's; ignored: it is neither. */
enum label_line sendmail_reject(const struct sendmail_reading *reading, struct span text);

#endif
