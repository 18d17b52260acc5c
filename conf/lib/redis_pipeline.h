/* Commands out, replies in: the part of a Redis connection that knows the protocol, by means of hiredis. Private to redis*.c.
 *
 * Replies are bounded: in bytes, and in the elements of an array, for which hiredis allocates as many as the server announces. */
#ifndef CONF_LIB_REDIS_PIPELINE_H
#define CONF_LIB_REDIS_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>

enum { REDIS_REPLY_BYTES_MAX = 64 << 20, REDIS_REPLY_ELEMENTS_MAX = 1 << 20 };

struct redis_reply;

struct redis_pipeline {
    char *bytes; /* the commands as they are sent */
    size_t length, size, sent;
    size_t commands, replied;
    size_t received;              /* bytes of replies */
    struct redis_reply **replies; /* `replied` of them, with room for `commands` */
    size_t replies_size;
    bool broken; /* memory ran out */
};

/* Forgets commands and replies; a pipeline begins as zeros. */
void redis_pipeline_clear(struct redis_pipeline *pipeline);
void redis_pipeline_free(struct redis_pipeline *pipeline);

/* Adds a command; lengths NULL: arguments are NUL-terminated. Sets `broken` where memory is short. */
void redis_pipeline_add(struct redis_pipeline *pipeline, size_t count, const char *const *arguments,
                        const size_t *lengths);

/* Splits what one connection receives into replies. */
struct redis_reader;

/* NULL if memory is short. */
struct redis_reader *redis_reader_new(void);
void redis_reader_free(struct redis_reader *reader); /* NULL is allowed */

/* Takes bytes that the server sent, and adds the replies that are whole now. Returns NULL, or what is wrong with them: a text that is
 * good until the reader is used again. */
const char *redis_pipeline_take(struct redis_pipeline *pipeline, struct redis_reader *reader, const char *bytes,
                                size_t length);

#endif
