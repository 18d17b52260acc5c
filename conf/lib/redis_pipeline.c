/* Pipelines and replies. The only file of the project that includes hiredis; it builds with 0.14 and with 1.x. */
#include "conf/lib/redis_pipeline.h"

#include "conf/lib/redis.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#if HIREDIS_MAJOR < 1
typedef int element_count;
#else
typedef size_t element_count;
#endif

struct redis_reader {
    redisReader *hiredis;
    redisReplyObjectFunctions functions; /* hiredis' own, but for arrays */
    void *(*create_array)(const redisReadTask *task, element_count elements);
};

static redisReply *hiredis_reply(const struct redis_reply *reply)
{
    return (redisReply *)(uintptr_t)reply;
}

void redis_pipeline_clear(struct redis_pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->replied; i++)
        freeReplyObject(pipeline->replies[i]);
    pipeline->length = pipeline->sent = pipeline->commands = pipeline->replied = pipeline->received = 0;
    pipeline->broken = false;
}

void redis_pipeline_free(struct redis_pipeline *pipeline)
{
    redis_pipeline_clear(pipeline);
    free(pipeline->bytes);
    free(pipeline->replies);
}

/* Room for `more` bytes and one reply; false without memory. */
static bool reserve(struct redis_pipeline *pipeline, size_t more)
{
    if (pipeline->size - pipeline->length < more) {
        size_t size = (pipeline->length + more) * 2;
        char *bytes = realloc(pipeline->bytes, size);
        if (bytes == NULL)
            return false;
        pipeline->bytes = bytes;
        pipeline->size = size;
    }
    if (pipeline->commands == pipeline->replies_size) {
        size_t size = pipeline->replies_size * 2 + 8;
        struct redis_reply **replies = realloc(pipeline->replies, size * sizeof(struct redis_reply *));
        if (replies == NULL)
            return false;
        pipeline->replies = replies;
        pipeline->replies_size = size;
    }
    return true;
}

void redis_pipeline_add(struct redis_pipeline *pipeline, size_t count, const char *const *arguments,
                        const size_t *lengths)
{
    char *formatted = NULL;
    const char **unqualified = (const char **)(uintptr_t)arguments; /* hiredis leaves out a const that it means */
    long long length = redisFormatCommandArgv(&formatted, (int)count, unqualified, lengths);
    if (length >= 0 && reserve(pipeline, (size_t)length)) {
        memcpy(pipeline->bytes + pipeline->length, formatted, (size_t)length);
        pipeline->length += (size_t)length;
        pipeline->commands++;
    } else {
        pipeline->broken = true;
    }
    if (length >= 0)
        redisFreeCommand(formatted);
}

static void *create_bounded_array(const redisReadTask *task, element_count elements)
{
    const struct redis_reader *reader = task->privdata;
    return elements > REDIS_REPLY_ELEMENTS_MAX ? NULL : reader->create_array(task, elements);
}

struct redis_reader *redis_reader_new(void)
{
    struct redis_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->hiredis = redisReaderCreate();
    if (reader->hiredis == NULL) {
        free(reader);
        return NULL;
    }
    reader->functions = *reader->hiredis->fn;
    reader->create_array = reader->functions.createArray;
    reader->functions.createArray = create_bounded_array;
    reader->hiredis->fn = &reader->functions;
    reader->hiredis->privdata = reader;
    reader->hiredis->maxbuf = 0; /* else it wants a smaller buffer after a long reply, and aborts where it gets none */
    return reader;
}

void redis_reader_free(struct redis_reader *reader)
{
    if (reader == NULL)
        return;
    redisReaderFree(reader->hiredis);
    free(reader);
}

const char *redis_pipeline_take(struct redis_pipeline *pipeline, struct redis_reader *reader, const char *bytes,
                                size_t length)
{
    redisReader *hiredis = reader->hiredis;
    pipeline->received += length;
    if (pipeline->received > REDIS_REPLY_BYTES_MAX)
        return "it is too long";
    redisReaderFeed(hiredis, bytes, length);
    while (pipeline->replied < pipeline->commands) {
        void *reply = NULL;
        if (redisReaderGetReply(hiredis, &reply) != REDIS_OK)
            return hiredis->errstr;
        if (reply == NULL)
            return NULL;
        pipeline->replies[pipeline->replied++] = reply;
    }
    return hiredis->pos < hiredis->len ? "it says more than was asked" : NULL;
}

enum redis_kind redis_reply_kind(const struct redis_reply *reply)
{
    switch (reply == NULL ? REDIS_REPLY_NIL : hiredis_reply(reply)->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        return redis_string;
    case REDIS_REPLY_ARRAY:
        return redis_array;
    case REDIS_REPLY_INTEGER:
        return redis_integer;
    case REDIS_REPLY_ERROR:
        return redis_error_reply;
    default:
        return redis_nil;
    }
}

int64_t redis_reply_integer(const struct redis_reply *reply)
{
    return redis_reply_kind(reply) == redis_integer ? hiredis_reply(reply)->integer : 0;
}

const char *redis_reply_text(const struct redis_reply *reply, size_t *length)
{
    enum redis_kind kind = redis_reply_kind(reply);
    bool has_text = kind == redis_string || kind == redis_error_reply;
    if (length != NULL)
        *length = has_text ? (size_t)hiredis_reply(reply)->len : 0;
    return has_text ? hiredis_reply(reply)->str : "";
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return redis_reply_kind(reply) == redis_array ? hiredis_reply(reply)->elements : 0;
}

const struct redis_reply *redis_reply_item(const struct redis_reply *reply, size_t i)
{
    return i < redis_reply_count(reply) ? (const struct redis_reply *)hiredis_reply(reply)->element[i] : NULL;
}
