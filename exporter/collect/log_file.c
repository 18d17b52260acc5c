/* A log file, followed: lines are handed out when their line feed is there.
 *
 * At the end of the file it is looked at whether it was rotated. Was it renamed, then what is still written to it is read until there is
 * something in the file that comes next; then a last line without its line feed is handed out, too. Was it copied and cut, then the rest is read
 * from the copy, where there is one. Lines that were cut off before we saw them, and of which there is no copy, are lost: how many
 * nobody can know, so it is said that there may be some. */
#include "exporter/collect/log_source.h"

#include "conf/lib/log.h"
#include "exporter/collect/log_position.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024, READS_A_CALL = 64 };

struct log_file {
    struct log_source source;
    char path[SETTINGS_PATH_MAX];
    int fd; /* -1: none is open */
    struct log_position position;
    bool at_end;  /* of the file, when it was read last */
    bool leaving; /* for the file that comes next: one more look whether all was read */
    uint64_t
        skipped; /* bytes of the line in hand that are not in the buffer: NULs before it, and what is beyond LOG_LINE_MAX */
    bool has_hole;               /* there were NULs */
    size_t begin, end, searched; /* what is in the buffer, and how much of it is known to hold no line feed */
    char buffer[BUFFER_BYTES];
};

/* ---- which file ---- */

static void use_file(struct log_file *self, int fd)
{
    if (self->fd >= 0)
        close(self->fd);
    self->fd = fd;
    self->at_end = true; /* to be looked at before it is read */
    self->leaving = self->has_hole = false;
    self->begin = self->end = self->searched = 0;
    self->skipped = 0;
}

/* From the beginning of a file that was not seen before. */
static bool begin_file(struct log_file *self, int fd)
{
    struct stat status;
    use_file(self, fd);
    if (fd < 0 || fstat(fd, &status) != 0)
        return false;
    self->position = (struct log_position){.offset = 0};
    log_position_of_file(&self->position, &status);
    log_position_take_fingerprint(&self->position, fd);
    return true;
}

/* Nothing was seen of the file but that it is there: whatever was written since is to be read, wherever it is now. */
static bool is_blank(const struct log_file *self)
{
    return self->position.offset == 0 && self->position.fingerprint_bytes == 0;
}

/* Where the position is; where that is not to be had any more, what came after it. */
static bool resume(struct log_file *self)
{
    struct stat status;
    int fd = is_blank(self) ? -1 : log_position_open(&self->position, self->path);
    if (fd <
        0) { /* the position stays until there is something else: the file may only be closed to us, or away for a while */
        const struct log_position after = {.modified_ns = self->position.modified_ns};
        int next = log_position_open_next(&after, self->path);
        if (next < 0)
            return false;
        if (!is_blank(self))
            log_warning("log: %s as it was read last is not to be had any more, cut, compressed or removed; lines that "
                        "were written to it since, if any, are not counted",
                        self->path);
        return begin_file(self, next);
    }
    use_file(self, fd);
    if (fstat(fd, &status) == 0)
        log_position_of_file(&self->position, &status);
    return true;
}

/* Behind the last line feed that is there. */
static uint64_t end_of_lines(int fd, uint64_t size)
{
    char tail[LOG_LINE_MAX];
    uint64_t at = size > sizeof tail ? size - sizeof tail : 0;
    ssize_t got = pread(fd, tail, sizeof tail, (off_t)at);
    const char *newline = got > 0 ? memrchr(tail, '\n', (size_t)got) : NULL;
    return newline != NULL ? at + (uint64_t)(newline - tail) + 1 : at == 0 ? 0 : size;
}

