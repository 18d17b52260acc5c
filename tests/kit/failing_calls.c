/* Preloaded into our programs, together with libfiu's fiu_posix_preload.so: fails one call of one kind in one program, and no
 * other. The environment says which:
 *
 *   FAILING_PROGRAM   the name of the program; its processes count together, children that have yet to exec too
 *   FAILING_KIND      memory: allocations; calls: of the system, and of the C library where they stand for such
 *   FAILING_NUMBER    n; 0: none fails
 *   FAILING_PLACE     instead: the first call that comes from there, by its callers
 *   FAILING_RECORD    a file for `struct record`: how many calls there were, from which places, and which one failed
 *
 * libfiu decides by the name of a point. Its preload library has points for many functions, and none for eventfd, signalfd, epoll,
 * memfd_create, fcntl, the stat family, threads and others: the second half of this file is for those that we and our libraries
 * call. Left out on purpose is what cannot fail in our use of it, and whose failure would be a lie that no program can live with:
 * close (it always closes), kill and waitpid of our own children, sigaction. */
#define FIU_ENABLE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <fiu-control.h>
#include <fiu.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct point {
    const char *name;
    int error; /* errno, or the error that is returned */
};

static const struct point memory[] = {
    {"libc/mm/malloc", ENOMEM},  {"libc/mm/calloc", ENOMEM},   {"libc/mm/realloc", ENOMEM},
    {"libc/str/strdup", ENOMEM}, {"libc/str/strndup", ENOMEM},
};

/* What ends in "reduce" reads or writes less than was asked for. */
static const struct point calls[] = {
    {"posix/io/dir/opendir", EMFILE},
    {"posix/io/dir/readdir", EIO},
    {"posix/io/dir/rename", ENOSPC},
    {"posix/io/dir/unlink", EROFS},
    {"posix/io/net/accept", ECONNABORTED},
    {"posix/io/net/bind", ENOBUFS},
    {"posix/io/net/connect", ECONNREFUSED},
    {"posix/io/net/listen", EADDRINUSE},
    {"posix/io/net/poll", ENOMEM},
    {"posix/io/net/recv", ECONNRESET},
    {"posix/io/net/recvmsg", ENOMEM},
    {"posix/io/net/select", ENOMEM},
    {"posix/io/net/send", ECONNRESET},
    {"posix/io/net/sendmsg", ENOBUFS},
    {"posix/io/net/sendto", ECONNREFUSED},
    {"posix/io/net/shutdown", ENOTCONN},
    {"posix/io/net/socket", EMFILE},
    {"posix/io/oc/open", ENFILE},
    {"posix/io/rw/ftruncate", ENOSPC},
    {"posix/io/rw/pread", EIO},
    {"posix/io/rw/pread/reduce", 0},
    {"posix/io/rw/pwrite", EIO},
    {"posix/io/rw/read", EIO},
    {"posix/io/rw/read/reduce", 0},
    {"posix/io/rw/write", ENOSPC},
    {"posix/io/rw/write/reduce", 0},
    {"posix/io/rw/writev", EPIPE},
    {"posix/io/sync/fdatasync", EIO},
    {"posix/io/sync/fsync", EIO},
    {"posix/mm/madvise", EAGAIN},
    {"posix/mm/mmap", ENOMEM},
    {"posix/mm/munmap", ENOMEM},
    {"posix/proc/fork", EAGAIN},
    {"posix/stdio/gp/fgets", EIO},
    {"posix/stdio/rw/fread", EIO},
    {"own/__poll_chk", ENOMEM},
    {"own/accept4", ECONNABORTED},
    {"own/access", EIO},
    {"own/chmod", EPERM},
    {"own/close_range", ENOSYS},
    {"own/dup2", EBUSY},
    {"own/epoll_create1", EMFILE},
    {"own/epoll_ctl", ENOMEM},
    {"own/epoll_wait", EINTR},
    {"own/eventfd", EMFILE},
    {"own/execv", ENOMEM},
    {"own/fcntl", ENOLCK},
    {"own/fopen", EMFILE},
    {"own/fstat", EIO},
    {"own/getaddrinfo", EAI_MEMORY},
    {"own/getpeername", ENOBUFS},
    {"own/getrandom", EINTR},
    {"own/getsockname", ENOBUFS},
    {"own/getsockopt", ENOBUFS},
    {"own/lstat", EIO},
    {"own/memfd_create", EMFILE},
    {"own/mkdir", ENOSPC},
    {"own/open_memstream", ENOMEM},
    {"own/pipe", EMFILE},
    {"own/posix_fallocate", ENOSPC},
    {"own/pthread_create", EAGAIN},
    {"own/readlink", EACCES},
    {"own/setsockopt", ENOBUFS},
    {"own/signalfd", EMFILE},
    {"own/socketpair", EMFILE},
    {"own/stat", EIO},
    {"own/statfs", EIO},
    {"own/symlink", ENOSPC},
};

