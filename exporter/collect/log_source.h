/* Where the lines of the MTA's log come from: a file that is followed over its rotations, or the journal.
 *
 * Every line is handed out once, also over restarts: a *position* is a text that says up to where lines were handed out; who opens the
 * source again with it gets the very next line, if that is still to be had anywhere. Memory is bounded, whatever the log holds. Nothing here
 * waits for a line. Not thread-safe. */
#ifndef EXPORTER_COLLECT_LOG_SOURCE_H
#define EXPORTER_COLLECT_LOG_SOURCE_H

#include "conf/lib/settings.h"

enum {
    LOG_LINE_MAX = 8192, /* a longer one is cut */
    LOG_POSITION_BYTES = 512
};

#define LOG_JOURNAL "journal"

/* A line of the log, valid until the next call. */
struct log_entry {
    const char *text; /* without its line feed, NUL-terminated; may hold NULs */
    size_t length;
    bool is_cut;
    /* Of a line in a file these stand in the text. In the journal the text is the message alone. */
    const char *program; /* "postfix/smtpd"; NULL: a line of a file */
    int64_t pid;         /* 0: not told */
    int64_t time_us;     /* since the Unix epoch */
    uint64_t lost;       /* not 0: no line, but the journal's word that it suppressed so many of the MTA's */
};

enum log_next {
    log_next_entry,
    log_next_none,  /* all that there is was handed out */
    log_next_busy,  /* nothing yet, but there is more: to be called again */
    log_next_failed /* what is wrong is in *failure; later it may be better */
};

struct log_source;

/* The places of the option collector.logs, where it is auto: what this host has. */
void log_source_choose(const struct settings *settings, struct log_places *places);

/* Opens a file by its absolute path, or LOG_JOURNAL. `position`: what log_source_position said; NULL: begin at the end, with what is
 * written from now on; "": begin at the beginning. A file that is not there yet is waited for, and read from its beginning. A
 * position that is not sound counts as none. NULL with *failure. */
struct log_source *log_source_open(const char *place, const char *position, struct failure *failure);
void log_source_close(struct log_source *source);

enum log_next log_source_next(struct log_source *source, struct log_entry *entry, struct failure *failure);

/* The position behind the line that was handed out last. */
void log_source_position(const struct log_source *source, char position[LOG_POSITION_BYTES]);

/* The journal whose files are in that folder: for tests. */
struct log_source *log_journal_open_at(const char *folder, const char *position, struct failure *failure);

/* ---- for those who implement one ---- */

struct log_source_kind {
    enum log_next (*next)(struct log_source *source, struct log_entry *entry, struct failure *failure);
    void (*position)(const struct log_source *source, char position[LOG_POSITION_BYTES]);
    void (*close)(struct log_source *source);
};

struct log_source {
    const struct log_source_kind *kind; /* and what the kind keeps behind it */
};

struct log_source *log_file_open(const char *path, const char *position, struct failure *failure);
struct log_source *log_journal_open(const char *position, struct failure *failure);

#endif
