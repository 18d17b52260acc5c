/* Waiting for orphans. Process ids may have been given to others meanwhile: only our own programs are waited for. */
#include "milter/supervisor/orphans.h"

#include "conf/lib/log.h"
#include "conf/lib/tally.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 2000, STEP_MS = 5 };

#define OUR_PROGRAMS "(milterscope-" /* as proc(5) writes names, cut after 15 bytes */

/* Is this one of our programs, and more than a zombie? One whose other threads have not ended yet still holds all that it had. See proc(5)
 * for the fields of /proc/PID/stat: "PID (name) state …", the number of threads is the 20th. */
static bool lives(pid_t pid)
{
    char path[32], stat[512] = "", state;
    int threads;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, stat, sizeof stat - 1);
    close(fd);
    const char *name = length > 0 ? strstr(stat, OUR_PROGRAMS) : NULL;
    const char *fields = name != NULL ? strstr(name, ") ") : NULL;
    return fields != NULL &&
           sscanf(fields, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %d", &state,
                  &threads) == 2 &&
           (threads > 1 || (state != 'Z' && state != 'X'));
}

void orphans_wait(const char *run_directory)
{
    static const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
    struct failure ignored;
    int64_t deadline_ms = tally_clock_ms() + WAIT_MS;
    struct tally_view *view = tally_view_open(run_directory, &ignored);
    for (unsigned i = 0; view != NULL && i < TALLY_PROCESSES; i++) {
        pid_t pid = tally_view_pid(view, i);
        while (pid > 0 && pid != getpid() && lives(pid)) {
            if (tally_clock_ms() > deadline_ms) {
                log_warning("process %d of the run before does not end", (int)pid);
                break;
            }
            nanosleep(&step, NULL);
        }
    }
    if (view != NULL)
        tally_view_close(view);
}
