/* The only file that includes microhttpd.h; it builds with 0.9.75 and with 1.x. Requests with bodies are refused before anything of the
 * body is read, since old versions of the library disagree with proxies about where such a body ends. */
#include "exporter/serve/http.h"

#include "conf/lib/log.h"
#include "exporter/serve/listen.h"
#include "exporter/serve/page.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

enum {
    CONNECTIONS_MAX = 128,
    CONNECTION_BYTES = 16 << 10,
    REQUEST_SECONDS = 10, /* from the first byte of a request to the last one of its answer */
    IDLE_SECONDS = 90,    /* between requests: longer than Prometheus waits from one scrape to the next by default */
};

/* A connection; in the list as long as its descriptor is open. */
struct client {
    struct client *next, **before;
    int fd;
    bool idle; /* between two requests */
    int64_t deadline_ms;
};

struct http {
    const struct routes *routes;
    pthread_mutex_t lock; /* of the list of clients */
    struct client *clients;
    unsigned count;
    struct MHD_Daemon *daemons[SETTINGS_LISTEN_MAX];
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- deadlines ---- */

static void client_begins(struct http *http, struct MHD_Connection *connection, void **socket_context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct client *client = malloc(sizeof *client);
    if (client == NULL || info == NULL) {
        free(client);
        return;
    }
    pthread_mutex_lock(&http->lock);
    *client =
        (struct client){http->clients, &http->clients, info->connect_fd, false, clock_ms() + REQUEST_SECONDS * 1000};
    if (client->next != NULL)
        client->next->before = &client->next;
    http->clients = client;
    pthread_mutex_unlock(&http->lock);
    *socket_context = client;
}

static void client_ends(struct http *http, struct client *client)
{
    pthread_mutex_lock(&http->lock);
    *client->before = client->next;
    if (client->next != NULL)
        client->next->before = client->before;
    pthread_mutex_unlock(&http->lock);
    free(client);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        client_begins(context, connection, socket_context);
    else if (*socket_context != NULL)
        client_ends(context, *socket_context);
}

static void set_deadline(struct http *http, struct MHD_Connection *connection, bool idle, int seconds)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct client *client = info == NULL ? NULL : info->socket_context;
    if (client == NULL)
        return;
    pthread_mutex_lock(&http->lock);
    /* The first request of a connection has its deadline from the beginning. */
    if (idle || client->idle)
        client->deadline_ms = clock_ms() + seconds * INT64_C(1000);
    client->idle = idle;
    pthread_mutex_unlock(&http->lock);
}

/* Called with the first line of a request. */
static void *on_request_begins(void *context, const char *uri, struct MHD_Connection *connection)
{
    (void)uri;
    set_deadline(context, connection, false, REQUEST_SECONDS);
    return NULL;
}

static void on_request_ends(void *context, struct MHD_Connection *connection, void **request_context,
                            enum MHD_RequestTerminationCode code)
{
    (void)request_context;
    (void)code;
    /* A first line that comes drop by drop is not seen to begin, so idleness ends at a time, too. */
    set_deadline(context, connection, true, IDLE_SECONDS + REQUEST_SECONDS);
}

void http_expire(struct http *http)
{
    int64_t now = clock_ms();
    pthread_mutex_lock(&http->lock);
    for (const struct client *client = http->clients; client != NULL; client = client->next) {
        if (now >= client->deadline_ms)
            shutdown(client->fd, SHUT_RDWR); /* the daemon's thread sees the end and closes */
    }
    pthread_mutex_unlock(&http->lock);
}

/* ---- requests ---- */

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Sets *context, a bool, at a header that announces a body. Every header counts, and a name with blanks behind it too: readers disagree
 * about which of several they take, and who stands between us and the client may have taken the other. */
static enum MHD_Result look_for_body(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    static const char length[] = MHD_HTTP_HEADER_CONTENT_LENGTH, encoding[] = MHD_HTTP_HEADER_TRANSFER_ENCODING;
    bool *has_body = context;
    (void)kind;
    if (strcasecmp(name, length) == 0 && value != NULL && strcmp(value, "0") == 0)
        return MHD_YES;
    if (strncasecmp(name, length, strlen(length)) == 0 || strncasecmp(name, encoding, strlen(encoding)) == 0)
        *has_body = true;
    return MHD_YES;
}

/* Notes a parameter of the URL. */
static enum MHD_Result take_parameter(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct request *request = context;
    (void)kind;
    if (request->parameter_count == REQUEST_PARAMETERS_MAX)
        return MHD_NO;
    request->parameters[request->parameter_count++] = (struct parameter){name, value};
    return MHD_YES;
}

/* All, or false: what is packed must not go out as if it were text. */
static bool add_headers(struct MHD_Response *response, const struct answer *answer)
{
    const char *const headers[][2] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, answer->type},
        {MHD_HTTP_HEADER_ALLOW, answer->allow},
        {MHD_HTTP_HEADER_CONTENT_ENCODING, answer->is_gzip ? "gzip" : NULL},
        {MHD_HTTP_HEADER_CONNECTION, answer->closes ? "close" : NULL},
        {MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding"},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
        {"Content-Security-Policy", PAGE_SECURITY_POLICY},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (headers[i][1] != NULL && MHD_add_response_header(response, headers[i][0], headers[i][1]) != MHD_YES)
            return false;
    }
    return true;
}

static enum MHD_Result respond(struct MHD_Connection *connection, struct answer *answer)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->length, answer->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(answer->body);
        return MHD_NO; /* hangs up */
    }
    enum MHD_Result result =
        add_headers(response, answer) ? MHD_queue_response(connection, answer->status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

/* Called first when the headers are there, and again when the request is complete. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_bytes, void **request_context)
{
    static char seen;
    const struct http *http = context;
    struct request request = {
        .method = method,
        .path = url,
        .accept = header_of(connection, MHD_HTTP_HEADER_ACCEPT),
        .accept_encoding = header_of(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING),
    };
    struct answer answer;
    (void)version;
    (void)upload;
    (void)upload_bytes;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, look_for_body, &request.has_body);
    if (*request_context == NULL && !request.has_body) {
        *request_context = &seen;
        return MHD_YES;
    }
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_parameter, &request);
    routes_answer(http->routes, &request, &answer);
    return respond(connection, &answer);
}

/* ---- life ---- */

__attribute__((format(printf, 2, 0))) static void on_message(void *context, const char *format, va_list arguments)
{
    char text[512];
    (void)context;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd: %s", text);
}

static bool start_daemon(struct http *http, const char *address, struct failure *failure)
{
    int fd = listen_on(address, failure);
    if (fd < 0)
        return false;
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
                         http, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
                         MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_URI_LOG_CALLBACK,
                         on_request_begins, http, MHD_OPTION_NOTIFY_COMPLETED, on_request_ends, http, MHD_OPTION_END);
    if (daemon == NULL)
        return fail(failure, EX_OSERR, "exporter.listen %s: the HTTP server cannot be started", address);
    http->daemons[http->count++] = daemon;
    return true;
}

struct http *http_open(const struct listen_addresses *addresses, const struct routes *routes, struct failure *failure)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    pthread_mutex_init(&http->lock, NULL);
    http->routes = routes;
    for (uint32_t i = 0; i < addresses->count; i++) {
        if (!start_daemon(http, addresses->list[i], failure)) {
            http_close(http);
            return NULL;
        }
    }
    return http;
}

void http_close(struct http *http)
{
    while (http->count > 0)
        MHD_stop_daemon(http->daemons[--http->count]);
    free(http);
}
