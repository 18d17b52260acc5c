/* Reading sendmail.cf: a line that begins with a blank goes on with the one before, # begins a comment. Of what is said twice the last
 * counts, as in sendmail; listeners add up. */
#include "milter/supervisor/doctor_sendmail.h"

#include "milter/supervisor/doctor_memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { FILE_MAX = 4 << 20 };

#define BLANKS " \t\r\n"

/* `text` up to the first of `separators` or its end, without blanks around it; *text then stands behind the separator. */
static char *take_part(const char **text, const char *separators)
{
    *text += strspn(*text, BLANKS);
    size_t length = strcspn(*text, separators);
    const char *begin = *text;
    *text += length + ((*text)[length] != '\0');
    while (length > 0 && strchr(BLANKS, begin[length - 1]) != NULL)
        length--;
    return memory_copy(begin, length);
}

static struct sendmail_word *take_words(const char *text, const char *separators)
{
    struct sendmail_word *first = NULL, **end = &first;
    while (*text != '\0') {
        const char *word = take_part(&text, separators);
        if (*word == '\0')
            continue;
        *end = memory_take(sizeof **end);
        (*end)->text = word;
        end = &(*end)->next;
    }
    return first;
}

/* Times as sendmail writes them: 30s, 5m, 1h30m; a bare number has the unit seconds. */
static int64_t seconds_of(const char *text)
{
    static const char units[] = "smhdw";
    static const int64_t seconds[] = {1, 60, 3600, 86400, 604800};
    int64_t sum = 0;
    while (isdigit((unsigned char)*text)) {
        int64_t number = 0;
        for (; isdigit((unsigned char)*text); text++)
            number = number < 1000000000 ? number * 10 + (*text - '0') : number;
        const char *unit = *text == '\0' ? NULL : strchr(units, tolower((unsigned char)*text));
        sum = sum < INT64_MAX / 2 ? sum + number * (unit != NULL ? seconds[unit - units] : 1) : sum;
        text += unit != NULL;
    }
    return sum;
}

static void set_times(struct sendmail_filter *filter, const char *value)
{
    for (const struct sendmail_word *word = take_words(value, ";"); word != NULL; word = word->next) {
        if (word->text[1] != ':')
            continue;
        int64_t seconds = seconds_of(word->text + 2 + strspn(word->text + 2, BLANKS));
        switch (toupper((unsigned char)word->text[0])) {
        case 'C':
            filter->connect = seconds;
            break;
        case 'S':
            filter->write = seconds;
            break;
        case 'R':
            filter->read = seconds;
            break;
        case 'E':
            filter->content = seconds;
            break;
        default:
            break;
        }
    }
}

/* Only the first letter of a field counts. */
static void take_filter(struct sendmail *sendmail, const char *line)
{
    struct sendmail_filter *filter = memory_take(sizeof *filter);
    *filter =
        (struct sendmail_filter){.socket = "", .flags = "", .connect = 300, .write = 10, .read = 10, .content = 300};
    filter->name = take_part(&line, "," BLANKS);
    while (*line != '\0') {
        const char *field = take_part(&line, ",");
        const char *equals = strchr(field, '=');
        const char *value = equals != NULL ? equals + 1 + strspn(equals + 1, BLANKS) : "";
        if (*field == 'S')
            filter->socket = value;
        else if (*field == 'F')
            filter->flags = value;
        else if (*field == 'T')
            set_times(filter, value);
    }
    struct sendmail_filter **end = &sendmail->filters;
    while (*end != NULL)
        end = &(*end)->next;
    *end = filter;
}

/* Only the first letter of a field counts. */
static void take_listener(struct sendmail *sendmail, const char *value)
{
    struct sendmail_listener *listener = memory_take(sizeof *listener);
    listener->name = listener->address = listener->port = listener->options = "";
    while (*value != '\0') {
        const char *field = take_part(&value, ",");
        const char *equals = strchr(field, '=');
        const char *said = equals != NULL ? equals + 1 + strspn(equals + 1, BLANKS) : "";
        switch (equals != NULL ? toupper((unsigned char)*field) : '\0') {
        case 'I':
            listener->has_filters = true;
            listener->filters = take_words(said, ";");
            continue;
        case 'N':
            listener->name = said;
            break;
        case 'A':
            listener->address = said;
            break;
        case 'P':
            listener->port = said;
            break;
        default:
            break;
        }
        listener->options = memory_print("%s%s%s", listener->options, *listener->options != '\0' ? ", " : "", field);
    }
    listener->next = sendmail->listeners;
    sendmail->listeners = listener;
}

static void take_blame(struct sendmail *sendmail, const char *value)
{
    for (const struct sendmail_word *word = take_words(value, "," BLANKS); word != NULL; word = word->next) {
        sendmail->group_writable_is_safe |= strcasecmp(word->text, "GroupWritableDirPathSafe") == 0;
        sendmail->sticky_is_safe |= strcasecmp(word->text, "TrustStickyBit") == 0;
    }
}

static void take_option(struct sendmail *sendmail, const char *line)
{
    const char *name = take_part(&line, "=");
    const char *value = line + strspn(line, BLANKS);
    if (strcasecmp(name, "InputMailFilters") == 0)
        sendmail->input = take_words(value, ",;");
    else if (strcasecmp(name, "DaemonPortOptions") == 0)
        take_listener(sendmail, value);
    else if (strcasecmp(name, "RunAsUser") == 0)
        sendmail->run_as = *value != '\0' ? take_part(&value, ":." BLANKS) : NULL;
    else if (strcasecmp(name, "MaxDaemonChildren") == 0)
        sendmail->children = (unsigned long)seconds_of(value);
    else if (strcasecmp(name, "DontBlameSendmail") == 0)
        take_blame(sendmail, value);
}

/* The line at *at with what continues it; NULL at the end. */
static const char *take_line(const char **at, const char *end)
{
    if (*at >= end)
        return NULL;
    const char *begin = *at;
    const char *newline;
    do {
        newline = memchr(*at, '\n', (size_t)(end - *at));
        *at = newline != NULL ? newline + 1 : end;
    } while (*at < end && (**at == ' ' || **at == '\t'));
    return memory_copy(begin, (size_t)(*at - begin));
}

struct sendmail *sendmail_parse(const char *text, size_t length)
{
    struct sendmail *sendmail = memory_take(sizeof *sendmail);
    for (const char *at = text, *line; (line = take_line(&at, text + length)) != NULL;) {
        if (*line == 'X')
            take_filter(sendmail, line + 1);
        else if (*line == 'O')
            take_option(sendmail, line + 1);
    }
    return sendmail;
}

struct sendmail *sendmail_read(const char *file, struct failure *failure)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        fail(failure, errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "sendmail's configuration %s: %s", file,
             strerror(errno));
        return NULL;
    }
    char *text = memory_take(FILE_MAX);
    size_t length = 0;
    ssize_t got;
    while (length < FILE_MAX && (got = read(fd, text + length, FILE_MAX - length)) > 0)
        length += (size_t)got;
    close(fd);
    if (length > 0)
        return sendmail_parse(text, length);
    fail(failure, EX_UNAVAILABLE, "sendmail's configuration %s cannot be read, or is empty", file);
    return NULL;
}

const struct sendmail_filter *sendmail_filter(const struct sendmail *sendmail, const char *name)
{
    const struct sendmail_filter *filter = sendmail->filters;
    while (filter != NULL && strcmp(filter->name, name) != 0)
        filter = filter->next;
    return filter;
}
