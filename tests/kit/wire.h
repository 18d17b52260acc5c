/*
 * wire.h - a buffered stream socket with deadlines, that carries milter packets (length, code, payload).
 *
 * Written for mta.c; a test that wants to say something a real MTA never says may use it directly.
 */
#ifndef KIT_WIRE_H
#define KIT_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum { WIRE_OUT = 4096 }; /* Postfix's stream buffer: when this is full, bytes leave unasked */

struct bytes {
    char *data;
    size_t size, room;
};

void bytes_add(struct bytes *b, const void *data, size_t size);
void bytes_add_string(struct bytes *b, const char *text);
/* The string and its NUL, as the protocol wants it. */

struct wire {
    int fd;
    int timeout_ms;  /* of each write */
    struct bytes in; /* what was read */
    size_t in_used;  /* bytes at its front that were handed out */
    size_t out_size;
    char out[WIRE_OUT];
    char error[256];
};

int wire_open(struct wire *w, const char *address, int timeout_ms);
/* "unix:PATH", a path, or "inet:PORT@HOST". 0, or -1 with the reason in w->error. */

void wire_close(struct wire *w);
/* Closes at once; what is buffered is lost. */

int wire_put(struct wire *w, char code, const void *data, size_t size);
int wire_flush(struct wire *w);
/* 0, or -1 with the reason in w->error. */

enum wire_got { WIRE_PACKET, WIRE_NOTHING, WIRE_EOF, WIRE_ERROR };

enum wire_got wire_get(struct wire *w, const char **packet, size_t *size, int timeout_ms);
/* The next packet: its code is packet[0], its payload the size - 1 bytes behind it; valid until the next call. */

#endif
