/* Fuzz target: a file in a queue of Postfix, sendmail or Exim; the first byte says of which, and which queue. What a pass finds then is one
 * message at most, and no sum is beyond what the file can say. */
#include "exporter/collect/queue_scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const struct queue_format *format;
    const char *directory, *name;
} kinds[] = {{&queue_format_postfix, "/queue/deferred", "4SGwPX0000zBcd"},
             {&queue_format_postfix, "/queue/maildrop", "A1B2C3D4"},
             {&queue_format_postfix, "/queue/incoming", "A1B2C3D4"},
             {&queue_format_sendmail, "/mqueue", "qf5AK100000001"},
             {&queue_format_sendmail, "/mqueue", "hf5AK100000001"},
             {&queue_format_exim, "/input", "1pXYZa-0000Ab-00-H"},
             {&queue_format_exim, "/input", "zzzzzz-zzzzzzzzzzz-zzzz-H"}};

static void require(bool good)
{
    if (!good)
        abort();
}

/* The file is of memory alone; beside it lies nothing. */
static void read_as(unsigned kind, const uint8_t *data, size_t size)
{
    static int empty = -1;
    struct queue_place place = {.format = kinds[kind].format};
    size_t length = size < QUEUE_HEAD_BYTES ? size : QUEUE_HEAD_BYTES;
    char *head = malloc(QUEUE_HEAD_BYTES + 1);
    if (empty < 0)
        empty = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    strcpy(place.directory, kinds[kind].directory);
    memcpy(head, data, length);
    head[length] = '\0';
    struct queue_file file = {.place = &place,
                              .fd = memfd_create("queue", MFD_CLOEXEC),
                              .directory = empty,
                              .name = kinds[kind].name,
                              .head = head,
                              .length = length};
    struct queue_message message = {.arrived = 0};
    require(file.fd >= 0 && write(file.fd, data, size) == (ssize_t)size && fchmod(file.fd, 0700) == 0);
    require(place.format->is_message(file.name));
    if (place.format->read(&file, &message))
        require(message.arrived >= 0 && message.bytes >= -1);
    close(file.fd);
    free(head);
}

/* And as the name of a file. */
static void name_as(unsigned kind, const uint8_t *data, size_t size)
{
    struct queue_place place = {.format = kinds[kind].format};
    char name[NAME_MAX + 1];
    size_t length = size < NAME_MAX ? size : NAME_MAX;
    memcpy(name, data, length);
    name[length] = '\0';
    strcpy(place.directory, kinds[kind].directory);
    bool is_message = place.format->is_message(name);
    require(!(is_message && place.format->is_directory(&place, name)));
    require(!is_message || strlen(name) > 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned kind = data[0] % (sizeof kinds / sizeof kinds[0]);
    read_as(kind, data + 1, size - 1);
    name_as(kind, data + 1, size - 1);
    return 0;
}
