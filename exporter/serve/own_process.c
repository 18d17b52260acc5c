/* Where each of the process_* metrics comes from; see proc_pid_stat(5). */
#include "exporter/serve/own_process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t microseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void read_stat(int64_t *gauges)
{
    char line[1024];
    uint64_t started, virtual_bytes;
    int64_t resident_pages;
    FILE *in = fopen("/proc/self/stat", "re");
    if (in == NULL)
        return;
    const char *got = fgets(line, sizeof line, in);
    fclose(in);
    const char *fields = got == NULL ? NULL : strrchr(line, ')'); /* the name before it may hold anything */
    if (fields == NULL || sscanf(fields + 1,
                                 " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64
                                 " %" SCNu64 " %" SCNd64,
                                 &started, &virtual_bytes, &resident_pages) != 3)
        return;
    int64_t ticks = sysconf(_SC_CLK_TCK);
    int64_t age = microseconds(CLOCK_BOOTTIME) - (int64_t)started * 1000000 / ticks;
    if (gauges[gauge_process_start_time_seconds] == GAUGE_ABSENT)
        gauges[gauge_process_start_time_seconds] = microseconds(CLOCK_REALTIME) - age;
    gauges[gauge_process_virtual_memory_bytes] = (int64_t)virtual_bytes;
    gauges[gauge_process_resident_memory_bytes] = resident_pages * sysconf(_SC_PAGESIZE);
}

static void count_descriptors(int64_t *gauges)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return;
    int64_t count = -1; /* the directory's own */
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    gauges[gauge_process_open_fds] = count;
}

void own_process_read(int64_t *gauges)
{
    struct rlimit limit;
    read_stat(gauges);
    count_descriptors(gauges);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        gauges[gauge_process_max_fds] = (int64_t)limit.rlim_cur;
    gauges[gauge_process_cpu_seconds_total] = microseconds(CLOCK_PROCESS_CPUTIME_ID);
}
