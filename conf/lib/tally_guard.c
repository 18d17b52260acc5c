/* A file that is cut under its mapping: pages beyond its end raise SIGBUS when they are touched. The handler puts private memory there, the
 * header as it was, all else 0. */
#include "conf/lib/tally.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *start; /* of the mapping */
static size_t bytes, page;
static struct tally_header header; /* as it was */

/* mmap and memcpy are not in POSIX' list of async-signal-safe functions, but are so on Linux: a system call, and no state. */
static void replace_page(int number, siginfo_t *info, void *context)
{
    int error = errno;
    char *address = info->si_addr;
    (void)context;
    if (address < start || address >= start + bytes) {
        signal(number, SIG_DFL); /* not ours: comes again when we return, and ends the process */
        return;
    }
    char *at = start + (size_t)(address - start) / page * page;
    if (mmap(at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        _exit(EX_OSERR);
    if (at == start)
        memcpy(at, &header, sizeof header);
    errno = error;
}

bool tally_guard(const struct tally *tally, struct failure *failure)
{
    struct sigaction action = {.sa_sigaction = replace_page, .sa_flags = SA_SIGINFO | SA_RESTART};
    start = (char *)tally->header;
    bytes = tally->header->bytes;
    page = (size_t)sysconf(_SC_PAGESIZE);
    memcpy(&header, tally->header, sizeof header);
    return sigaction(SIGBUS, &action, NULL) == 0 ||
           fail(failure, EX_OSERR, "SIGBUS cannot be caught: %s", strerror(errno));
}

bool tally_is_cut(const struct tally *tally)
{
    struct stat status;
    return fstat(tally->fd, &status) == 0 && (uint64_t)status.st_size < tally->header->bytes;
}
