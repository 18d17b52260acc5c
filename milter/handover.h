/* What the supervisor hands to the processes that it starts: descriptors at fixed numbers, and messages on a socket pair.
 *
 * A child is started as `PROGRAM PROCESS`, PROCESS being its block in the tally (decimal). Messages are datagrams of one byte
 * (SOCK_SEQPACKET), with a descriptor where noted. */
#ifndef MILTER_HANDOVER_H
#define MILTER_HANDOVER_H

#include <stdbool.h>

enum {
    HANDOVER_LISTENER = 3, /* the milter socket; only for the filter */
    HANDOVER_SETTINGS = 4, /* sealed memfd, see settings.h */
    HANDOVER_TALLY = 5,
    HANDOVER_CONTROL = 6, /* the socket pair */
    HANDOVER_MEMORY = 7,  /* the filter's ring, see ring.h; the pusher's open sets. Not always there */
    HANDOVER_CHECKS =
        8, /* the file of the collector's checks, see mta_checks.h; only for the filter. Not always there */
    HANDOVER_END
};

enum {
    HANDOVER_READY = 'R',     /* child: I serve */
    HANDOVER_REFUSED = 'E',   /* child: the new settings cannot be taken, those before stay in force */
    HANDOVER_FORGOTTEN = 'F', /* filter: libmilter has forgotten sessions, which only a new filter is rid of */
    HANDOVER_RELOAD = 'L',    /* supervisor, with a descriptor: new settings */
    HANDOVER_DRAIN = 'D',     /* supervisor: stop taking sessions, end when none is left or the drain time is over */
    HANDOVER_STOP = 'S',      /* supervisor to the pusher: all is counted; last push, last copy, end */
    HANDOVER_RING = 'G',      /* supervisor to the pusher, with a descriptor: the ring of a filter */
    HANDOVER_GONE = 0,        /* handover_receive: the other side is gone */
    HANDOVER_NOTHING = 1,     /* handover_receive: no message waits */
};

/* Sends a message on the socket pair, with descriptor `fd` unless that is -1. Does not block. false when it cannot be sent. */
bool handover_send(int control, char message, int fd);

/* Takes a message, without waiting; *fd is the descriptor that came with it, the caller's to close, or -1. */
char handover_receive(int control, int *fd);

/* The number of the process block that a child was started with; -1 where it was not started by the supervisor. */
int handover_process(int argc, char *const *argv);

#endif
