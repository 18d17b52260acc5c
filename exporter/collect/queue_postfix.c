/* Queue files of Postfix: typed records, of which the first ones are the size, the time of arrival and the sender.
 *
 * The time is that of the record T, as postqueue shows it: a deferred file's mtime is the time of the next attempt. A name of
 * the long form has the seconds too, for a file whose record is not there. Directories of a hashed queue have names of one character; what
 * is not finished lacks the right of its owner to execute it. In `deferred` all messages count as tried; elsewhere nothing
 * cheap tells it, since the queue manager takes the log of the attempts away when it tries again. */
#include "exporter/collect/queue_scan.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

enum {
    RECORDS_MAX = 200, /* that stand before the sender; also where pointers lead in a circle */
    LONG_NAME_TIME = 10,
    LONG_NAME_MICROS = 4
};

static bool is_message(const char *name)
{
    size_t length = 0;
    for (; isalnum((unsigned char)name[length]) || name[length] == '_'; length++)
        ;
    return name[length] == '\0' && length > 1;
}

static bool is_directory(const struct queue_place *place, const char *name)
{
    (void)place;
    return isalnum((unsigned char)name[0]) && name[1] == '\0';
}

static const char *queue_name(const struct queue_place *place)
{
    const char *slash = strrchr(place->directory, '/');
    return slash != NULL ? slash + 1 : place->directory;
}

/* Seconds in base 52 (digits and letters that are no vowels), four such digits of microseconds, z, the inode. */
static int64_t time_of_name(const char *name)
{
    static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    const char *end = strrchr(name, 'z');
    int64_t seconds = 0;
    if (end == NULL || end - name < LONG_NAME_TIME || end - name > LONG_NAME_TIME + LONG_NAME_MICROS)
        return 0;
    for (; name < end - LONG_NAME_MICROS; name++) {
        const char *digit = strchr(digits, *name);
        if (digit == NULL)
            return 0;
        seconds = seconds * 52 + (digit - digits);
    }
    return seconds < INT64_MAX / 1000000 ? seconds * 1000000 : 0;
}

/* ---- records ---- */

struct record {
    char type;
    const char *text; /* not NUL-terminated */
    size_t length;
};

struct records {
    const struct queue_file *file;
    size_t at, length; /* in file->head */
};

/* The next record that begins in what was read; of a long one, the text ends there. */
static bool take(struct records *records, struct record *record)
{
    const char *head = records->file->head;
    size_t length = 0;
    if (records->at >= records->length)
        return false;
    record->type = head[records->at++];
    for (unsigned shift = 0;; shift += 7) {
        if (records->at >= records->length || shift > 21)
            return false;
        unsigned char byte = (unsigned char)head[records->at++];
        length |= (size_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            break;
    }
    size_t rest = records->length - records->at;
    record->text = head + records->at;
    record->length = length;
    records->at += length < rest ? length : rest;
    return length <= rest;
}

/* The number that begins a text with blanks before it; -1: none. */
static int64_t number_in(const struct record *record)
{
    char text[32];
    size_t length = record->length < sizeof text - 1 ? record->length : sizeof text - 1;
    memcpy(text, record->text, length);
    text[length] = '\0';
    const char *digits = text + strspn(text, " ");
    return isdigit((unsigned char)*digits) ? queue_number(digits) : -1;
}

/* Records go on elsewhere in the file, where cleanup wrote what a milter has changed. 0: they go on here. */
static bool jump(struct records *records, int64_t offset)
{
    if (offset == 0)
        return true;
    if (offset < 0)
        return false;
    ssize_t length = pread(records->file->fd, records->file->head, QUEUE_HEAD_BYTES, offset);
    records->at = 0;
    records->length = length > 0 ? (size_t)length : 0;
    return length > 0;
}

static int64_t time_in(const struct record *record)
{
    char text[64];
    size_t length = record->length < sizeof text - 1 ? record->length : sizeof text - 1;
    memcpy(text, record->text, length);
    text[length] = '\0';
    int64_t seconds = queue_number(text);
    const char *rest = text + strspn(text, "0123456789");
    int64_t micros = queue_number(rest + strspn(rest, " "));
    return seconds < INT64_MAX / 2000000 ? seconds * 1000000 + (micros < 1000000 ? micros : 0) : 0;
}

/* What stands before the recipients. */
static void read_records(const struct queue_file *file, struct queue_message *message)
{
    struct records records = {.file = file, .length = file->length};
    struct record record;
    message->bytes = -1;
    for (int i = 0; i < RECORDS_MAX && take(&records, &record); i++) {
        switch (record.type) {
        case 'C':
            message->bytes = message->bytes < 0 ? number_in(&record) : message->bytes;
            break;
        case 'T':
            message->arrived = message->arrived == 0 ? time_in(&record) : message->arrived;
            break;
        case 'p':
            if (!jump(&records, number_in(&record)))
                return;
            break;
        case 'S':
            message->null_sender = record.length == 0;
            return;
        case 'M':
        case 'R':
            return;
        default:
            break;
        }
    }
}

static bool read_file(const struct queue_file *file, struct queue_message *message)
{
    const char *queue = queue_name(file->place);
    bool is_maildrop = strcmp(queue, "maildrop") == 0;
    struct stat status = {.st_mode = S_IRWXU};
    read_records(file, message);
    if (is_maildrop || strcmp(queue, "incoming") == 0 || message->bytes < 0) {
        if (fstat(file->fd, &status) != 0)
            return true;
        /* The size that postdrop writes is nothing yet. */
        message->bytes = is_maildrop || message->bytes < 0 ? status.st_size : message->bytes;
        if (strcmp(queue, "corrupt") != 0 && (status.st_mode & S_IRWXU) != S_IRWXU)
            return false;
    }
    if (message->arrived == 0)
        message->arrived = time_of_name(file->name);
    message->tried = strcmp(queue, "deferred") == 0;
    return true;
}

const struct queue_format queue_format_postfix = {is_message, is_directory, read_file};
