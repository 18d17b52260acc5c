/* Which source is meant, and where the log of this host's MTA is. */
#include "exporter/collect/log_source.h"

#include "exporter/collect/mta_settings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct log_source *log_source_open(const char *place, const char *position, struct failure *failure)
{
    return strcmp(place, LOG_JOURNAL) == 0 ? log_journal_open(position, failure)
                                           : log_file_open(place, position, failure);
}

enum log_next log_source_next(struct log_source *source, struct log_entry *entry, struct failure *failure)
{
    return source->kind->next(source, entry, failure);
}

void log_source_position(const struct log_source *source, char position[LOG_POSITION_BYTES])
{
    source->kind->position(source, position);
}

void log_source_close(struct log_source *source)
{
    source->kind->close(source);
}

/* ---- auto ---- */

enum { STALE_SECONDS = 24 * 60 * 60 };

/* What syslog has left behind when the journal took its place is not written to any more. */
static bool is_written(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && time(NULL) - status.st_mtime < STALE_SECONDS;
}

static void add(struct log_places *places, const char *path)
{
    snprintf(places->files[places->count++], sizeof places->files[0], "%s", path);
}

/* The file that Postfix writes itself. */
static bool choose_of_postfix(const struct settings *settings, struct log_places *places)
{
    char value[SETTINGS_PATH_MAX];
    struct mta_text main_cf = mta_read_postfix(settings, "main.cf");
    bool found = mta_postfix_value(&main_cf, "maillog_file", value, sizeof value) && value[0] == '/' &&
                 strchr(value, '$') == NULL && strcmp(value, "/dev/stdout") != 0;
    free(main_cf.text);
    if (found)
        add(places, value);
    return found;
}

static bool choose_of_exim(struct log_places *places)
{
    static const char *const folders[] = {"/var/log/exim4", "/var/log/exim"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/mainlog", folders[i]);
        if (!is_written(path))
            continue;
        add(places, path);
        snprintf(path, sizeof path, "%s/rejectlog", folders[i]);
        add(places, path);
        return true;
    }
    return false;
}

void log_source_choose(const struct settings *settings, struct log_places *places)
{
    static const char *const usual[] = {"/var/log/mail.log", "/var/log/maillog"};
    *places = settings->collector_logs;
    if (!places->automatic)
        return;
    memset(places, 0, sizeof *places);
    enum label_server server = mta_server(settings);
    if ((server == server_postfix && choose_of_postfix(settings, places)) ||
        (server == server_exim && choose_of_exim(places)))
        return;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        if (is_written(usual[i])) {
            add(places, usual[i]);
            return;
        }
    }
    places->journal = 1;
}
