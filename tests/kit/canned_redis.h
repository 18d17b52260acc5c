/* Replies from a text instead of a server: for a test that includes the source which asks, behind this file. The replies are taken in
 * their order, as many in an exchange as were asked for; where the text has ended there are none. */
#ifndef TESTS_KIT_CANNED_REDIS_H
#define TESTS_KIT_CANNED_REDIS_H

#include "conf/lib/redis.h"
#include "conf/lib/redis_pipeline.h"

static struct redis_pipeline canned;
static size_t canned_from, canned_asked;

enum { CANNED_MAX = 8192 }; /* replies */

/* Begins with the replies of this text, up to where it is wrong. */
static void canned_load(const char *text, size_t length)
{
    static const char *const ping[] = {"PING"};
    struct redis_reader *reader = redis_reader_new();
    redis_pipeline_clear(&canned);
    canned_from = canned_asked = 0;
    for (size_t i = 0; i < CANNED_MAX && i <= length / 3; i++) /* the shortest reply has three bytes */
        redis_pipeline_add(&canned, 1, ping, NULL);
    redis_pipeline_take(&canned, reader, text, length);
    redis_reader_free(reader);
}

/* Before the questions of another exchange. */
static void canned_exchange(void)
{
    canned_from += canned_asked;
    canned_asked = 0;
}

static void canned_command(struct redis *redis, size_t count, const char *const *arguments, const size_t *lengths)
{
    (void)redis;
    (void)count;
    (void)arguments;
    (void)lengths;
    canned_asked++;
}

static const struct redis_reply *canned_reply(const struct redis *redis, size_t i)
{
    (void)redis;
    return i < canned_asked && canned_from + i < canned.replied ? canned.replies[canned_from + i] : NULL;
}

#define redis_command         canned_command
#define redis_reply(redis, i) canned_reply(redis, i)

#endif
