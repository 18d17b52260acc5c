/* What the MTA's own configuration says, as far as the collectors want to know it: single settings, read from the files as they stand.
 *
 * Names ($name) within values are not expanded: whoever asks takes such a value for one that is not known. */
#ifndef EXPORTER_COLLECT_MTA_SETTINGS_H
#define EXPORTER_COLLECT_MTA_SETTINGS_H

#include "conf/lib/settings.h"

enum { MTA_LINE_MAX = 4096 };

/* The MTA of this host: mta.kind; where that is auto, by what mta.config is (a folder: Postfix, a file: sendmail); where that is auto
 * too, the one that is installed. server_COUNT: none that is known. */
enum label_server mta_server(const struct settings *settings);

/* The text of one of its files; NULL where it cannot be read, which errno tells. Free it. */
struct mta_text {
    char *text;
    size_t length;
};
struct mta_text mta_read_file(const char *path);
struct mta_text mta_read_postfix(const struct settings *settings, const char *file); /* "main.cf" or "master.cf" */
struct mta_text mta_read_sendmail(const struct settings *settings);
struct mta_text mta_read_exim(const struct settings *settings);

/* The next line that is neither empty nor a comment, with those that continue it by beginning with a blank, NUL-terminated and cut to
 * MTA_LINE_MAX; *at moves behind it. false at the end. */
bool mta_next_line(const char **at, const char *end, char line[MTA_LINE_MAX]);

/* The value of a setting, of the last that is there; false where there is none, or a longer one. */
bool mta_postfix_value(const struct mta_text *text, const char *name, char *value, size_t bytes);  /* NAME = VALUE */
bool mta_sendmail_value(const struct mta_text *text, const char *name, char *value, size_t bytes); /* O NAME=VALUE */
bool mta_exim_value(const struct mta_text *text, const char *name, char *value,
                    size_t bytes); /* NAME = VALUE, before the first `begin` */

/* Where the MTA keeps its queue: as it is configured, or else usual. false: no MTA, or a value that is not known. */
bool mta_queue_directory(const struct settings *settings, char path[SETTINGS_PATH_MAX]);

#endif
