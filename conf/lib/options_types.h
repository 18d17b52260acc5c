/* How the value of each type of option is read, written and compared. Private to options.c. */
#ifndef CONF_LIB_OPTIONS_TYPES_H
#define CONF_LIB_OPTIONS_TYPES_H

#include "conf/lib/settings.h"

#include <stddef.h>

struct option {
    const char *path;
    const struct option_type *type;
    size_t field; /* offset in struct settings */
    size_t bytes; /* its size */
    double minimum, maximum;
    const char *preset; /* the default, as it would stand in the file */
    bool live;
    const char *help;
};

enum { OPTION_KEYS_MAX = 4 };

struct option_type {
    const char *expected; /* what would be right, as a noun phrase */
    bool is_list;
    /* Reads `text` into the field; of a list: appends one element. NULL, or what is wrong (a literal, "" for "not what is expected"). */
    const char *(*read)(const struct option *option, const char *text, void *field);
    /* Writes the value as it would stand in the file. */
    void (*print)(FILE *out, const void *field);
    /* Of a list of mappings, instead of read: the keys of an element, and what appends one. values: the texts of the keys in that order,
     * NULL where one is not given. */
    const char *keys[OPTION_KEYS_MAX];
    const char *(*read_keys)(const struct option *option, const char *const *values, void *field);
};

extern const struct option_type option_name, option_directory, option_networks, option_log_level, option_log_target,
    option_mta_kind, option_place, option_socket, option_octal, option_group, option_number, option_seconds,
    option_boolean, option_redis_url, option_text, option_file, option_listen, option_scope, option_listeners,
    option_spam_scanner, option_spam_headers, option_authserv_ids, option_reject_texts, option_top_sets, option_domains,
    option_destinations, option_own_roles, option_filesystems, option_log_places, option_queues;

/* Words of an enum, in its order, NULL at the end: reads and prints one. For types that stand in files of their own. */
const char *option_read_word(const char *const *words, const char *text, int64_t *value);
/* In quotes, as YAML takes it. */
void option_print_text(FILE *out, const char *text);

/* Replaces every `auto` by what it stands for on this host: instance, milter.socket, milter.socket_group. false where one option lacks
 * another, or nothing can be found for auto. */
bool option_resolve(struct settings *settings, struct failure *failure);

#endif
