/* Each line as text, and an ellipsis in place of each local part. */
#include "exporter/serve/page_unparsed.h"

#include "exporter/serve/page_node.h"
#include "exporter/serve/unparsed.h"

#include <string.h>

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
    bool hidden[UNPARSED_BYTES + 1] = {false};
    char shown[3 * UNPARSED_BYTES + 1], *end = shown;
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

void page_unparsed_write(FILE *out, const char *lines)
{
    char text[UNPARSED_BYTES], *rest = text, *line;
    if (lines[0] == '\0')
        return;
    snprintf(text, sizeof text, "%s", lines);
    fputs("<h2>Lines of the log that were not understood, the last ones</h2>\n<pre>\n", out);
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line != '\0')
            write_line(out, line);
    }
    fputs("</pre>\n", out);
}
