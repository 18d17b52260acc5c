/* Spool files of Exim: ID-H holds envelope and headers, ID-D the body. The ID begins with the seconds of the arrival. With split_spool_directory
 * the files are in directories with names of one character. */
#include "exporter/collect/queue_scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* 1a2B3c-000001-02, and 1a2B3c-00000000001-0002 since Exim 4.97. */
static size_t id_length(const char *name)
{
    static const size_t parts[][3] = {{6, 6, 2}, {6, 11, 4}};
    for (int form = 0; form < 2; form++) {
        size_t at = 0;
        for (int part = 0; part < 3; part++) {
            size_t end = at + parts[form][part];
            while (at < end && isalnum((unsigned char)name[at]))
                at++;
            if (at != end || name[at] != '-')
                break;
            if (part == 2)
                return at;
            at++;
        }
    }
    return 0;
}

static bool is_message(const char *name)
{
    size_t length = id_length(name);
    return length > 0 && strcmp(name + length, "-H") == 0;
}

static bool is_directory(const struct queue_place *place, const char *name)
{
    (void)place;
    return isalnum((unsigned char)name[0]) && name[1] == '\0';
}

static int64_t time_of_id(const char *id)
{
    int64_t seconds = 0;
    for (int i = 0; i < 6; i++) {
        int digit = isdigit((unsigned char)id[i])   ? id[i] - '0'
                    : isupper((unsigned char)id[i]) ? id[i] - 'A' + 10
                                                    : id[i] - 'a' + 36;
        seconds = seconds * 62 + digit;
    }
    return seconds * 1000000;
}

/* The next line, or NULL; *line is behind it. */
static const char *take_line(char **line)
{
    char *begin = *line;
    if (*begin == '\0')
        return NULL;
    size_t length = strcspn(begin, "\n");
    *line = begin + length + (begin[length] == '\n');
    begin[length] = '\0';
    return begin;
}

/* -aclm NAME LENGTH and that many bytes behind the line: they came from outside, and may look like another line. */
static void skip_value(const char *option, char **line)
{
    const char *length = strrchr(option, ' ');
    if (strncmp(option, "-acl", 4) != 0 || length == NULL)
        return;
    int64_t bytes = queue_number(length + 1);
    size_t rest = strlen(*line);
    *line += bytes < (int64_t)rest ? (size_t)bytes : rest;
    *line += **line == '\n';
}

static bool read_file(const struct queue_file *file, struct queue_message *message)
{
    char *line = file->head;
    char body[NAME_MAX + 1];
    struct stat status = {.st_size = 0};
    take_line(&line); /* the name again */
    take_line(&line); /* who submitted it */
    const char *sender = take_line(&line);
    message->null_sender = sender != NULL && strcmp(sender, "<>") == 0;
    message->tried = take_line(&line) != NULL; /* the time, and the number of warnings */
    for (const char *option; *line == '-' && (option = take_line(&line)) != NULL;) {
        option += option[1] == '-'; /* tainted */
        message->apart = message->apart || strncmp(option, "-frozen ", 8) == 0;
        message->tried = message->tried && strcmp(option, "-deliver_firsttime") != 0;
        skip_value(option, &line);
    }
    message->arrived = time_of_id(file->name);
    strcpy(body, file->name);
    body[strlen(body) - 1] = 'D';
    int64_t bytes = queue_file_bytes(file->directory, body);
    message->bytes = (bytes > 0 ? bytes : 0) + (fstat(file->fd, &status) == 0 ? status.st_size : 0);
    return true;
}

const struct queue_format queue_format_exim = {is_message, is_directory, read_file};
