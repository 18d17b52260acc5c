/* Queue files of sendmail: qf holds the envelope, a line for each thing, df the body; hf is a qf that is quarantined, Qf one that
 * sendmail could not read, and does not look at any more. A queue may have them in the directories qf and df. */
#include "exporter/collect/queue_scan.h"

#include <string.h>

static bool is_message(const char *name)
{
    return name[0] != '\0' && strchr("qhQ", name[0]) != NULL && name[1] == 'f' && name[2] != '\0';
}

/* sendmail itself looks into qf alone; an operator's queue may be one of several, as sendmail is told with an asterisk. */
static bool is_directory(const struct queue_place *place, const char *name)
{
    if (!place->is_own)
        return strcmp(name, "qf") == 0;
    return name[0] != '.' && strcmp(name, "df") != 0 && strcmp(name, "xf") != 0;
}

/* The size of the body, which is beside the envelope, in a df beside it, or beside the qf that the envelope is in. */
static int64_t body_bytes(const struct queue_file *file)
{
    static const char *const where[] = {"", "../df/", "df/", "../"};
    char path[NAME_MAX + 16];
    int64_t bytes = -1;
    for (size_t i = 0; i < sizeof where / sizeof where[0] && bytes < 0; i++) {
        snprintf(path, sizeof path, "%sdf%.*s", where[i], NAME_MAX, file->name + 2);
        bytes = queue_file_bytes(file->directory, path);
    }
    return bytes;
}

static bool read_file(const struct queue_file *file, struct queue_message *message)
{
    if (file->length == 0)
        return false; /* made to have the name, and locked: the message is just coming in */
    message->apart = file->name[0] == 'h';
    message->lost = file->name[0] == 'Q';
    for (const char *line = file->head; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        if (*line == 'R' || *line == 'H')
            break;
        if (*line == 'T')
            message->arrived = queue_number(line + 1);
        else if (*line == 'N')
            message->tried = queue_number(line + 1) > 0;
        else if (*line == 'S')
            message->null_sender = length == 1 || (length == 3 && strncmp(line, "S<>", 3) == 0);
        line += length + (line[length] == '\n');
    }
    message->arrived = message->arrived < INT64_MAX / 2000000 ? message->arrived * 1000000 : 0;
    message->bytes = body_bytes(file);
    return true;
}

const struct queue_format queue_format_sendmail = {is_message, is_directory, read_file};
