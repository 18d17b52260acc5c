/* The answer at /api/v1/top, in JSON. */
#ifndef EXPORTER_SERVE_TOP_ANSWER_H
#define EXPORTER_SERVE_TOP_ANSWER_H

#include "exporter/serve/tops.h"

#include <stdio.h>

/* Writes the answer to a request with these parameters, and returns its status: 200, or 400, 404, 503 with a sentence. `tops` NULL:
 * as when Redis is away. */
unsigned top_answer(FILE *out, struct tops *tops, const struct parameter *parameters, size_t count);

#endif