/* At the very first start. false: the file is there, and cannot be read. */
static bool begin_at_end(struct log_file *self)
{
    struct stat status;
    int fd = log_position_open_file(AT_FDCWD, self->path);
    if (fd < 0)
        return errno == ENOENT;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        errno = EINVAL;
        return false;
    }
    int64_t now = self->position.modified_ns;
    begin_file(self, fd);
    self->position.offset = end_of_lines(fd, (uint64_t)status.st_size);
    if (is_blank(self)) /* another, that was rotated away just now, is of before */
        self->position.modified_ns = now;
    return true;
}

/* ---- lines ---- */

static uint64_t read_up_to(const struct log_file *self)
{
    return self->position.offset + self->skipped + (self->end - self->begin);
}

/* A line of `length` bytes at the beginning of the buffer is handed out, and `feed` bytes behind it are passed over. */
static void hand_out(struct log_file *self, size_t length, size_t feed, struct log_entry *entry)
{
    char *text = self->buffer + self->begin;
    uint64_t bytes = self->skipped + length + feed;
    if (is_blank(self) && !self->has_hole) {
        size_t known = bytes < FINGERPRINT_MAX ? (size_t)bytes : FINGERPRINT_MAX;
        self->position.fingerprint_bytes = known;
        self->position.fingerprint = log_position_hash(text, known);
    }
    bool is_cut = length >= LOG_LINE_MAX;
    *entry = (struct log_entry){.text = text, .length = is_cut ? LOG_LINE_MAX - 1 : length, .is_cut = is_cut};
    self->position.offset += bytes;
    self->begin += length + feed;
    self->searched = 0;
    self->skipped = 0;
    text[entry->length] = '\0';
}

/* A hole in a file that was cut while its writer went on where it was. */
static void pass_over_nuls(struct log_file *self)
{
    while (self->searched == 0 && self->begin < self->end && self->buffer[self->begin] == '\0') {
        self->begin++;
        self->skipped++;
        self->has_hole = true;
    }
}

static bool take_line(struct log_file *self, struct log_entry *entry)
{
    pass_over_nuls(self);
    const char *text = self->buffer + self->begin;
    size_t there = self->end - self->begin;
    const char *newline = memchr(text + self->searched, '\n', there - self->searched);
    if (newline != NULL) {
        hand_out(self, (size_t)(newline - text), 1, entry);
        return true;
    }
    if (there > LOG_LINE_MAX) {
        self->skipped += there - LOG_LINE_MAX;
        self->end = self->begin + LOG_LINE_MAX;
        there = LOG_LINE_MAX;
    }
    self->searched = there;
    return false;
}

/* Returns what read(2) does. */
static ssize_t fill(struct log_file *self)
{
    if (self->begin > 0) {
        memmove(self->buffer, self->buffer + self->begin, self->end - self->begin);
        self->end -= self->begin;
        self->begin = 0;
    }
    /* A byte is left for the NUL behind the last line. */
    ssize_t got =
        pread(self->fd, self->buffer + self->end, sizeof self->buffer - 1 - self->end, (off_t)read_up_to(self));
    self->end += got > 0 ? (size_t)got : 0;
    return got;
}

/* ---- rotation ---- */

/* Is the file what it was, or was it cut, and perhaps written anew? */
static bool is_same(struct log_file *self)
{
    struct stat status;
    struct log_position now = self->position;
    if (fstat(self->fd, &status) != 0 || (uint64_t)status.st_size < read_up_to(self))
        return false;
    log_position_of_file(&now, &status);
    if (is_blank(self) ? now.modified_ns > self->position.modified_ns && read_up_to(self) == 0
                       : now.fingerprint_bytes > 0 && !log_position_fits(&now, self->fd, &status))
        return false;
    self->position = now;
    return true;
}

static bool was_renamed(const struct log_file *self)
{
    struct stat status;
    return stat(self->path, &status) == 0 &&
           !(self->position.device == (uint64_t)status.st_dev && self->position.inode == (uint64_t)status.st_ino);
}

enum rotation { rotation_none, rotation_read_on, rotation_last_line };

