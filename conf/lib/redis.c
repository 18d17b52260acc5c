/* One connection to Redis: a state machine over a non-blocking socket.
 *
 *     finding -> resolving -> connecting -> greeting -> exchanging -> finished
 *
 * Each state has a step that goes as far as it can without waiting. Finding: where the URL names sentinels, they are asked for the
 * master, each time anew. Greeting and exchange are both pipelines: commands out, replies in. Whatever goes wrong closes the socket, so
 * a late reply can never be taken for that of the next command. */
#include "conf/lib/redis.h"

#include "conf/lib/redis_greeting.h"
#include "conf/lib/redis_sentinel.h"
#include "conf/lib/redis_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 16 << 10, RETRY_RESOLVING_MS = 100, FIND_AGAIN_US = 100 * 1000, SERVER_BYTES = 128 };

enum state { finding, resolving, connecting, greeting, exchanging, idle, finished, failed };

struct redis {
    const struct settings *settings;
    char name[SETTINGS_NAME_MAX];
    struct redis_url url;              /* of the server; behind sentinels of the master, once they have named it */
    struct redis_sentinels *sentinels; /* NULL: the URL of the settings names the server */
    bool replica_found;                /* there, in this exchange */
    char server[SERVER_BYTES];         /* its address, or that of the sentinels, for people */
    enum state state;
    bool prepared; /* commands were added since the last exchange */
    struct redis_pipeline commands;
    struct redis_greeting greeting;
    struct redis_resolution *resolution;
    struct redis_addresses addresses;
    size_t address; /* the one that is tried */
    int64_t address_deadline;
    int connect_error; /* errno of the last address that failed */
    int fd;
    unsigned connections;
    struct redis_reader *reader;
    int64_t deadline; /* microseconds of CLOCK_MONOTONIC */
    enum label_error error;
    char error_text[2 * SERVER_BYTES + 264];
};

static int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the connection ---- */

static void disconnect(struct redis *redis)
{
    if (redis->fd >= 0)
        close(redis->fd);
    redis_reader_free(redis->reader);
    redis_sentinels_stop(redis->sentinels);
    redis->fd = -1;
    redis->reader = NULL;
}

/* Ends the exchange; always returns true: the state changed. */
__attribute__((format(printf, 3, 4))) static bool give_up(struct redis *redis, enum label_error error,
                                                          const char *format, ...)
{
    char reason[256], master[SERVER_BYTES] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (redis->sentinels != NULL && redis->url.host[0] != '\0')
        redis_url_text(&redis->url, master, sizeof master);
    snprintf(redis->error_text, sizeof redis->error_text, "%s: %s%s%s", redis->server, master,
             master[0] != '\0' ? ": " : "", reason);
    redis->error = error;
    if (redis->state < exchanging)
        redis_sentinels_doubt(redis->sentinels);
    redis->state = failed;
    disconnect(redis);
    return true;
}

/* Begins to connect. Sentinels that named a replica get a little time to learn better. */
static void connect_anew(struct redis *redis, bool replica_found)
{
    disconnect(redis);
    redis->state = redis->sentinels == NULL ? resolving : finding;
    redis->replica_found = replica_found;
    if (redis->sentinels == NULL)
        return;
    if (!replica_found)
        redis->url.host[0] = '\0';
    redis_sentinels_start(redis->sentinels, clock_us() + (replica_found ? FIND_AGAIN_US : 0), redis->deadline);
}

static bool step_find(struct redis *redis)
{
    const struct redis_url before = redis->url;
    enum redis_progress progress = redis_sentinels_step(redis->sentinels, &redis->url);
    if (progress == redis_pending)
        return false;
    if (progress == redis_failed)
        return give_up(redis, redis_sentinels_error(redis->sentinels), "%s",
                       redis_sentinels_error_text(redis->sentinels));
    redis->state = resolving;
    if (strcmp(before.host, redis->url.host) == 0 && strcmp(before.port, redis->url.port) == 0)
        return true;
    redis->replica_found = false;
    redis_resolution_drop(redis->resolution); /* of another name */
    redis->resolution = NULL;
    return true;
}

static bool step_resolve(struct redis *redis)
{
    const char *error = NULL;
    redis->address = 0;
    redis->connect_error = 0;
    if (!redis_socket_literal(&redis->url, &redis->addresses)) {
        if (redis->resolution == NULL)
            redis->resolution = redis_resolution_start(&redis->url);
        if (redis->resolution == NULL || !redis_resolution_finished(redis->resolution, &redis->addresses, &error))
            return false;
        redis_resolution_drop(redis->resolution);
        redis->resolution = NULL;
    }
    if (error != NULL)
        return give_up(redis, error_connect, "the host's name cannot be resolved: %s", error);
    redis->state = connecting;
    return true;
}

