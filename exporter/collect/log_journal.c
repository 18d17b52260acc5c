/* The journal (sd-journal(3)): what was logged with the facility mail, or by a unit of an MTA; and what journald says that it suppressed of
 * such units. The only file that includes sd-journal.h.
 *
 * A position is the cursor of the entry that was handed out last. Where that entry has gone meanwhile, reading goes on behind its place. */
#include "exporter/collect/log_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-messages.h>

enum { CURSOR_BYTES = LOG_POSITION_BYTES, REFUSED_A_CALL = 256 };

struct log_journal {
    struct log_source source;
    sd_journal *journal;
    bool is_of_host;           /* not the one of a test; it has files */
    bool is_there;             /* at the entry that is next, already */
    char cursor[CURSOR_BYTES]; /* "": nothing was there yet */
    char text[LOG_LINE_MAX], program[256];
};

/* Each is an alternative. Units of Debian, and of others. */
static const char *const matches[] = {"SYSLOG_FACILITY=2",
                                      "MESSAGE_ID=" SD_MESSAGE_JOURNAL_DROPPED_STR,
                                      "_SYSTEMD_UNIT=postfix.service",
                                      "_SYSTEMD_UNIT=postfix@-.service",
                                      "_SYSTEMD_UNIT=sendmail.service",
                                      "_SYSTEMD_UNIT=sm-client.service",
                                      "_SYSTEMD_UNIT=exim4.service",
                                      "_SYSTEMD_UNIT=exim.service"};
static const char *const units[] = {"postfix", "sendmail", "sm-client", "exim"};

/* ---- fields ---- */

/* Copies a field's value, cut; -1: there is none. */
static ssize_t take_field(sd_journal *journal, const char *name, char *value, size_t bytes, bool *is_cut)
{
    const void *data;
    size_t length, head = strlen(name) + 1;
    if (sd_journal_get_data(journal, name, &data, &length) < 0 || length < head)
        return -1;
    size_t there = length - head;
    size_t taken = there < bytes ? there : bytes - 1;
    memcpy(value, (const char *)data + head, taken);
    value[taken] = '\0';
    if (is_cut != NULL)
        *is_cut = taken < there;
    return (ssize_t)taken;
}

/* "Suppressed 17 messages from postfix@-.service"; 0: of somebody else, or it does not say so. */
static uint64_t suppressed(const char *text)
{
    static const char head[] = "Suppressed ", middle[] = " messages from ";
    if (strncmp(text, head, sizeof head - 1) != 0)
        return 0;
    const char *digits = text + sizeof head - 1;
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 18 || strncmp(digits + count, middle, sizeof middle - 1) != 0)
        return 0;
    const char *unit = digits + count + sizeof middle - 1;
    if (*unit == '/') /* as a control group */
        unit = strrchr(unit, '/') + 1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strncmp(unit, units[i], strlen(units[i])) == 0)
            return strtoull(digits, NULL, 10);
    }
    return 0;
}

/* Line feeds and the like would be the end of a line in a file. */
static void to_one_line(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        text[i] = text[i] == '\n' || text[i] == '\r' || text[i] == '\0' ? ' ' : text[i];
}

/* When it was written, which may be long before journald took it. */
static int64_t take_time(sd_journal *journal)
{
    char number[32];
    uint64_t time_us = 0;
    if (take_field(journal, "_SOURCE_REALTIME_TIMESTAMP", number, sizeof number, NULL) > 0)
        return strtoll(number, NULL, 10);
    sd_journal_get_realtime_usec(journal, &time_us);
    return (int64_t)time_us;
}

static bool is_field(sd_journal *journal, const char *name, const char *value)
{
    char found[64];
    return take_field(journal, name, found, sizeof found, NULL) > 0 && strcmp(found, value) == 0;
}

/* Fills *entry from where the journal stands; false: there is nothing in it for us. */
static bool take_entry(struct log_journal *self, struct log_entry *entry)
{
    char number[32];
    *entry = (struct log_entry){.text = self->text, .program = self->program};
    ssize_t length = take_field(self->journal, "MESSAGE", self->text, sizeof self->text, &entry->is_cut);
    if (length < 0)
        return false;
    entry->time_us = take_time(self->journal);
    if (is_field(self->journal, "MESSAGE_ID", SD_MESSAGE_JOURNAL_DROPPED_STR)) {
        bool is_its_own = is_field(self->journal, "_TRANSPORT", "driver"); /* anybody may log that text */
        entry->lost = is_its_own ? suppressed(self->text) : 0;
        self->text[0] = '\0';
        return entry->lost > 0;
    }
    to_one_line(self->text, (size_t)length);
    entry->length = (size_t)length;
    if (take_field(self->journal, "SYSLOG_IDENTIFIER", self->program, sizeof self->program, NULL) < 0 &&
        take_field(self->journal, "_COMM", self->program, sizeof self->program, NULL) < 0)
        self->program[0] = '\0';
    if (take_field(self->journal, "SYSLOG_PID", number, sizeof number, NULL) > 0 ||
        take_field(self->journal, "_PID", number, sizeof number, NULL) > 0)
        entry->pid = strtol(number, NULL, 10);
    return true;
}

/* ---- the source ---- */

static bool keep_cursor(struct log_journal *self)
{
    char *cursor;
    if (sd_journal_get_cursor(self->journal, &cursor) < 0)
        return false;
    bool fits = strlen(cursor) < sizeof self->cursor;
    if (fits)
        strcpy(self->cursor, cursor);
    free(cursor);
    return fits;
}

