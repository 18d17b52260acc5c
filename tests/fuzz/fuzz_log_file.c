/* Fuzzes the following of a log file: the first byte says how often we are killed, the rest is the file, or a position where it begins so.
 * Every line that ends in a line feed comes once, whatever is in it, and whenever we go on from a position. */
#include "exporter/collect/log_position.h"
#include "exporter/collect/log_source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool right)
{
    if (!right)
        abort();
}

/* A folder on tmpfs of this process' own, which stays empty behind it. */
static const char *path_of_log(void)
{
    static char path[64];
    if (path[0] == '\0') {
        char folder[] = "/dev/shm/milterscope-fuzz-XXXXXX";
        expect(mkdtemp(folder) != NULL);
        snprintf(path, sizeof path, "%s/log", folder);
    }
    return path;
}

static void leave(void)
{
    char folder[64];
    strcpy(folder, path_of_log());
    *strrchr(folder, '/') = '\0';
    rmdir(folder);
}

static void read_position(const uint8_t *data, size_t size)
{
    char text[LOG_POSITION_BYTES], again[LOG_POSITION_BYTES];
    struct log_position position, same;
    snprintf(text, sizeof text, "%.*s", (int)size, (const char *)data);
    if (!log_position_read(text, &position))
        return;
    log_position_write(&position, again);
    expect(log_position_read(again, &same) && memcmp(&position, &same, sizeof same) == 0);
}

/* Lines, each found where it stands: NULs before it and what is beyond LOG_LINE_MAX are left out. */
static void check_line(const struct log_entry *entry, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *feed = memchr(*at, '\n', (size_t)(end - *at));
    expect(feed != NULL);
    while (*at < feed && **at == '\0')
        ++*at;
    size_t length = (size_t)(feed - *at);
    expect(entry->is_cut == (length >= LOG_LINE_MAX));
    expect(entry->length == (length < LOG_LINE_MAX ? length : LOG_LINE_MAX - 1));
    expect(memcmp(entry->text, *at, entry->length) == 0 && entry->text[entry->length] == '\0');
    *at = feed + 1;
}

static void read_log(const char *path, const uint8_t *data, size_t size, unsigned lines_a_life)
{
    char position[LOG_POSITION_BYTES] = "";
    struct failure failure;
    const uint8_t *at = data, *end = data + size;
    enum log_next got = log_next_entry;
    for (unsigned life = 0; got != log_next_none; life++) {
        struct log_source *source = log_source_open(path, position, &failure);
        struct log_entry entry;
        expect(source != NULL && life <= size + 1);
        for (unsigned line = 0; line < lines_a_life && got != log_next_none; line++) {
            do
                got = log_source_next(source, &entry, &failure);
            while (got == log_next_busy);
            expect(got != log_next_failed);
            if (got == log_next_entry)
                check_line(&entry, &at, end);
        }
        log_source_position(source, position);
        log_source_close(source);
    }
    expect(memchr(at, '\n', (size_t)(end - at)) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool first = true;
    const char *path = path_of_log();
    if (first)
        atexit(leave);
    first = false;
    if (size == 0)
        return 0;
    read_position(data + 1, size - 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    expect(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)(size - 1));
    close(fd);
    read_log(path, data + 1, size - 1, 1 + data[0] % 8);
    remove(path);
    return 0;
}
