/* Fuzz target: what a server says first, and what a sentinel says; the first byte of the input chooses. A server is greeted or refused with
 * a sentence; a sentinel names a master that can be connected to, or there is a sentence, too. */
#include "tests/kit/canned_redis.h"

#include "conf/lib/redis_greeting.h"
#include "conf/lib/redis_sentinel.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void greet(const char *bytes, size_t size, bool role)
{
    static const struct settings settings = {.redis_url = "redis://host"};
    struct redis_greeting greeting = {.what = {NULL}};
    struct redis_refusal refusal = {.error = error_COUNT};
    struct redis_reader *reader = redis_reader_new();
    if (!redis_greeting_prepare(&greeting, &settings, role ? "1" : "0", "fuzz", role, &refusal))
        abort();
    bool sound = redis_pipeline_take(&greeting.pipeline, reader, bytes, size) == NULL;
    bool accepted = redis_greeting_accepted(&greeting, &refusal);
    if (!accepted &&
        (refusal.error >= error_COUNT || refusal.text[0] == '\0' || strlen(refusal.text) >= sizeof refusal.text))
        abort();
    if (sound && accepted && greeting.pipeline.replied == greeting.pipeline.commands &&
        redis_greeting_by_replica(&greeting) && !role)
        abort();
    redis_reader_free(reader);
    redis_pipeline_free(&greeting.pipeline);
}

static void ask_sentinel(const char *bytes, size_t size)
{
    static struct redis_sentinels sentinels = {.settings = {.redis_url = "redis://sentinel:26379"}};
    struct redis_url master = {.host = "before", .port = "1", .database = "0"};
    canned_load(bytes, size);
    for (int i = 0; i < 3; i++) { /* what they say is gathered */
        canned_exchange();
        canned_command(NULL, 0, NULL, NULL);
        sentinels.error = error_COUNT;
        bool named = take(&sentinels, &master);
        int port = atoi(master.port);
        if (master.host[0] == '\0' || port < 1 || port > 65535 ||
            strlen(sentinels.error_text) >= sizeof sentinels.error_text ||
            (!named && (sentinels.error >= error_COUNT || sentinels.error_text[0] == '\0')))
            abort();
    }
    sentinels.error_text[0] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 's')
        ask_sentinel((const char *)data + 1, size - 1);
    else
        greet((const char *)data + 1, size - 1, data[0] == 'r');
    return 0;
}
