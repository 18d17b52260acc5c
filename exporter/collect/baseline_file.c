/* Reading believes nothing that it has not checked; writing goes by another name. */
#include "exporter/collect/baseline_file.h"

#include "conf/lib/fnv1a.h"
#include "exporter/collect/saved_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { VERSION = 1 };

struct header {
    char magic[8];
    uint32_t version;
    uint32_t signal_bytes;
    uint32_t signals;
    uint32_t unused;
};
static const char magic[8] = "msbase\r\n";

enum {
    LEAST_BYTES = sizeof(struct header) + sizeof(uint64_t),
    MOST_BYTES = LEAST_BYTES + signal_COUNT * sizeof(struct baseline_signal)
};

/* ---- reading ---- */

static const char *check_signal(const struct baseline_signal *signal)
{
    if (memchr(signal->name, '\0', sizeof signal->name) == NULL || signal->name[0] == '\0')
        return "a name in it is none";
    if (signal->now.hour >= BASELINE_HOURS || signal->now.day < 0 || signal->count > BASELINE_SAMPLES_MAX)
        return "an hour in it is none";
    return NULL;
}

static const char *check(const char *bytes, size_t length)
{
    struct header header;
    uint64_t checksum;
    if (length < LEAST_BYTES || length > MOST_BYTES)
        return "it is too short, or too long";
    memcpy(&header, bytes, sizeof header);
    memcpy(&checksum, bytes + length - sizeof checksum, sizeof checksum);
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.version != VERSION ||
        header.signal_bytes != sizeof(struct baseline_signal))
        return "it is of another kind";
    if (header.signals > signal_COUNT || length != LEAST_BYTES + header.signals * sizeof(struct baseline_signal))
        return "it is not whole";
    return checksum == fnv1a(FNV1A_BEGINS, bytes, length - sizeof checksum) ? NULL : "its checksum is wrong";
}

static void take_over(const struct baseline_signal *from, struct baseline_signal *signals, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(signals[i].name, from->name) == 0)
            signals[i] = *from;
    }
}

const char *baseline_read(const char *bytes, size_t length, struct baseline_signal *signals, unsigned count)
{
    const char *wrong = check(bytes, length);
    size_t first = sizeof(struct header), each = sizeof(struct baseline_signal), end = length - sizeof(uint64_t);
    struct baseline_signal *from = wrong == NULL ? malloc(each) : NULL;
    if (wrong == NULL && from == NULL)
        return "there is no memory for it";
    for (size_t at = first; wrong == NULL && at < end; at += each) {
        memcpy(from, bytes + at, each);
        wrong = check_signal(from);
    }
    for (size_t at = first; wrong == NULL && at < end; at += each) {
        memcpy(from, bytes + at, each);
        take_over(from, signals, count);
    }
    free(from);
    return wrong;
}

static void move_aside(const char *path, const char *wrong, struct failure *warning)
{
    char aside[PATH_MAX], date[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    if (snprintf(aside, sizeof aside, "%s.damaged-%s", path, date) < (int)sizeof aside && rename(path, aside) == 0)
        fail(warning, EX_DATAERR, "%s: %s; moved to %s, the baseline begins anew", path, wrong, aside);
    else
        fail(warning, EX_DATAERR, "%s: %s, and it cannot be moved aside: %s; the baseline begins anew", path, wrong,
             strerror(errno));
}

/* All of a file, of which one byte more than there may be; -1 with errno. */
static ssize_t read_all(int fd, char *bytes)
{
    size_t length = 0;
    ssize_t n;
    while ((n = read(fd, bytes + length, MOST_BYTES + 1 - length)) > 0)
        length += (size_t)n;
    return n < 0 ? -1 : (ssize_t)length;
}

bool baseline_load(const char *directory, struct baseline_signal *signals, unsigned count, struct failure *warning,
                   struct failure *failure)
{
    char path[PATH_MAX];
    struct stat status;
    warning->text[0] = '\0';
    snprintf(path, sizeof path, "%s/" BASELINE_FILE, directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return true;
    char *bytes = malloc(MOST_BYTES + 1);
    bool is_file = fd >= 0 && bytes != NULL && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    ssize_t length = is_file ? read_all(fd, bytes) : -1;
    if (length < 0)
        fail(failure, EX_IOERR, "%s cannot be read: %s", path, fd >= 0 && !is_file ? "no file" : strerror(errno));
    const char *wrong = length < 0 ? NULL : baseline_read(bytes, (size_t)length, signals, count);
    if (wrong != NULL)
        move_aside(path, wrong, warning);
    free(bytes);
    if (fd >= 0)
        close(fd);
    return length >= 0;
}

/* ---- writing ---- */

static bool is_known(const struct baseline_signal *signal)
{
    return signal->name[0] != '\0' && signal->now.day != 0;
}

bool baseline_save(const char *directory, const struct baseline_signal *signals, unsigned count,
                   struct failure *failure)
{
    struct header header = {.version = VERSION, .signal_bytes = sizeof signals[0]};
    uint64_t checksum = FNV1A_BEGINS;
    struct iovec parts[signal_COUNT + 2] = {{&header, sizeof header}};
    int used = 1;
    memcpy(header.magic, magic, sizeof magic);
    for (unsigned i = 0; i < count && i < signal_COUNT; i++) {
        if (is_known(&signals[i]))
            parts[used++] = (struct iovec){(void *)(uintptr_t)&signals[i], sizeof signals[i]};
    }
    header.signals = (uint32_t)(used - 1);
    for (int i = 0; i < used; i++)
        checksum = fnv1a(checksum, parts[i].iov_base, parts[i].iov_len);
    parts[used++] = (struct iovec){&checksum, sizeof checksum};
    return saved_file_write(directory, BASELINE_FILE, parts, used, true, failure);
}
