/* Asking sentinels, as the "Guidelines for Redis clients with support for Redis Sentinel" have it. A sentinel is asked through a
 * struct redis, like any server: what hangs, lies or is not there is dealt with there. */
#include "conf/lib/redis_sentinel.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct redis_sentinels {
    struct redis_sentinel_list list;
    char name[SETTINGS_NAME_MAX];
    size_t first; /* the one that is asked first */
    size_t asked; /* so many were asked, and did not know */
    int64_t begin, deadline;
    struct settings settings; /* for the connection: URL and timeout */
    struct redis *connection; /* to the one that is asked now, or NULL */
    enum label_error error;
    char error_text[256];
};

static int64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct redis_sentinels *redis_sentinels_open(const struct redis_sentinel_list *list, int64_t timeout, const char *name)
{
    struct redis_sentinels *sentinels = calloc(1, sizeof *sentinels);
    if (sentinels == NULL)
        return NULL;
    sentinels->list = *list;
    sentinels->settings.redis_timeout = timeout;
    snprintf(sentinels->name, sizeof sentinels->name, "%s", name);
    return sentinels;
}

void redis_sentinels_stop(struct redis_sentinels *sentinels)
{
    if (sentinels == NULL)
        return;
    redis_close(sentinels->connection);
    sentinels->connection = NULL;
}

void redis_sentinels_close(struct redis_sentinels *sentinels)
{
    redis_sentinels_stop(sentinels);
    free(sentinels);
}

void redis_sentinels_doubt(struct redis_sentinels *sentinels)
{
    if (sentinels != NULL)
        sentinels->first = (sentinels->first + 1) % sentinels->list.count;
}

void redis_sentinels_start(struct redis_sentinels *sentinels, int64_t begin, int64_t deadline)
{
    redis_sentinels_stop(sentinels);
    sentinels->asked = 0;
    sentinels->begin = begin;
    sentinels->deadline = deadline;
    sentinels->error_text[0] = '\0';
}

static size_t turn(const struct redis_sentinels *sentinels)
{
    return (sentinels->first + sentinels->asked) % sentinels->list.count;
}

/* Turns to the next sentinel; false without memory. */
static bool ask(struct redis_sentinels *sentinels)
{
    const char *const question[] = {"SENTINEL", "get-master-addr-by-name", sentinels->list.master};
    int64_t left = sentinels->deadline - clock_us();
    size_t shares = sentinels->list.count - sentinels->asked + 1; /* one is for the master */
    redis_url_text(&sentinels->list.list[turn(sentinels)], sentinels->settings.redis_url,
                   sizeof sentinels->settings.redis_url);
    sentinels->connection = redis_open(&sentinels->settings, sentinels->name);
    if (sentinels->connection == NULL)
        return false;
    redis_command(sentinels->connection, 3, question, NULL);
    redis_start(sentinels->connection, left / (int64_t)shares);
    return true;
}

/* Writes down why the one that was asked did not name the master; returns false. */
__attribute__((format(printf, 3, 4))) static bool note(struct redis_sentinels *sentinels, enum label_error error,
                                                       const char *format, ...)
{
    size_t length = strlen(sentinels->error_text);
    va_list arguments;
    sentinels->error = error;
    if (length > 0 && length + 2 < sizeof sentinels->error_text) {
        strcpy(sentinels->error_text + length, "; ");
        length += 2;
    }
    va_start(arguments, format);
    vsnprintf(sentinels->error_text + length, sizeof sentinels->error_text - length, format, arguments);
    va_end(arguments);
    return false;
}

/* Reads the answer: does it name the master? */
static bool take(struct redis_sentinels *sentinels, struct redis_url *master)
{
    const char *who = sentinels->settings.redis_url;
    const struct redis_reply *reply = redis_reply(sentinels->connection, 0);
    const char *text = redis_reply_text(reply, NULL);
    switch (redis_reply_kind(reply)) {
    case redis_nil:
        return note(sentinels, error_other, "%s: knows no master of this name", who);
    case redis_error_reply:
        return note(sentinels, redis_classify(text), "%s: %s", who, text);
    default:
        return redis_url_move(master, redis_reply_text(redis_reply_item(reply, 0), NULL),
                              redis_reply_text(redis_reply_item(reply, 1), NULL)) ||
               note(sentinels, error_protocol, "%s: not the answer of a sentinel", who);
    }
}

enum redis_progress redis_sentinels_step(struct redis_sentinels *sentinels, struct redis_url *master)
{
    if (clock_us() < sentinels->begin)
        return redis_pending;
    for (; sentinels->asked < sentinels->list.count; sentinels->asked++) {
        if (sentinels->connection == NULL && !ask(sentinels)) {
            note(sentinels, error_other, "no memory");
            continue;
        }
        enum redis_progress progress = redis_step(sentinels->connection);
        if (progress == redis_pending)
            return redis_pending;
        bool named = progress == redis_done ? take(sentinels, master)
                                            : note(sentinels, redis_error(sentinels->connection), "%s",
                                                   redis_error_text(sentinels->connection));
        redis_sentinels_stop(sentinels);
        if (named) {
            sentinels->first = turn(sentinels);
            return redis_done;
        }
    }
    return redis_failed;
}

int redis_sentinels_wait(const struct redis_sentinels *sentinels, struct pollfd *wait)
{
    if (sentinels->connection != NULL)
        return redis_wait(sentinels->connection, wait);
    int64_t left = sentinels->begin - clock_us();
    *wait = (struct pollfd){.fd = -1};
    return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

enum label_error redis_sentinels_error(const struct redis_sentinels *sentinels)
{
    return sentinels->error;
}

const char *redis_sentinels_error_text(const struct redis_sentinels *sentinels)
{
    return sentinels->error_text;
}