/* To the next entry. The files of the journal are looked at again where there seems to be none: others may have come. */
static int step(struct log_journal *self)
{
    int found = self->is_there ? 1 : sd_journal_next(self->journal);
    self->is_there = false;
    if (found != 0)
        return found;
    int changed = sd_journal_process(self->journal);
    return changed == SD_JOURNAL_NOP ? 0 : changed < 0 ? changed : sd_journal_next(self->journal);
}

/* Files in a folder that was not there when the journal was opened are not seen: journald may have moved all that there was to one. */
static enum log_next nothing(const struct log_journal *self, struct failure *failure)
{
    uint64_t bytes;
    if (!self->is_of_host || sd_journal_get_usage(self->journal, &bytes) < 0 || bytes > 0)
        return log_next_none;
    fail(failure, EX_UNAVAILABLE,
         "the files of the journal have gone; it is opened anew, with those that are there now");
    return log_next_failed;
}

static enum log_next next(struct log_source *source, struct log_entry *entry, struct failure *failure)
{
    struct log_journal *self = (struct log_journal *)source;
    for (int i = 0; i < REFUSED_A_CALL; i++) {
        int found = step(self);
        if (found < 0) {
            fail(failure, EX_IOERR, "the journal cannot be read: %s", strerror(-found));
            return log_next_failed;
        }
        if (found == 0)
            return nothing(self, failure);
        bool good = take_entry(self, entry);
        if (keep_cursor(self) && good)
            return log_next_entry;
    }
    return log_next_busy;
}

static void position(const struct log_source *source, char text[LOG_POSITION_BYTES])
{
    strcpy(text, ((const struct log_journal *)source)->cursor);
}

static void close_journal(struct log_source *source)
{
    struct log_journal *self = (struct log_journal *)source;
    sd_journal_close(self->journal);
    free(self);
}

/* A cursor is a file, a place in it, and what the entry is: boot, times, hash. An entry that journald has copied, as from memory to the disk,
 * has only the last. */
static bool is_at(sd_journal *journal, const char *text)
{
    static const char entry[] = ";b=";
    char *here;
    const char *wanted = strstr(text, entry);
    if (wanted == NULL || sd_journal_get_cursor(journal, &here) < 0)
        return sd_journal_test_cursor(journal, text) > 0;
    const char *found = strstr(here, entry);
    bool same = found != NULL && strcmp(found, wanted) == 0;
    free(here);
    return same;
}

/* Before the entry that is to be handed out first. */
static int seek(struct log_journal *self, const char *text)
{
    if (text != NULL && *text == '\0')
        return sd_journal_seek_head(self->journal);
    if (text != NULL && strlen(text) < sizeof self->cursor && sd_journal_seek_cursor(self->journal, text) >= 0) {
        strcpy(self->cursor, text);
        int found = sd_journal_next(self->journal);
        /* The entry itself was handed out; one behind it, where it has gone, was not. */
        self->is_there = found > 0 && !is_at(self->journal, text);
        return found;
    }
    int found = sd_journal_seek_tail(self->journal);
    if (found >= 0)
        found = sd_journal_previous(self->journal);
    if (found > 0)
        keep_cursor(self);
    return found == 0 ? sd_journal_seek_head(self->journal) : found;
}

static const struct log_source_kind kind = {.next = next, .position = position, .close = close_journal};

static struct log_source *begin(struct log_journal *self, int opened, const char *text, struct failure *failure)
{
    int error = opened;
    for (size_t i = 0; error >= 0 && i < sizeof matches / sizeof matches[0]; i++) {
        error = sd_journal_add_match(self->journal, matches[i], 0);
        if (error >= 0)
            error = sd_journal_add_disjunction(self->journal);
    }
    if (error >= 0) /* from now on it is seen when files come and go */
        error = sd_journal_get_fd(self->journal);
    if (error >= 0)
        error = seek(self, text);
    if (error >= 0) {
        self->source.kind = &kind;
        return &self->source;
    }
    fail(failure, error == -EACCES || error == -EPERM ? EX_NOPERM : EX_UNAVAILABLE, "the journal cannot be opened: %s",
         strerror(-error));
    if (opened >= 0)
        sd_journal_close(self->journal);
    free(self);
    return NULL;
}

struct log_source *log_journal_open_at(const char *folder, const char *text, struct failure *failure)
{
    struct log_journal *self = calloc(1, sizeof *self);
    if (self != NULL)
        return begin(self, sd_journal_open_directory(&self->journal, folder, 0), text, failure);
    fail(failure, EX_OSERR, "no memory to read the journal");
    return NULL;
}

/* Of files that may not be read libsystemd does not speak; without any, nothing would ever come, and all that is counted would be 0. Whoever
 * may read those of the system may read all. */
static bool may_read(struct failure *failure)
{
    sd_journal *journal;
    int error = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
    if (error < 0)
        return fail(failure, EX_UNAVAILABLE, "the journal cannot be opened: %s", strerror(-error));
    bool has_files = sd_journal_has_runtime_files(journal) != 0 || sd_journal_has_persistent_files(journal) != 0;
    sd_journal_close(journal);
    return has_files || fail(failure, EX_NOPERM,
                             "the journal has no file that may be read here: put the collector's account into the "
                             "group systemd-journal, or name the log's file in collector.logs");
}

/* Also the files of users, to which journald splits what their processes log: sendmail is theirs where they hand in mail. */
struct log_source *log_journal_open(const char *text, struct failure *failure)
{
    if (!may_read(failure))
        return NULL;
    struct log_journal *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->is_of_host = true;
        return begin(self, sd_journal_open(&self->journal, SD_JOURNAL_LOCAL_ONLY), text, failure);
    }
    fail(failure, EX_OSERR, "no memory to read the journal");
    return NULL;
}
