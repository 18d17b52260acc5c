/* One process of this host, as /proc shows it to everybody (proc(5)): no privilege is needed, and so none changes what is seen. */
#ifndef EXPORTER_COLLECT_PROCESS_H
#define EXPORTER_COLLECT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCESS_NAME_BYTES = 64, PROCESS_TITLE_BYTES = 4096 };

struct process {
    pid_t pid, parent;
    char state;
    bool is_kernel;                /* a thread of the kernel's */
    uint64_t started;              /* clock ticks since the boot */
    char name[PROCESS_NAME_BYTES]; /* the kernel keeps 15 bytes; of its own threads it shows more */
};

/* Takes /proc/PID/stat apart; false: it is none. The name may hold anything. */
bool process_parse(const char *text, size_t length, struct process *process);

/* Does a line "NSpid:" of /proc/PID/status tell of a PID namespace below that of this /proc: a container? */
bool process_is_nested(const char *status, size_t length);

/* What follows reads below the folder `proc` (descriptor). false: the process has gone. */
bool process_read(int proc, pid_t pid, struct process *process);
bool process_read_nested(int proc, pid_t pid, bool *is_nested);

/* The command line with blanks between the words, none at the end, cut to its first bytes; "" of a zombie. */
void process_read_title(int proc, pid_t pid, char title[PROCESS_TITLE_BYTES]);

#endif
