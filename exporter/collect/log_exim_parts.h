/* What the files of the parser of Exim's logs have in common: log_exim.h is for everybody else. */
#ifndef EXPORTER_COLLECT_LOG_EXIM_PARTS_H
#define EXPORTER_COLLECT_LOG_EXIM_PARTS_H

#include "exporter/collect/log_exim.h"

/* What one line is read with. */
struct exim_reading {
    struct log_exim *state;
    const struct counting *counting;
    const struct log_line *line;
    struct span id; /* of the message; empty: the line is of none */
};

/* Takes "1xUUt6-00054X-10 ", of 4.97 and later "1xUUt6-00000000EIn-3Yz6 ", with `behind` after it. */
bool exim_take_id(struct span *text, struct span behind, struct span *id);

/* What begins with a flag of two characters and a blank: an arrival or a delivery; ignored: it does not. */
enum label_line exim_delivery(const struct exim_reading *reading, struct span text);

/* Was this line counted when it was read in another log? */
bool exim_was_told(const struct exim_reading *reading);

/* A refusal, or something else that happened to a client; ignored: it is neither. */
enum label_line exim_reject(const struct exim_reading *reading, struct span text);

#endif
