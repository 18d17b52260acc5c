/* One connection to Redis: a state machine over a non-blocking socket.
 *
 *     resolving -> connecting -> greeting -> exchanging -> finished
 *
 * Each state has a step that goes as far as it can without waiting. Greeting and exchange are both pipelines: commands out,
 * replies in. Whatever goes wrong closes the socket, so a late reply can never be taken for that of the next command. */
#include "conf/lib/redis.h"

#include "conf/lib/redis_pipeline.h"
#include "conf/lib/redis_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 16 << 10, PASSWORD_MAX = 1024, RETRY_RESOLVING_MS = 100, GREETINGS_MAX = 3 };

enum state { resolving, connecting, greeting, exchanging, idle, finished, failed };

struct redis {
    const struct settings *settings;
    char name[SETTINGS_NAME_MAX];
    struct redis_url url;
    char server[128]; /* its address, for people */
    enum state state;
    bool prepared; /* commands were added since the last exchange */
    struct redis_pipeline commands, greeting;
    const char *greetings[GREETINGS_MAX]; /* what each command of the greeting is */
    struct redis_resolution *resolution;
    struct redis_addresses addresses;
    size_t address; /* the one that is tried */
    int64_t address_deadline;
    int connect_error; /* errno of the last address that failed */
    int fd;
    struct redis_reader *reader;
    int64_t deadline; /* microseconds of CLOCK_MONOTONIC */
    enum label_error error;
    char error_text[400];
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
    redis->fd = -1;
    redis->reader = NULL;
}

/* Ends the exchange; always returns true: the state changed. */
__attribute__((format(printf, 3, 4))) static bool give_up(struct redis *redis, enum label_error error,
                                                          const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(redis->error_text, sizeof redis->error_text, "%s: %s", redis->server, reason);
    redis->error = error;
    redis->state = failed;
    disconnect(redis);
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

/* The first line of the password file. NULL, or what is wrong. */
static const char *read_password(const char *file, char *password)
{
    FILE *in = fopen(file, "re");
    if (in == NULL)
        return strerror(errno);
    const char *got = fgets(password, PASSWORD_MAX, in);
    fclose(in);
    size_t length = got == NULL ? 0 : strcspn(password, "\r\n");
    if (length == 0)
        return "its first line is empty";
    if (length == PASSWORD_MAX - 1)
        return "its first line is too long";
    password[length] = '\0';
    return NULL;
}

static void greet(struct redis *redis, const char *what, size_t count, const char *const *arguments)
{
    redis->greetings[redis->greeting.commands % GREETINGS_MAX] = what;
    redis_pipeline_add(&redis->greeting, count, arguments, NULL);
}

/* Prepares what a new connection begins with. */
static bool prepare_greeting(struct redis *redis)
{
    char password[PASSWORD_MAX];
    const struct settings *settings = redis->settings;
    redis_pipeline_clear(&redis->greeting);
    if (settings->redis_password_file[0] != '\0') {
        const char *wrong = read_password(settings->redis_password_file, password);
        if (wrong != NULL)
            return give_up(redis, error_auth, "redis.password_file %.200s: %s", settings->redis_password_file, wrong);
        if (settings->redis_user[0] != '\0')
            greet(redis, "AUTH", 3, (const char *[]){"AUTH", settings->redis_user, password});
        else
            greet(redis, "AUTH", 2, (const char *[]){"AUTH", password});
    }
    if (strcmp(redis->url.database, "0") != 0)
        greet(redis, "SELECT", 2, (const char *[]){"SELECT", redis->url.database});
    greet(redis, "CLIENT", 3, (const char *[]){"CLIENT", "SETNAME", redis->name});
    if (redis->greeting.broken)
        return give_up(redis, error_other, "no memory");
    redis->state = greeting;
    return true;
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
    return redis->reader == NULL ? give_up(redis, error_other, "no memory") : prepare_greeting(redis);
}

/* ---- commands out, replies in ---- */

/* Looks for a reply to the greeting that ends the connection. Only AUTH and SELECT must succeed, but a server that turns us away
 * says so in reply to whatever comes first. */
static bool greeting_refused(struct redis *redis)
{
    for (size_t i = 0; i < redis->greeting.replied; i++) {
        const struct redis_reply *reply = redis->greeting.replies[i];
        const char *what = redis->greetings[i];
        const char *text = redis_reply_text(reply, NULL);
        enum label_error error = redis_classify(text);
        if (redis_reply_kind(reply) != redis_error_reply)
            continue;
        if (strcmp(what, "CLIENT") == 0 && error != error_auth && error != error_connect)
            continue;
        if (strcmp(what, "AUTH") == 0 && error == error_other)
            error = error_auth;
        /* "ERR unknown command 'AUTH', with args beginning with: …" would put the password into the log. */
        if (strcmp(what, "AUTH") == 0 && strstr(text, "with args") != NULL)
            return give_up(redis, error, "the server does not know AUTH");
        return give_up(redis, error, "%s: %s", what, text);
    }
    return false;
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
    struct redis_pipeline *pipeline = redis->state == greeting ? &redis->greeting : &redis->commands;
    send_commands(redis, pipeline);
    if (!receive_replies(redis, pipeline))
        return true;
    if (pipeline->replied < pipeline->commands)
        return false;
    if (redis->state == greeting) {
        if (!greeting_refused(redis))
            redis->state = exchanging;
    } else {
        redis->state = finished;
    }
    return true;
}

/* ---- for the callers ---- */

struct redis *redis_open(const struct settings *settings, const char *name)
{
    struct redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL)
        return NULL;
    redis->settings = settings;
    redis->fd = -1;
    redis->state = idle;
    snprintf(redis->name, sizeof redis->name, "%s", name);
    redis_url_parse(settings->redis_url, &redis->url); /* the configuration was checked */
    if (redis->url.path[0] != '\0')
        snprintf(redis->server, sizeof redis->server, "unix://%s", redis->url.path);
    else
        snprintf(redis->server, sizeof redis->server, "redis://%.100s:%s", redis->url.host, redis->url.port);
    return redis;
}

void redis_close(struct redis *redis)
{
    if (redis == NULL)
        return;
    disconnect(redis);
    redis_resolution_drop(redis->resolution);
    redis_pipeline_free(&redis->greeting);
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
        disconnect(redis);
        redis->state = resolving;
    }
}

enum redis_progress redis_step(struct redis *redis)
{
    static bool (*const steps[])(struct redis *) = {
        [resolving] = step_resolve,
        [connecting] = step_connect,
        [greeting] = step_pipeline,
        [exchanging] = step_pipeline,
    };
    while (redis->state < idle && steps[redis->state](redis)) {
    }
    if (redis->state < idle && clock_us() >= redis->deadline)
        give_up(redis, error_timeout, redis->state < greeting ? "not connected in time" : "no answer in time");
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
    if (redis->state == connecting) {
        wait->events = POLLOUT;
        return milliseconds_until(redis->address_deadline);
    }
    if (redis->state == resolving && redis->resolution == NULL)
        return RETRY_RESOLVING_MS;
    if (redis->state == resolving)
        wait->fd = redis_resolution_descriptor(redis->resolution);
    if ((redis->state == greeting && redis->greeting.sent < redis->greeting.length) ||
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