static bool prepare_greeting(struct redis *redis)
{
    struct redis_refusal refusal;
    redis->state = greeting;
    return redis_greeting_prepare(&redis->greeting, redis->settings, redis->url.database, redis->name,
                                  redis->sentinels != NULL, &refusal) ||
           give_up(redis, refusal.error, "%s", refusal.text);
}

static bool next_address(struct redis *redis, int error)
{
    redis->connect_error = error;
    disconnect(redis);
    redis->address++;
    return true;
}

static bool step_connect(struct redis *redis)
{
    if (redis->fd < 0) {
        if (redis->address >= redis->addresses.count)
            return give_up(redis, redis->connect_error == ETIMEDOUT ? error_timeout : error_connect, "%s",
                           strerror(redis->connect_error));
        /* An address that does not answer must leave time for those behind it. */
        int64_t now = clock_us();
        redis->address_deadline = now + (redis->deadline - now) / (int64_t)(redis->addresses.count - redis->address);
        redis->fd = redis_socket_connect(&redis->addresses, redis->address, redis->settings->redis_timeout);
        if (redis->fd < 0)
            return next_address(redis, errno);
    }
    int connected = redis_socket_connected(redis->fd);
    if (connected == 0 && clock_us() < redis->address_deadline)
        return false;
    if (connected != 1)
        return next_address(redis, connected == 0 ? ETIMEDOUT : errno);
    redis->reader = redis_reader_new();
    redis->connections++;
    return redis->reader == NULL ? give_up(redis, error_other, "no memory") : prepare_greeting(redis);
}

/* ---- commands out, replies in ---- */

static bool greeting_refused(struct redis *redis)
{
    struct redis_refusal refusal;
    return !redis_greeting_accepted(&redis->greeting, &refusal) && give_up(redis, refusal.error, "%s", refusal.text);
}

/* All replies are there. Sentinels that are behind name a server that is no master any more. */
static bool greeted(struct redis *redis)
{
    if (greeting_refused(redis))
        return true;
    redis->state = exchanging;
    if (redis->sentinels != NULL && redis_greeting_by_replica(&redis->greeting)) {
        redis_sentinels_doubt(redis->sentinels);
        connect_anew(redis, true);
    }
    return true;
}

static void send_commands(const struct redis *redis, struct redis_pipeline *pipeline)
{
    while (pipeline->sent < pipeline->length) {
        ssize_t n = send(redis->fd, pipeline->bytes + pipeline->sent, pipeline->length - pipeline->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        /* Where the server has hung up, its last words are read next, and they say why. */
        pipeline->sent = n < 0 ? pipeline->length : pipeline->sent + (size_t)n;
    }
}

static bool receive_replies(struct redis *redis, struct redis_pipeline *pipeline)
{
    char bytes[READ_BYTES];
    while (pipeline->replied < pipeline->commands) {
        ssize_t n = recv(redis->fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n == 0 && redis->state == greeting && greeting_refused(redis))
            return false;
        if (n <= 0)
            return !give_up(redis, error_connect, "%s", n == 0 ? "the server closed the connection" : strerror(errno));
        const char *wrong = redis_pipeline_take(pipeline, redis->reader, bytes, (size_t)n);
        if (wrong != NULL)
            return !give_up(redis, error_protocol, "the reply cannot be read: %s", wrong);
    }
    return true;
}

static bool step_pipeline(struct redis *redis)
{
    struct redis_pipeline *pipeline = redis->state == greeting ? &redis->greeting.pipeline : &redis->commands;
    send_commands(redis, pipeline);
    if (!receive_replies(redis, pipeline))
        return true;
    if (pipeline->replied < pipeline->commands)
        return false;
    if (redis->state == greeting)
        return greeted(redis);
    redis->state = finished;
    return true;
}

/* ---- for the callers ---- */

struct redis *redis_open(const struct settings *settings, const char *name)
{
    struct redis_sentinel_list sentinels;
    struct redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL)
        return NULL;
    redis->settings = settings;
    redis->fd = -1;
    redis->state = idle;
    snprintf(redis->name, sizeof redis->name, "%s", name);
    redis_url_parse(settings->redis_url, &redis->url, &sentinels); /* the configuration was checked */
    redis_url_text(&redis->url, redis->server, sizeof redis->server);
    if (sentinels.count == 0)
        return redis;
    snprintf(redis->server, sizeof redis->server, "%.*s", (int)strcspn(settings->redis_url, "?"), settings->redis_url);
    redis->sentinels = redis_sentinels_open(&sentinels, settings->redis_timeout, name);
    if (redis->sentinels != NULL)
        return redis;
    redis_close(redis);
    return NULL;
}

