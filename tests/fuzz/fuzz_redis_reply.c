/* Fuzz target: what a Redis server sends, up to the last accessor. The first byte says how many commands were asked and in how small
 * pieces the rest arrives. */
#include "conf/lib/redis.h"
#include "conf/lib/redis_pipeline.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct redis_reply *reply)
{
    size_t length;
    const char *text = redis_reply_text(reply, &length);
    size_t seen = strnlen(text, length) + (size_t)(redis_reply_integer(reply) & 1);
    if (text[length] != '\0')
        abort();
    if (redis_reply_kind(reply) == redis_error_reply)
        seen += (size_t)redis_classify(text);
    for (size_t i = 0; i < redis_reply_count(reply); i++)
        seen += walk(redis_reply_item(reply, i));
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ping[] = {"PING"};
    struct redis_pipeline pipeline = {0};
    if (size == 0)
        return 0;
    struct redis_reader *reader = redis_reader_new();
    size_t piece = 1 + (size_t)(data[0] >> 2);
    for (unsigned i = 0; i <= (data[0] & 3u); i++)
        redis_pipeline_add(&pipeline, 1, ping, NULL);
    for (size_t at = 1; at < size; at += piece) {
        size_t length = size - at < piece ? size - at : piece;
        if (redis_pipeline_take(&pipeline, reader, (const char *)data + at, length) != NULL)
            break;
    }
    for (size_t i = 0; i < pipeline.replied; i++)
        walk(pipeline.replies[i]);
    redis_reader_free(reader);
    redis_pipeline_free(&pipeline);
    return 0;
}
