/* Memory of the doctor: a chain of blocks. */
#include "milter/supervisor/doctor_memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct block {
    struct block *next;
    max_align_t content[];
};

static struct block *blocks;

void *memory_take(size_t size)
{
    struct block *block = size < SIZE_MAX / 2 ? calloc(1, sizeof *block + size) : NULL;
    if (block == NULL) {
        fputs("milterscope: no memory to look at the MTA\n", stderr);
        exit(EX_OSERR);
    }
    block->next = blocks;
    blocks = block;
    return block->content;
}

char *memory_copy(const char *text, size_t length)
{
    char *copy = memory_take(length + 1);
    memcpy(copy, text, length);
    return copy;
}

const char *memory_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 1 : (size_t)length + 1;
    char *text = memory_take(size);
    va_start(arguments, format);
    vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return text;
}

void memory_free(void)
{
    while (blocks != NULL) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}
