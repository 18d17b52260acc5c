/* The type of the option that names the operator's own queues. */
#include "conf/lib/options_types.h"

#include <string.h>

static const char *const format_words[] = {"postfix", "sendmail", "exim", NULL};

/* Is it the name of a queue that the MTAs have themselves, or of another signal among which queues stand? */
static bool is_taken(const struct own_queues *queues, const char *name)
{
    const struct label_set *known[] = {catalogue[metric_queue_messages].labels[0],
                                       catalogue[metric_baseline_median].labels[0]};
    for (unsigned i = 0; i < known[0]->count + known[1]->count; i++) {
        unsigned other = i < known[0]->count ? 0 : known[0]->count;
        if (strcmp(known[other > 0]->values[i - other], name) == 0)
            return true;
    }
    for (uint32_t i = 0; i < queues->count; i++) {
        if (strcmp(queues->list[i].name, name) == 0)
            return true;
    }
    return false;
}

static const char *read_queues(const struct option *option, const char *const *values, void *field)
{
    struct own_queues *queues = field;
    struct own_queue fresh;
    if (queues->count >= OWN_QUEUES_MAX || queues->count >= (uint32_t)option->maximum)
        return "more than 8 queues";
    memset(&fresh, 0, sizeof fresh);
    if (values[0] == NULL || !settings_is_name(values[0], strlen(values[0])))
        return "name is to be letters, digits, point, underscore and hyphen, 64 at most";
    if (is_taken(queues, values[0]))
        return "a queue has that name already";
    if (values[1] == NULL || values[1][0] != '/' || strlen(values[1]) >= sizeof fresh.directory ||
        strpbrk(values[1], "\n\r\t") != NULL)
        return "directory is to be an absolute path";
    if (values[2] == NULL || option_read_word(format_words, values[2], &fresh.format) != NULL)
        return "format is postfix, sendmail or exim";
    strcpy(fresh.name, values[0]);
    strcpy(fresh.directory, values[1]);
    queues->list[queues->count++] = fresh;
    return NULL;
}

static void print_queues(FILE *out, const void *field)
{
    const struct own_queues *queues = field;
    fputc('[', out);
    for (uint32_t i = 0; i < queues->count; i++) {
        fprintf(out, "%s{name: ", i == 0 ? "" : ", ");
        option_print_text(out, queues->list[i].name);
        fputs(", directory: ", out);
        option_print_text(out, queues->list[i].directory);
        fprintf(out, ", format: %s}", format_words[queues->list[i].format]);
    }
    fputc(']', out);
}

const struct option_type option_queues = {
    .expected = "mappings such as {name: mqueue.in, directory: /var/spool/mqueue.in, format: sendmail}",
    .is_list = true,
    .print = print_queues,
    .keys = {"name", "directory", "format"},
    .read_keys = read_queues};