/* At the end of the file. */
static enum rotation look_around(struct log_file *self, struct log_entry *entry)
{
    if (!was_renamed(self))
        return rotation_none;
    struct log_position behind = self->position;
    behind.offset = read_up_to(self);
    int next = log_position_open_next(&behind, self->path);
    if (next < 0)
        return rotation_none;
    if (!self->leaving) { /* what was written before the next file began has not been read for certain */
        self->leaving = true;
        close(next);
        return rotation_read_on;
    }
    size_t there = self->end - self->begin;
    if (there > 0) {
        close(next);
        hand_out(self, there, 0, entry);
        return rotation_last_line;
    }
    begin_file(self, next);
    return rotation_read_on;
}

/* ---- the source ---- */

static void cannot_read(const char *path, int error, struct failure *failure)
{
    const bool is_closed = error == EACCES || error == EPERM;
    fail(failure, is_closed ? EX_NOPERM : EX_NOINPUT, "the log %s cannot be read: %s%s", path, strerror(error),
         is_closed ? "; milterscope-collector is to be in the file's group, or to have CAP_DAC_READ_SEARCH" : "");
}

/* One that is not there is waited for; so is one in which nothing is. */
static enum log_next no_file(const struct log_file *self, struct failure *failure)
{
    int fd = log_position_open_file(AT_FDCWD, self->path); /* access(2) leaves out our capabilities */
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || errno == ENOENT)
        return log_next_none;
    cannot_read(self->path, errno, failure);
    return log_next_failed;
}

/* Before anything is read of a file that has become another. */
static bool has_file(struct log_file *self)
{
    if (self->fd >= 0 && self->at_end && !is_same(self))
        use_file(self, -1);
    return self->fd >= 0 || resume(self);
}

static enum log_next next(struct log_source *source, struct log_entry *entry, struct failure *failure)
{
    struct log_file *self = (struct log_file *)source;
    if (self->fd >= 0 && take_line(self, entry))
        return log_next_entry;
    if (!has_file(self))
        return no_file(self, failure);
    for (int reads = 0; reads < READS_A_CALL; reads++) {
        ssize_t got = fill(self);
        if (got < 0) {
            fail(failure, EX_IOERR, "the log %s cannot be read: %s", self->path, strerror(errno));
            use_file(self, -1);
            return log_next_failed;
        }
        self->at_end = got == 0;
        self->leaving = self->leaving && got == 0;
        if (take_line(self, entry))
            return log_next_entry;
        if (got > 0)
            continue;
        if (!is_same(self))
            return log_next_busy;
        enum rotation rotation = look_around(self, entry);
        if (rotation == rotation_last_line)
            return log_next_entry;
        if (rotation == rotation_none) /* what comes next may be closed to us */
            return was_renamed(self) ? no_file(self, failure) : log_next_none;
    }
    return log_next_busy;
}

static void position(const struct log_source *source, char text[LOG_POSITION_BYTES])
{
    log_position_write(&((const struct log_file *)source)->position, text);
}

static void close_file(struct log_source *source)
{
    use_file((struct log_file *)source, -1);
    free(source);
}

static const struct log_source_kind kind = {.next = next, .position = position, .close = close_file};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct log_source *log_file_open(const char *path, const char *text, struct failure *failure)
{
    struct log_file *self = calloc(1, sizeof *self);
    if (self == NULL || strlen(path) >= sizeof self->path) {
        free(self);
        fail(failure, EX_OSERR, "no memory to read the log %s", path);
        return NULL;
    }
    self->source.kind = &kind;
    self->fd = -1;
    strcpy(self->path, path);
    bool goes_on = text != NULL && log_position_read(text, &self->position);
    if (!goes_on)
        self->position = (struct log_position){.modified_ns = now_ns()};
    if (!goes_on && (text == NULL || *text != '\0') && !begin_at_end(self)) {
        cannot_read(path, errno, failure);
        free(self);
        return NULL;
    }
    return &self->source;
}
