/* The table of routes, and a function for each that chooses status and body. */
#include "exporter/serve/routes.h"

#include "exporter/serve/accept.h"
#include "exporter/serve/compress.h"
#include "exporter/serve/page.h"
#include "exporter/serve/scrape.h"
#include "exporter/serve/top_answer.h"

#include <stdlib.h>
#include <string.h>

enum { OK = 200, NOT_FOUND = 404, NOT_ALLOWED = 405, TOO_LARGE = 413, FAILED = 500, NOT_READY = 503 };
enum { COMPRESS_FROM_BYTES = 1024, BODY_BYTES = 1024 };

static const char plain[] = "text/plain; charset=utf-8";

/* Each writes the body to `out` and may change status and type, which begin as 200 and text. */
typedef void answer_function(const struct routes *routes, const struct request *request, FILE *out,
                             struct answer *answer);
static answer_function show_page, show_metrics, show_alive, show_ready, show_top;

static const struct route {
    const char *path;
    answer_function *show;
    bool options; /* OPTIONS is answered too: load balancers ask so, HAProxy by default for / */
} table[] = {
    {"/", show_page, true},        {"/metrics", show_metrics, false}, {"/livez", show_alive, true},
    {"/readyz", show_ready, true}, {"/api/v1/top", show_top, false},
};

static void show_page(const struct routes *routes, const struct request *request, FILE *out, struct answer *answer)
{
    struct view view;
    if (strcmp(request->method, "OPTIONS") == 0)
        return;
    answer->type = "text/html; charset=utf-8";
    source_read(routes->source, &view);
    page_write(out, routes->instance, &view, routes->tops);
    source_release(&view);
}

static void show_metrics(const struct routes *routes, const struct request *request, FILE *out, struct answer *answer)
{
    struct view view;
    enum exposition_format format = accept_format(request->accept);
    answer->type = exposition_content_type(format);
    source_read(routes->source, &view);
    if (!scrape_write(out, format, &view))
        answer->status = FAILED;
    source_release(&view);
}

static void show_alive(const struct routes *routes, const struct request *request, FILE *out, struct answer *answer)
{
    (void)request;
    bool alive = source_alive(routes->source);
    answer->status = alive ? OK : NOT_READY;
    fputs(alive ? "alive\n" : "the thread that reads Redis and the tally is stuck\n", out);
}

static void show_ready(const struct routes *routes, const struct request *request, FILE *out, struct answer *answer)
{
    (void)request;
    struct view view;
    source_read(routes->source, &view);
    answer->status = view.ready ? OK : NOT_READY;
    source_release(&view);
    fprintf(out, "%s%s%s\n", view.ready ? "ready" : "not ready", view.trouble[0] == '\0' ? "" : ": ", view.trouble);
}

static void show_top(const struct routes *routes, const struct request *request, FILE *out, struct answer *answer)
{
    answer->type = "application/json";
    answer->status = top_answer(out, routes->tops, request->parameters, request->parameter_count);
}

static void refuse(struct answer *answer, FILE *out, unsigned status, const char *text)
{
    answer->status = status;
    fputs(text, out);
}

static void choose(const struct routes *routes, const struct request *request, FILE *out, struct answer *answer)
{
    const struct route *route = NULL;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(request->path, table[i].path) == 0)
            route = &table[i];
    }
    bool is_get = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    bool is_options = strcmp(request->method, "OPTIONS") == 0;
    if (request->has_body) {
        answer->closes = true;
        refuse(answer, out, TOO_LARGE, "requests with a body are not answered here\n");
    } else if (route == NULL) {
        refuse(answer, out, NOT_FOUND,
               "not here; /metrics is for Prometheus, / for people, /api/v1/top for programs, /livez and /readyz for "
               "checks\n");
    } else if (!is_get && !(is_options && route->options)) {
        answer->allow = route->options ? "GET, HEAD, OPTIONS" : "GET, HEAD";
        refuse(answer, out, NOT_ALLOWED, "only GET and HEAD\n");
    } else {
        answer->allow = is_options ? "GET, HEAD, OPTIONS" : NULL;
        route->show(routes, request, out, answer);
    }
}

static void compress(struct answer *answer)
{
    size_t length;
    char *compressed = compress_gzip(answer->body, answer->length, &length);
    if (compressed == NULL)
        return;
    free(answer->body);
    answer->body = compressed;
    answer->length = length;
    answer->is_gzip = true;
}

/* What was written so far. open_memstream(3) would do but for its end: where memory ran out it leaves a gap, and does not tell. */
struct body {
    char *bytes;
    size_t length, size;
    bool cut;
};

/* For so many bytes and a NUL behind them. */
static bool make_room(struct body *body, size_t more)
{
    if (body->size - body->length > more)
        return true;
    size_t size = 2 * (body->length + more + 1);
    char *bytes = realloc(body->bytes, size);
    if (bytes == NULL)
        return false;
    body->bytes = bytes;
    body->size = size;
    return true;
}

/* As fopencookie(3) wants it: 0 is a failure. */
static ssize_t append(void *cookie, const char *bytes, size_t count)
{
    struct body *body = cookie;
    body->cut = body->cut || !make_room(body, count);
    if (body->cut)
        return 0;
    memcpy(body->bytes + body->length, bytes, count);
    body->length += count;
    return (ssize_t)count;
}

void routes_answer(const struct routes *routes, const struct request *request, struct answer *answer)
{
    struct body body = {.cut = false};
    *answer = (struct answer){.status = OK, .type = plain};
    FILE *out = make_room(&body, BODY_BYTES) ? fopencookie(&body, "w", (cookie_io_functions_t){.write = append}) : NULL;
    if (out != NULL) {
        choose(routes, request, out, answer);
        body.cut = fclose(out) != 0 || body.cut;
    }
    if (out == NULL || body.cut) {
        free(body.bytes);
        *answer = (struct answer){.status = FAILED, .type = plain};
        return;
    }
    body.bytes[body.length] = '\0';
    answer->body = body.bytes;
    answer->length = body.length;
    if (answer->length >= COMPRESS_FROM_BYTES && accept_gzip(request->accept_encoding))
        compress(answer);
}
