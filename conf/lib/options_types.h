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

struct option_type {
    const char *expected; /* what would be right, as a noun phrase */
    bool is_list;
    /* Reads `text` into the field; of a list: appends one element. NULL, or what is wrong (a literal, "" for "not what is expected"). */
    const char *(*read)(const struct option *option, const char *text, void *field);
    /* Writes the value as it would stand in the file. */
    void (*print)(FILE *out, const void *field);
};

extern const struct option_type option_name, option_directory, option_networks, option_log_level, option_log_target,
    option_mta_kind, option_socket, option_octal, option_group, option_number, option_seconds, option_boolean,
    option_redis_url, option_text, option_file, option_listen, option_scope,
    option_top_sets;

/* Replaces every `auto` by what it stands for on this host: instance, milter.socket, milter.socket_group. */
bool option_resolve(struct settings *settings, struct failure *failure);

#endif