enum { PLACES_MOST = 8000, CALLERS = 4, OURS = 3 /* place_of, decide, fiu_fail */ };

static struct record {
    _Atomic uint64_t seen;
    _Atomic int32_t failed; /* process in which one was made to fail; 0: none yet */
    char name[44];          /* of that one */
    _Atomic uint32_t count;
    uint64_t places[PLACES_MOST]; /* all that were seen, while none is to fail; some may be there twice */
} * record;
static uint64_t nth, place;
static void *libc;

/* The same in every process of a program, wherever it is loaded. */
__attribute__((noinline)) static uint64_t place_of(const char *name)
{
    void *frames[OURS + 1 + CALLERS];
    Dl_info library;
    int count = backtrace(frames, sizeof frames / sizeof frames[0]);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = OURS + 1; i < count; i++) { /* 1: the function itself, which the name tells */
        if (dladdr(frames[i], &library) != 0)
            hash = (hash ^ (uint64_t)((char *)frames[i] - (char *)library.dli_fbase)) * 0x100000001b3u;
    }
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

static void note_place(uint64_t seen)
{
    uint32_t count = atomic_load(&record->count);
    for (uint32_t i = 0; i < count; i++) {
        if (record->places[i] == seen)
            return;
    }
    count = atomic_fetch_add(&record->count, 1);
    if (count >= PLACES_MOST)
        abort();
    record->places[count] = seen;
}

/* Where it was, for people: `addr2line -e` tells the lines. */
static void say_where(void)
{
    void *frames[24];
    dprintf(STDERR_FILENO, "failing-calls: %s fails here:\n", record->name);
    backtrace_symbols_fd(frames, backtrace(frames, sizeof frames / sizeof frames[0]), STDERR_FILENO);
}

static bool is_the_one(const char *name)
{
    int32_t none = 0;
    uint64_t seen = atomic_fetch_add(&record->seen, 1) + 1;
    if (nth == 0 && place == 0)
        note_place(place_of(name));
    bool is_it = place != 0 ? atomic_load(&record->failed) == 0 && place_of(name) == place : seen == nth;
    return is_it && atomic_compare_exchange_strong(&record->failed, &none, getpid());
}

__attribute__((noinline)) static int decide(const char *name, int *number_of_point, void **error, unsigned *flags)
{
    int before = errno;
    (void)number_of_point;
    (void)error;
    (void)flags;
    bool fails = is_the_one(name);
    if (fails) {
        strncpy(record->name, name, sizeof record->name - 1);
        say_where();
    }
    errno = before;
    return fails;
}

static void give_up(const char *what)
{
    fprintf(stderr, "failing-calls: %s: %s\n", what, strerror(errno));
    abort();
}

static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text == NULL ? 0 : strtoull(text, NULL, 0);
}

__attribute__((constructor)) static void begin(void)
{
    libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    const char *program = getenv("FAILING_PROGRAM"), *kind = getenv("FAILING_KIND"), *path = getenv("FAILING_RECORD");
    if (program == NULL || kind == NULL || path == NULL || strcmp(program, program_invocation_short_name) != 0)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        give_up(path);
    close(fd);
    record = map;
    nth = number_of("FAILING_NUMBER");
    place = number_of("FAILING_PLACE");
    backtrace((void *[1]){NULL}, 1); /* loads what it needs */
    fiu_init(0);
    bool of_memory = strcmp(kind, "memory") == 0;
    const struct point *points = of_memory ? memory : calls;
    size_t count = of_memory ? sizeof memory / sizeof memory[0] : sizeof calls / sizeof calls[0];
    for (size_t i = 0; i < count; i++) {
        if (fiu_enable_external(points[i].name, 1, (void *)(intptr_t)points[i].error, 0, decide) != 0)
            give_up(points[i].name);
    }
}

/* ---- the gaps ---- */

/* The function of that name behind ours: the next one, or that of libc. */
static void find(const char *name, bool in_libc, void *function)
{
    void *found = dlsym(in_libc && libc != NULL ? libc : RTLD_NEXT, name);
    if (found == NULL)
        abort();
    memcpy(function, &found, sizeof found);
}

