/* SMTP servers on loopback that do what a script says, good and bad: each serves one connection in a thread of its own. */
#ifndef TESTS_UNIT_SMTP_SCRIPT_H
#define TESTS_UNIT_SMTP_SCRIPT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct script_step {
    const char *hear; /* wait for a line that begins so; NULL: for none */
    int pause_ms;     /* then, and before each time */
    const char *say;
    size_t bytes;   /* of it; 0: as a string */
    unsigned times; /* SCRIPT_ENDLESS: until the client has gone; 0 is 1 */
};
#define SCRIPT_ENDLESS ((unsigned)-1)

enum { SCRIPT_STEPS = 8, SCRIPT_PATIENCE_MS = 20 * 1000 };

struct script {
    struct script_step steps[SCRIPT_STEPS];
    bool hangs; /* at the end it waits for the client to go; else it closes */
};

struct script_server {
    const struct script *script;
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic bool heard_all; /* what it waited for came, and the client went as it should */
    char last[128];         /* the last line that it heard */
};

static inline bool script_wait(int fd, short events, int most_ms)
{
    struct pollfd wait = {.fd = fd, .events = events};
    return poll(&wait, 1, most_ms) == 1;
}

/* One line; false: the client has gone. */
static inline bool script_hear(struct script_server *server, int fd)
{
    size_t length = 0;
    char byte;
    while (length < sizeof server->last - 1 && script_wait(fd, POLLIN, SCRIPT_PATIENCE_MS) &&
           recv(fd, &byte, 1, 0) == 1) {
        server->last[length++] = byte;
        server->last[length] = '\0';
        if (byte == '\n')
            return true;
    }
    return false;
}

static inline bool script_say(int fd, const struct script_step *step)
{
    size_t bytes = step->bytes != 0 ? step->bytes : strlen(step->say);
    for (unsigned i = 0; i < (step->times == 0 ? 1 : step->times); i++) {
        poll(NULL, 0, step->pause_ms);
        if (!script_wait(fd, POLLOUT, SCRIPT_PATIENCE_MS) || send(fd, step->say, bytes, MSG_NOSIGNAL) <= 0)
            return false;
    }
    return true;
}

static inline bool script_play(struct script_server *server, int fd)
{
    for (const struct script_step *step = server->script->steps; step->say != NULL; step++) {
        if (step->hear != NULL &&
            (!script_hear(server, fd) || strncmp(server->last, step->hear, strlen(step->hear)) != 0))
            return false;
        if (!script_say(fd, step))
            return false;
    }
    return true;
}

static inline void *script_serve(void *context)
{
    struct script_server *server = context;
    char byte;
    int fd = script_wait(server->listener, POLLIN, SCRIPT_PATIENCE_MS) ? accept(server->listener, NULL, NULL) : -1;
    if (fd < 0)
        return NULL;
    server->heard_all = script_play(server, fd);
    while (server->script->hangs && script_wait(fd, POLLIN, SCRIPT_PATIENCE_MS) && recv(fd, &byte, 1, 0) > 0)
        ;
    close(fd);
    return NULL;
}

/* Listens; false: it cannot. */
static inline bool script_listen(struct script_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    memset(server, 0, sizeof *server);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listens = server->listener >= 0 && bind(server->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                   listen(server->listener, 1) == 0 &&
                   getsockname(server->listener, (struct sockaddr *)&address, &length) == 0;
    server->port = ntohs(address.sin_port);
    return listens;
}

/* Begins the script for whoever comes next. */
static inline bool script_begin(struct script_server *server, const struct script *script)
{
    server->script = script;
    server->heard_all = false;
    return pthread_create(&server->thread, NULL, script_serve, server) == 0;
}

/* The client has gone. Was all said, and all heard? */
static inline bool script_end(struct script_server *server)
{
    pthread_join(server->thread, NULL);
    return server->heard_all;
}

#endif
