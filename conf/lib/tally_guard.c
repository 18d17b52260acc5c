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

static struct {
    char *start;
    size_t bytes;
} tally_map, other_map;
static size_t page;
static struct tally_header header; /* as it was */

static bool is_in_other(const char *address)
{
    return other_map.start != NULL && address >= other_map.start && address < other_map.start + other_map.bytes;
}

/* mmap and memcpy are not in POSIX' list of async-signal-safe functions, but are so on Linux: a system call, and no state. */
static void replace_page(int number, siginfo_t *info, void *context)
{
    int error = errno;
    char *address = info->si_addr;
    (void)context;
    char *start = is_in_other(address) ? other_map.start : tally_map.start;
    if (start == tally_map.start && (address < start || address >= start + tally_map.bytes)) {
        signal(number, SIG_DFL); /* not ours: comes again when we return, and ends the process */
        return;
    }
    char *at = start + (size_t)(address - start) / page * page;
    if (mmap(at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        _exit(EX_OSERR);
    if (at == tally_map.start)
        memcpy(at, &header, sizeof header);
    errno = error;
}

bool tally_guard(const struct tally *tally, struct failure *failure)
{
    struct sigaction action = {.sa_sigaction = replace_page, .sa_flags = SA_SIGINFO | SA_RESTART};
    tally_map.start = (char *)tally->header;
    tally_map.bytes = tally->header->bytes;
    page = (size_t)sysconf(_SC_PAGESIZE);
    memcpy(&header, tally->header, sizeof header);
    return sigaction(SIGBUS, &action, NULL) == 0 ||
           fail(failure, EX_OSERR, "SIGBUS cannot be caught: %s", strerror(errno));
}

void tally_guard_also(void *map, size_t bytes)
{
    other_map.bytes = bytes;
    other_map.start = map;
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
