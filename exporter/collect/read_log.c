/* Reads a log in large pieces, and counts its lines into a tally of its own. */
#include "exporter/collect/read_log.h"

#include "exporter/collect/clock.h"
#include "exporter/collect/log_count.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUFFER = 4 * READ_LOG_LINE_MAX };

/* What has been read and is not yet counted stands at the beginning of the buffer. */
struct reader {
    struct log_counter counter;
    struct log_memory memory;
    struct tally tally;
    _Atomic uint64_t totals[total_COUNT];
    size_t length;
    bool skipping; /* the rest of a line that is too long */
    char buffer[BUFFER];
};

static void count_line(struct reader *reader, const char *text, size_t length)
{
    if (reader->skipping || length > READ_LOG_LINE_MAX)
        log_count_cut(&reader->counter);
    else
        log_count_text(&reader->counter, text, length);
    reader->skipping = false;
}

/* All whole lines; what is left of a line that fills the buffer is dropped. */
static void count_lines(struct reader *reader)
{
    const char *at = reader->buffer, *end = reader->buffer + reader->length, *feed;
    for (; (feed = memchr(at, '\n', (size_t)(end - at))) != NULL; at = feed + 1)
        count_line(reader, at, (size_t)(feed - at));
    reader->length = (size_t)(end - at);
    if (reader->length > READ_LOG_LINE_MAX) {
        reader->skipping = true;
        reader->length = 0;
    }
    memmove(reader->buffer, at, reader->length);
}

static bool read_all(struct reader *reader, int fd, const char *file, struct failure *failure)
{
    for (;;) {
        ssize_t got = read(fd, reader->buffer + reader->length, BUFFER - reader->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(failure, EX_NOINPUT, "%s: cannot be read: %s", file, strerror(errno));
        if (got == 0)
            break;
        reader->length += (size_t)got;
        count_lines(reader);
    }
    if (reader->length > 0 || reader->skipping) /* the last line without a line feed */
        count_line(reader, reader->buffer, reader->length);
    return true;
}

static struct reader *new_reader(enum mta_kind kind, const struct settings *settings)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->tally.totals = reader->totals;
    reader->counter.kind = kind;
    reader->counter.counting.settings = settings;
    reader->counter.counting.tally = &reader->tally;
    reader->counter.memory = &reader->memory;
    reader->counter.clock.now_us = clock_us(CLOCK_REALTIME);
    return reader;
}

bool read_log(const char *file, enum mta_kind kind, const struct settings *settings, struct snapshot *snapshot,
              struct failure *failure)
{
    bool is_input = strcmp(file, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(failure, EX_NOINPUT, "%s: %s", file, strerror(errno));
    struct reader *reader = new_reader(kind, settings);
    if (reader != NULL)
        reader->memory.exim.file = log_exim_file_of(file);
    bool good =
        reader != NULL ? read_all(reader, fd, file, failure) : fail(failure, EX_OSERR, "no memory to read %s", file);
    if (good) {
        snapshot_clear(snapshot);
        snapshot->has_node = true;
        for (unsigned i = 0; i < total_COUNT; i++)
            snapshot->totals[i] = atomic_load_explicit(&reader->totals[i], memory_order_relaxed);
    }
    free(reader);
    if (!is_input)
        close(fd);
    return good;
}
