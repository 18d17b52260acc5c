/* A file that others change under its mapping. Pages beyond the end of one that is cut raise SIGBUS when they are touched: the handler
 * puts private memory there, the header as it was, all else 0. What is overwritten is found by looking. */
#include "conf/lib/tally_file.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PID_MOST = 1 << 22 }; /* Linux: proc(5), pid_max */

enum { OF_TALLY, OF_OTHER, MAPS };
static struct {
    char *start;
    size_t bytes; /* 0: there is none */
} maps[MAPS];
static size_t page;
static struct tally_header header; /* as it was */

/* mmap and memcpy are not in POSIX' list of async-signal-safe functions, but are so on Linux: a system call, and no state. */
static void replace_page(int number, siginfo_t *info, void *context)
{
    int error = errno;
    char *address = info->si_addr;
    (void)context;
    int map = 0;
    while (map < MAPS && (address < maps[map].start || address >= maps[map].start + maps[map].bytes))
        map++;
    if (map == MAPS) {
        signal(number, SIG_DFL); /* not ours: comes again when we return, and ends the process */
        return;
    }
    char *at = maps[map].start + (size_t)(address - maps[map].start) / page * page;
    if (mmap(at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        _exit(EX_OSERR);
    if (at == maps[OF_TALLY].start)
        memcpy(at, &header, sizeof header);
    errno = error;
}

bool tally_guard(const struct tally *tally, struct failure *failure)
{
    struct sigaction action = {.sa_sigaction = replace_page, .sa_flags = SA_SIGINFO | SA_RESTART};
    maps[OF_TALLY].start = (char *)tally->header;
    maps[OF_TALLY].bytes = tally->header->bytes;
    page = (size_t)sysconf(_SC_PAGESIZE);
    memcpy(&header, tally->header, sizeof header);
    return sigaction(SIGBUS, &action, NULL) == 0 ||
           fail(failure, EX_OSERR, "SIGBUS cannot be caught: %s", strerror(errno));
}

void tally_guard_also(void *map, size_t bytes)
{
    maps[OF_OTHER].start = map;
    maps[OF_OTHER].bytes = bytes;
}

bool tally_is_cut(const struct tally *tally)
{
    struct stat status;
    return fstat(tally->fd, &status) == 0 && (uint64_t)status.st_size < tally->form.bytes;
}

/* With wrong process ids in them there would be no block for the next process. */
static bool blocks_are_plausible(const struct tally *tally)
{
    bool plausible = true;
    for (unsigned i = 0; i < TALLY_PROCESSES; i++) {
        int64_t pid = atomic_load_explicit(&tally_file_block(tally, i)->pid, memory_order_relaxed);
        plausible = plausible && pid >= 0 && pid <= PID_MOST;
    }
    return plausible;
}

const char *tally_harm(const struct tally *tally)
{
    if (tally_is_cut(tally))
        return "was cut";
    bool sound = memcmp(tally->header, &tally->form, offsetof(struct tally_header, id)) == 0 &&
                 tally_file_plausible(tally->totals, tally->form.total_count) &&
                 tally_file_plausible(tally->kept, tally->form.total_count) && blocks_are_plausible(tally);
    return sound ? NULL : "was overwritten";
}
