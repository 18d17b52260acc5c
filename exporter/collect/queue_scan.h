/* One pass over the files of a queue. Nothing is kept of a message but its part of the sums, so that memory is the same for ten messages
 * and for ten million. What lies there is untrusted: any name, any content, any kind of file, and all of it may vanish meanwhile. */
#ifndef EXPORTER_COLLECT_QUEUE_SCAN_H
#define EXPORTER_COLLECT_QUEUE_SCAN_H

#include "conf/lib/catalogue.h"
#include "conf/lib/failure.h"

#include <limits.h>
#include <sys/stat.h>

enum {
    QUEUE_HEAD_BYTES = 8192, /* of a file that are read: sender and times stand before the recipients */
    QUEUE_DEPTH_MAX = 16,    /* of directories in a queue; Postfix hashes no deeper */
    QUEUE_PATH_BYTES = 512
};

struct queue_place;

/* A file that is looked at. */
struct queue_file {
    const struct queue_place *place;
    int fd;
    int directory; /* where it lies */
    const char *name;
    char *head; /* its first bytes, a NUL behind them */
    size_t length;
};

/* What it says. A file that does not say when it came is as old as its last change. */
struct queue_message {
    int64_t arrived; /* microseconds since the Unix epoch; 0: it does not say */
    int64_t bytes;
    bool tried; /* delivery failed at least once */
    bool null_sender;
    bool apart; /* quarantined, frozen */
    bool lost;  /* given up by the MTA, which cannot read it */
};

/* How the files of an MTA are read. */
struct queue_format {
    /* By its name: is it a message, is it a directory of the queue? */
    bool (*is_message)(const char *name);
    bool (*is_directory)(const struct queue_place *place, const char *name);
    /* false: no message, as the MTA is still writing it. */
    bool (*read)(const struct queue_file *file, struct queue_message *message);
};

extern const struct queue_format queue_format_postfix, queue_format_sendmail, queue_format_exim;

/* What it means that a directory is not there. */
enum queue_missing { queue_missing_fails, queue_missing_says_nothing, queue_missing_is_empty };

/* A directory with messages. */
struct queue_place {
    const struct queue_format *format;
    enum label_queue queue; /* as what its messages are counted, */
    enum label_queue apart; /* those that are quarantined or frozen, and */
    enum label_queue lost;  /* those that are lost */
    bool is_own;            /* the operator's */
    enum queue_missing missing;
    bool shows_tried; /* whether a message was tried can be told */
    char directory[QUEUE_PATH_BYTES];
};

/* What a queue holds. */
struct queue_sum {
    uint64_t messages, bytes, tried, null_sender;
    uint64_t ages[age_COUNT];
    int64_t oldest;      /* age in microseconds; 0: there is no message */
    uint64_t unreadable; /* messages whose file may not be read */
};

/* A time by two clocks, in microseconds: CLOCK_MONOTONIC, and the processor time of this thread. */
struct queue_time {
    int64_t wall, cpu;
};
struct queue_time queue_time_now(void);

/* When no more files are read, but only names counted; and when the pass ends. */
struct queue_bounds {
    struct queue_time read, end;
};

/* Adds the messages of `place` to `sums`, an array for all queues; `now`: microseconds since the Unix epoch. *complete becomes false where
 * it did not see all of it. false with *failure where it cannot be read at all; errno tells why. */
bool queue_scan(const struct queue_place *place, const struct queue_bounds *bounds, int64_t now, struct queue_sum *sums,
                bool *complete, struct failure *failure);

/* For formats. The file's time of change, at most now: where it says nothing of its arrival. */
int64_t queue_file_time(const struct queue_file *file);

/* The size of the file `name` in `directory`, or -1. */
int64_t queue_file_bytes(int directory, const char *name);

/* The number that begins with text[0], up to a byte that is no digit; a far too large one stops growing. */
int64_t queue_number(const char *text);

#endif
