/* Would Redis take a push? Commands that need the same rights and change nothing, whatever is there: a member that is not there is not
 * updated, a key that nobody makes is removed, a script that nobody has is not run. */
#include "milter/pusher/check_redis.h"

#include "conf/lib/redis.h"
#include "milter/handover.h"

#include <signal.h>
#include <string.h>

enum { KEY_BYTES = SETTINGS_NAME_MAX + 32, WORDS_MAX = 6, SHA = 40 };

/* INSTANCE and KEY stand for what is different at each instance: its name, "ms1:{NAME}:" and what follows. */
#define INSTANCE "%"
#define KEY      "ms1:{%}:"

static const struct question {
    const char *words[WORDS_MAX];
    const char *expected; /* the beginning of an error that is right, or NULL */
} questions[] = {
    {{"TIME"}, NULL},
    {{"INFO", "server"}, NULL},
    {{"HMGET", KEY "meta", "owner"}, NULL},
    {{"HGET", KEY "meta", "owner"}, NULL},
    {{"HGETALL", KEY "nothing"}, NULL},
    {{"HLEN", KEY "counters"}, NULL},
    {{"HLEN", KEY "gauges"}, NULL},
    {{"DEL", KEY "nothing"}, NULL},
    {{"EXPIRE", KEY "nothing", "1"}, NULL},
    {{"GETRANGE", KEY "nothing", "0", "0"}, NULL},
    {{"SET", KEY "nothing", "", "XX"}, NULL},
    {{"XADD", "ms1:{%}:nothing", "0-0", "", ""}, "ERR"}, /* no entry can have that id */
    {{"ZADD", "ms1:instances", "XX", "GT", "0", INSTANCE}, NULL},
    {{"ZREMRANGEBYSCORE", "ms1:instances", "(0", "0"}, NULL},
    {{"SCRIPT", "LOAD", "("}, "ERR"},
    {{"EVALSHA", "0000000000000000000000000000000000000000", "0"}, "NOSCRIPT"},
};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

/* Puts the instance where the % is. */
static void fill(const char *word, const char *instance, char *filled)
{
    const char *percent = strchr(word, '%');
    if (percent == NULL)
        snprintf(filled, KEY_BYTES, "%s", word);
    else
        snprintf(filled, KEY_BYTES, "%.*s%s%s", (int)(percent - word), word, instance, percent + 1);
}

static void prepare(struct redis *redis, const char *instance)
{
    static char texts[WORDS_MAX][KEY_BYTES];
    for (size_t i = 0; i < QUESTIONS; i++) {
        const char *words[WORDS_MAX];
        size_t count = 0;
        for (; count < WORDS_MAX && questions[i].words[count] != NULL; count++) {
            fill(questions[i].words[count], instance, texts[count]);
            words[count] = texts[count];
        }
        redis_command(redis, count, words, NULL);
    }
    redis_command(redis, 1, (const char *const[]){"ROLE"}, NULL); /* whose rights are not needed: only to help */
}

static int say(enum label_error error, const char *hint, const char *url, const char *text)
{
    const char *class = catalogue[metric_push_errors_total].labels[0]->values[error];
    printf("%s\n%s\n%s%s%s\n", class, hint, url, *url != '\0' ? ": " : "", text);
    return fflush(stdout) == 0 ? EX_UNAVAILABLE : EX_IOERR;
}

/* host:port of the master that a replica follows, or "". */
static void find_master(const struct redis *redis, char *master, size_t size)
{
    const struct redis_reply *role = redis_reply(redis, QUESTIONS);
    *master = '\0';
    if (redis_reply_count(role) >= 3 && strcmp(redis_reply_text(redis_reply_item(role, 0), NULL), "slave") == 0)
        snprintf(master, size, "%s:%lld", redis_reply_text(redis_reply_item(role, 1), NULL),
                 (long long)redis_reply_integer(redis_reply_item(role, 2)));
}

static int judge(const struct redis *redis, const struct settings *settings)
{
    char hint[512] = "", key[KEY_BYTES];
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct redis_reply *reply = redis_reply(redis, i);
        const char *text = redis_reply_text(reply, NULL);
        if (redis_reply_kind(reply) != redis_error_reply)
            continue;
        if (questions[i].expected != NULL && strncmp(text, questions[i].expected, strlen(questions[i].expected)) == 0)
            continue;
        enum label_error error = redis_classify(text);
        if (error == error_readonly)
            find_master(redis, hint, sizeof hint);
        if (error == error_wrongtype) {
            fill(questions[i].words[1], settings->instance, key);
            snprintf(hint, sizeof hint, "%s", key);
        }
        return say(error, hint, settings->redis_url, text);
    }
    return EX_OK;
}

int check_redis(void)
{
    struct failure failure = {EX_OK, ""};
    const struct settings *settings = settings_map(HANDOVER_SETTINGS, &failure);
    struct redis *redis = settings != NULL ? redis_open(settings, "milterscope-check") : NULL;
    signal(SIGPIPE, SIG_IGN);
    if (redis == NULL) {
        fprintf(stderr, "%s\n", settings == NULL ? failure.text : "no memory for a connection to Redis");
        return settings == NULL ? failure.status : EX_OSERR;
    }
    prepare(redis, settings->instance);
    int status = redis_exchange(redis, settings->redis_timeout)
                     ? judge(redis, settings)
                     : say(redis_error(redis), "", "", redis_error_text(redis));
    redis_close(redis);
    settings_unmap(settings);
    return status;
}
