/* The configuration file: YAML, walked by the one table conf/tables/options.def.
 *
 * Everything has a default; an empty file runs. An unknown or repeated option, a value that is not of its type or out of range: one
 * sentence with file, line, column, option and what would be right, status EX_CONFIG. Not thread-safe. */
#ifndef CONF_LIB_OPTIONS_H
#define CONF_LIB_OPTIONS_H

#include "conf/lib/settings.h"

#define OPTIONS_DEFAULT_FILE "/etc/milterscope/milterscope.yaml"

/* Fills *settings with the defaults and then from the file; false with *failure filled. */
bool options_read(const char *file, struct settings *settings, struct failure *failure);

/* Prints the settings as YAML that options_read takes. */
void options_print(FILE *out, const struct settings *settings);

/* The MTA that is installed on this host; mta_kind_auto: none that is known. */
enum mta_kind options_installed_mta(void);

/* For a reload: puts back in *fresh what cannot be reloaded, as *in_force has it. Returns true and the path of the first such option
 * ("milter.socket") in `option` of at least 64 bytes if there was one. */
bool options_keep(const struct settings *in_force, struct settings *fresh, char *option);

#endif
