/* What is answered to which request. Knows no HTTP library: a request and an answer are plain data. */
#ifndef EXPORTER_SERVE_ROUTES_H
#define EXPORTER_SERVE_ROUTES_H

#include "exporter/serve/source.h"
#include "exporter/serve/top_query.h"

struct tops;

enum { REQUEST_PARAMETERS_MAX = 16 };

struct request {
    const char *method, *path;
    const char *accept, *accept_encoding; /* NULL: not said */
    bool has_body;
    struct parameter parameters[REQUEST_PARAMETERS_MAX]; /* behind the path; what comes on top is left out */
    size_t parameter_count;
};

struct answer {
    unsigned status;
    const char *type;  /* Content-Type; NULL: no body */
    const char *allow; /* for the Allow header, or NULL */
    bool is_gzip;
    bool closes; /* the connection ends with this answer */
    char *body;  /* the receiver frees it; NULL with length 0 */
    size_t length;
};

struct routes {
    struct source *source;
    struct tops *tops; /* NULL: none */
    char instance[SETTINGS_NAME_MAX];
};

/* Fills *answer; from any thread. Never fails: where memory is short the answer is a 500 without a body. */
void routes_answer(const struct routes *routes, const struct request *request, struct answer *answer);

#endif