#define FUNCTION(result, name, parameters, arguments, in_libc, fails, failure)                                         \
    result name parameters                                                                                             \
    {                                                                                                                  \
        static result(*behind) parameters;                                                                             \
        if (behind == NULL)                                                                                            \
            find(#name, in_libc, &behind);                                                                             \
        if (!(fails))                                                                                                  \
            return behind arguments;                                                                                   \
        errno = ERROR;                                                                                                 \
        return failure;                                                                                                \
    }
#define ERROR (int)(intptr_t)fiu_failinfo()
#define CALL(result, name, parameters, arguments, failure)                                                             \
    FUNCTION(result, name, parameters, arguments, false, fiu_fail("own/" #name) != 0, failure)

int __poll_chk(struct pollfd *, unsigned long, int, size_t);
CALL(int, __poll_chk, (struct pollfd * wait, unsigned long count, int ms, size_t size), (wait, count, ms, size), -1)
CALL(int, accept4, (int fd, __SOCKADDR_ARG address, socklen_t *length, int flags), (fd, address, length, flags), -1)
CALL(int, access, (const char *path, int mode), (path, mode), -1)
CALL(int, chmod, (const char *path, mode_t mode), (path, mode), -1)
CALL(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags), -1)
CALL(int, dup2, (int fd, int number), (fd, number), -1)
CALL(int, epoll_create1, (int flags), (flags), -1)
CALL(int, epoll_wait, (int set, struct epoll_event *events, int most, int ms), (set, events, most, ms), -1)
CALL(int, eventfd, (unsigned value, int flags), (value, flags), -1)
CALL(int, execv, (const char *path, char *const *arguments), (path, arguments), -1)
CALL(int, fstat, (int fd, struct stat *status), (fd, status), -1)
CALL(int, getpeername, (int fd, __SOCKADDR_ARG address, socklen_t *length), (fd, address, length), -1)
CALL(ssize_t, getrandom, (void *bytes, size_t count, unsigned flags), (bytes, count, flags), -1)
CALL(int, getsockname, (int fd, __SOCKADDR_ARG address, socklen_t *length), (fd, address, length), -1)
CALL(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length), (fd, level, name, value, length),
     -1)
CALL(int, lstat, (const char *path, struct stat *status), (path, status), -1)
CALL(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
CALL(int, pipe, (int ends[2]), (ends), -1)
CALL(ssize_t, readlink, (const char *path, char *target, size_t size), (path, target, size), -1)
CALL(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
     (fd, level, name, value, length), -1)
CALL(int, signalfd, (int fd, const sigset_t *signals, int flags), (fd, signals, flags), -1)
CALL(int, socketpair, (int domain, int type, int protocol, int pair[2]), (domain, type, protocol, pair), -1)
CALL(int, stat, (const char *path, struct stat *status), (path, status), -1)
CALL(int, statfs, (const char *path, struct statfs *status), (path, status), -1)
CALL(int, symlink, (const char *target, const char *path), (target, path), -1)

/* Taking a descriptor out of a set that it is in cannot fail. */
FUNCTION(int, epoll_ctl, (int set, int operation, int fd, struct epoll_event *event), (set, operation, fd, event),
         false, operation == EPOLL_CTL_ADD && fiu_fail("own/epoll_ctl") != 0, -1)

/* Nor can writing to an eventfd. To all else libfiu's point applies. */
ssize_t write(int fd, const void *bytes, size_t count)
{
    static ssize_t (*next)(int, const void *, size_t), (*plain)(int, const void *, size_t);
    struct stat status;
    if (next == NULL)
        find("write", false, &next);
    if (plain == NULL)
        find("write", true, &plain);
    bool has_type = fstatat(fd, "", &status, AT_EMPTY_PATH) != 0 || (status.st_mode & S_IFMT) != 0;
    return has_type ? next(fd, bytes, count) : plain(fd, bytes, count);
}

/* These return their errors. */
CALL(int, posix_fallocate, (int fd, off_t begin, off_t bytes), (fd, begin, bytes), ERROR)
CALL(int, getaddrinfo, (const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found),
     (host, service, hints, found), ERROR)
CALL(int, pthread_create, (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument),
     (thread, attributes, run, argument), ERROR)

int fcntl(int fd, int command, ...)
{
    static int (*behind)(int, int, ...);
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (behind == NULL)
        find("fcntl", false, &behind);
    if (fiu_fail("own/fcntl") == 0)
        return behind(fd, command, argument);
    errno = ERROR;
    return -1;
}

/* Of these libfiu has points, but what is allocated inside of them would never fail: in libc itself it does. */
#define PASS(result, name, parameters, arguments) FUNCTION(result, name, parameters, arguments, true, false, 0)
#define OPEN(name, parameters, arguments)                                                                              \
    FUNCTION(FILE *, name, parameters, arguments, true, fiu_fail("own/" #name) != 0, NULL)
PASS(int, fputs, (const char *text, FILE *out), (text, out))
PASS(int, fputc, (int byte, FILE *out), (byte, out))
PASS(size_t, fwrite, (const void *items, size_t size, size_t count, FILE *out), (items, size, count, out))
PASS(int, fflush, (FILE * out), (out))
PASS(int, fclose, (FILE * out), (out))
OPEN(fopen, (const char *path, const char *mode), (path, mode))
OPEN(open_memstream, (char **text, size_t *length), (text, length))
