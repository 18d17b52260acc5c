/* The command line that all programs share: -c FILE --check-config --print-config --version --help, and a program's own flags. */
#ifndef CONF_LIB_COMMAND_LINE_H
#define CONF_LIB_COMMAND_LINE_H

#include "conf/lib/settings.h"

struct command_flag {
    const char *name; /* "dump" for --dump */
    bool *set;
    const char *help;     /* one line */
    const char **value;   /* instead of set: it takes an argument; NULL: it takes none */
    const char *argument; /* what is asked for then, in capitals */
};

enum { COMMAND_GO_ON = -1 };

/* Reads the command line and then the configuration. Returns COMMAND_GO_ON with *settings and *file (the configuration's path) filled, or
 * the exit status where the program is done: 0 after --help, --version, --check-config, --print-config; EX_USAGE; EX_CONFIG with
 * the sentence on standard error. */
int command_line(int argc, char **argv, const char *program, const char *summary, const struct command_flag *flags,
                 size_t count, struct settings *settings, const char **file);

#endif