void redis_close(struct redis *redis)
{
    if (redis == NULL)
        return;
    disconnect(redis);
    redis_resolution_drop(redis->resolution);
    redis_sentinels_close(redis->sentinels);
    redis_pipeline_free(&redis->greeting.pipeline);
    redis_pipeline_free(&redis->commands);
    free(redis);
}

/* Makes room for a new exchange; one that is under way is given up. */
static void begin(struct redis *redis)
{
    if (redis->state < idle)
        disconnect(redis);
    redis->state = idle;
    redis_pipeline_clear(&redis->commands);
}

void redis_hang_up(struct redis *redis)
{
    disconnect(redis);
}

unsigned redis_connections(const struct redis *redis)
{
    return redis->connections;
}

void redis_command(struct redis *redis, size_t count, const char *const *arguments, const size_t *lengths)
{
    if (!redis->prepared)
        begin(redis);
    redis->prepared = true;
    redis_pipeline_add(&redis->commands, count, arguments, lengths);
}

/* Is the connection that was left open after the last exchange still good? Silence is; an end, or words unasked for, are not. */
static bool still_open(const struct redis *redis)
{
    char byte;
    return redis->fd >= 0 && recv(redis->fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

void redis_start(struct redis *redis, int64_t timeout)
{
    if (!redis->prepared)
        begin(redis);
    redis->prepared = false;
    redis->deadline = clock_us() + timeout;
    if (redis->commands.broken) {
        give_up(redis, error_other, "no memory");
    } else if (still_open(redis)) {
        redis->state = exchanging;
    } else {
        connect_anew(redis, false);
    }
}

static void out_of_time(struct redis *redis)
{
    if (redis->replica_found)
        give_up(redis, error_readonly, "is not a master, though a sentinel names it");
    else
        give_up(redis, error_timeout, redis->state < greeting ? "not connected in time" : "no answer in time");
}

enum redis_progress redis_step(struct redis *redis)
{
    static bool (*const steps[])(struct redis *) = {
        [finding] = step_find,      [resolving] = step_resolve,   [connecting] = step_connect,
        [greeting] = step_pipeline, [exchanging] = step_pipeline,
    };
    while (redis->state < idle && steps[redis->state](redis)) {
    }
    if (redis->state < idle && clock_us() >= redis->deadline)
        out_of_time(redis);
    if (redis->state < idle)
        return redis_pending;
    return redis->state == failed ? redis_failed : redis_done;
}

static int milliseconds_until(int64_t deadline)
{
    int64_t left = deadline - clock_us();
    if (left <= 0)
        return 0;
    return left >= INT32_MAX * INT64_C(1000) ? INT32_MAX : (int)((left + 999) / 1000);
}

int redis_wait(const struct redis *redis, struct pollfd *wait)
{
    *wait = (struct pollfd){.fd = redis->fd, .events = POLLIN};
    if (redis->state >= idle)
        return 0;
    if (redis->state == finding) {
        int ms = redis_sentinels_wait(redis->sentinels, wait), left = milliseconds_until(redis->deadline);
        return ms < left ? ms : left;
    }
    if (redis->state == connecting) {
        wait->events = POLLOUT;
        return milliseconds_until(redis->address_deadline);
    }
    if (redis->state == resolving && redis->resolution == NULL)
        return RETRY_RESOLVING_MS;
    if (redis->state == resolving)
        wait->fd = redis_resolution_descriptor(redis->resolution);
    if ((redis->state == greeting && redis->greeting.pipeline.sent < redis->greeting.pipeline.length) ||
        (redis->state == exchanging && redis->commands.sent < redis->commands.length))
        wait->events |= POLLOUT;
    return milliseconds_until(redis->deadline);
}

bool redis_exchange(struct redis *redis, int64_t timeout)
{
    enum redis_progress progress;
    redis_start(redis, timeout);
    while ((progress = redis_step(redis)) == redis_pending) {
        struct pollfd wait;
        int ms = redis_wait(redis, &wait);
        poll(&wait, 1, ms);
    }
    return progress == redis_done;
}

const struct redis_reply *redis_reply(const struct redis *redis, size_t i)
{
    return i < redis->commands.replied ? redis->commands.replies[i] : NULL;
}

enum label_error redis_error(const struct redis *redis)
{
    return redis->error;
}

const char *redis_error_text(const struct redis *redis)
{
    return redis->error_text;
}
