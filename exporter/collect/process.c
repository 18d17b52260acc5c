/* Reading /proc/PID/{stat,status,cmdline}, each in one read of bounded size. */
#include "exporter/collect/process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAT_BYTES = 1024, STATUS_BYTES = 4096, KERNEL_THREAD = 0x00200000 }; /* PF_KTHREAD */

bool process_parse(const char *text, size_t length, struct process *process)
{
    char fields[STAT_BYTES];
    const char *open = memchr(text, '(', length);
    const char *close = memrchr(text, ')', length);
    if (open == NULL || close == NULL || close < open)
        return false;
    memset(process, 0, sizeof *process);
    size_t bytes = (size_t)(close - open) - 1;
    memcpy(process->name, open + 1, bytes < sizeof process->name ? bytes : sizeof process->name - 1);
    snprintf(fields, sizeof fields, "%.*s", (int)(text + length - close - 1), close + 1);
    unsigned flags = 0;
    int64_t parent = 0;
    /* state parent group session tty tty_group flags, then 12 numbers, then the start */
    if (sscanf(fields, " %c %" SCNd64 " %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
               &process->state, &parent, &flags, &process->started) != 4)
        return false;
    process->parent = (pid_t)parent;
    process->pid = (pid_t)strtol(text, NULL, 10);
    process->is_kernel = (flags & KERNEL_THREAD) != 0;
    return true;
}

bool process_is_nested(const char *status, size_t length)
{
    static const char key[] = "\nNSpid:";
    const char *at = memmem(status, length, key, sizeof key - 1);
    if (at == NULL)
        return false; /* older than Linux 4.1 */
    const char *end = status + length;
    unsigned numbers = 0;
    bool in_number = false;
    for (at += sizeof key - 1; at < end && *at != '\n'; at++) {
        bool digit = *at >= '0' && *at <= '9';
        numbers += digit && !in_number;
        in_number = digit;
    }
    return numbers > 1;
}

/* Reads a file of a process; the number of bytes, or -1. */
static ssize_t read_file(int proc, pid_t pid, const char *name, char *text, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "%d/%s", pid, name);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, bytes);
    close(fd);
    return got;
}

bool process_read(int proc, pid_t pid, struct process *process)
{
    char text[STAT_BYTES];
    ssize_t got = read_file(proc, pid, "stat", text, sizeof text - 1);
    if (got <= 0)
        return false;
    text[got] = '\0';
    return process_parse(text, (size_t)got, process);
}

bool process_read_nested(int proc, pid_t pid, bool *is_nested)
{
    char text[STATUS_BYTES];
    ssize_t got = read_file(proc, pid, "status", text, sizeof text);
    if (got <= 0)
        return false;
    *is_nested = process_is_nested(text, (size_t)got);
    return true;
}

void process_read_title(int proc, pid_t pid, char title[PROCESS_TITLE_BYTES])
{
    ssize_t got = read_file(proc, pid, "cmdline", title, PROCESS_TITLE_BYTES - 1);
    size_t length = got > 0 ? (size_t)got : 0;
    while (length > 0 && (title[length - 1] == '\0' || title[length - 1] == ' '))
        length--;
    title[length] = '\0';
    for (size_t i = 0; i < length; i++)
        title[i] = title[i] == '\0' ? ' ' : title[i];
}
