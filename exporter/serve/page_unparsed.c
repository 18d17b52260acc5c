/* Reads the file as it is at the moment, never more of it than the collector writes. */
#include "exporter/serve/page_unparsed.h"

#include "conf/lib/settings.h"
#include "exporter/serve/page_node.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES = 8192 };

static const char ellipsis[] = "\xe2\x80\xa6";

/* Where the quoted string begins whose last quote is before `at`; a quote behind a backslash is a part of it. */
static size_t quoted(const char *line, size_t at)
{
    for (size_t begin = at - 1; begin-- > 0;) {
        if (line[begin] == '"' && (begin == 0 || line[begin - 1] != '\\'))
            return begin;
    }
    return 0;
}

/* Where the local part begins that ends before `at`: RFC 5321's atoms and points, or a quoted string. */
static size_t local_part(const char *line, size_t at)
{
    size_t begin = at;
    if (begin > 0 && line[begin - 1] == '"')
        return quoted(line, at);
    while (begin > 0 && strchr(" \t<>()[],;:\"\\@", line[begin - 1]) == NULL)
        begin--;
    return begin;
}

/* In place of each local part an ellipsis. */
static void write_line(FILE *out, const char *line)
{
    bool hidden[FILE_BYTES + 1] = {false};
    char shown[3 * FILE_BYTES + 1], *end = shown;
    const size_t length = strlen(line);
    for (size_t at = 0; at < length; at++) {
        for (size_t i = line[at] == '@' ? local_part(line, at) : at; i < at; i++)
            hidden[i] = true;
    }
    for (size_t i = 0; i < length; i++) {
        if (!hidden[i])
            *end++ = line[i];
        else if (!hidden[i + 1])
            end = stpcpy(end, ellipsis);
    }
    *end = '\0';
    fputs("<bdi>", out);
    page_write_text(out, shown);
    fputs("</bdi>\n", out);
}

/* Returns how many bytes. */
static size_t read_file(const char *run_directory, char text[FILE_BYTES + 1])
{
    char path[SETTINGS_PATH_MAX + 16];
    struct stat status;
    snprintf(path, sizeof path, "%s/unparsed", run_directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t length = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? read(fd, text, FILE_BYTES) : 0;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return strlen(text);
}

void page_unparsed_write(FILE *out, const char *run_directory)
{
    char text[FILE_BYTES + 1], *rest = text, *line;
    if (read_file(run_directory, text) == 0)
        return;
    fputs("<h2>Lines of the log that were not understood, the last ones</h2>\n<pre>\n", out);
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line != '\0')
            write_line(out, line);
    }
    fputs("</pre>\n", out);
}
