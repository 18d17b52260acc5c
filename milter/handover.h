/* What the supervisor hands to the processes that it starts: descriptors at fixed numbers, and messages on a socket pair.
 *
 * A child is started as `PROGRAM PROCESS`, PROCESS being its block in the tally (decimal). Messages are datagrams of one byte
 * (SOCK_SEQPACKET), with a descriptor where noted. */
#ifndef MILTER_HANDOVER_H
#define MILTER_HANDOVER_H

enum {
    HANDOVER_LISTENER = 3, /* the milter socket; only for the filter */
    HANDOVER_SETTINGS = 4, /* sealed memfd, see settings.h */
    HANDOVER_TALLY = 5,
    HANDOVER_CONTROL = 6, /* the socket pair */
};

enum {
    HANDOVER_READY = 'R',  /* child: I serve */
    HANDOVER_RELOAD = 'L', /* supervisor, with a descriptor: new settings */
    HANDOVER_DRAIN = 'D',  /* supervisor: stop taking sessions, end when none is left or the drain time is over */
    HANDOVER_STOP = 'S',   /* supervisor to the pusher: all is counted; last push, last copy, end */
};

#endif
