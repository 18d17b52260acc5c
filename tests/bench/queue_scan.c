/*
 * queue_scan.c - what a pass of the collector over the queues of a Postfix costs, and spools to measure it with.
 *
 *     queue-scan copy TEMPLATE DIRECTORY COUNT   copies of a queue file, over the directories 0 to F, arrived over the last two days
 *     queue-scan run CONFIG RUNS                 runs the collector; prints a line of JSON for each run
 *
 * CONFIG is the folder of main.cf.
 */
#include "exporter/collect/queue.h"
#include "tests/unit/tally_form.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TEMPLATE_MAX = 65536, SPAN = 3 * 86400 };

static void give_up(const char *what)
{
    fprintf(stderr, "queue-scan: %s: %s\n", what, strerror(errno));
    exit(EX_OSERR);
}

/* ---- spools ---- */

struct template
{
    char bytes[TEMPLATE_MAX];
    size_t length;
    char *time; /* ten digits of the record T */
    struct stat status;
};

static void load(const char *path, struct template *template)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, template->bytes, sizeof template->bytes) : -1;
    if (length <= 0 || fstat(fd, &template->status) != 0)
        give_up(path);
    close(fd);
    template->length = (size_t)length;
    enum { SIZE_RECORD = 97 }; /* C, its length, six numbers; then T, its length, ten digits and more */
    errno = EBADMSG;
    if (template->length < SIZE_RECORD + 12 || template->bytes[0] != 'C' || template->bytes[SIZE_RECORD] != 'T')
        give_up(path);
    template->time = template->bytes + SIZE_RECORD + 2;
}

static void write_copy(int directory, const char *name, struct template *template, time_t arrived)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%010lld", (long long)arrived);
    memcpy(template->time, digits, 10);
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (fd < 0 || write(fd, template->bytes, template->length) != (ssize_t) template->length ||
        fchown(fd, template->status.st_uid, template->status.st_gid) != 0)
        give_up(name);
    close(fd);
}

static void make(const char *path, struct template *template, unsigned count)
{
    char name[64];
    time_t now = time(NULL);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        give_up(path);
    for (unsigned hash = 0; hash < 16; hash++) {
        snprintf(name, sizeof name, "%X", hash);
        if (mkdirat(directory, name, 0700) != 0 && errno != EEXIST)
            give_up(name);
        if (fchownat(directory, name, template->status.st_uid, template->status.st_gid, 0) != 0)
            give_up(name);
    }
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%X/%X%04X%X", i % 16, i % 16, i / 16 % 0x10000, 0x100000 + i);
        write_copy(directory, name, template, now - (time_t)((uint64_t)i * SPAN / count));
    }
    close(directory);
}

/* ---- runs ---- */

static double seconds(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Not ru_maxrss, which knows what ran before in this process. */
static long peak_kilobytes(void)
{
    char line[256];
    long peak = -1;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmHWM: %ld kB", &peak) == 1)
            break;
    }
    if (status != NULL)
        fclose(status);
    return peak;
}

static void print_run(const struct tally *tally, double cpu, double wall, int64_t pause_ms)
{
    const char *between = "";
    printf("{\"cpu\": %.6f, \"wall\": %.6f, \"pause_ms\": %" PRId64 ", \"peak_kilobytes\": %ld, \"gauges\": {", cpu,
           wall, pause_ms, peak_kilobytes());
    for (unsigned gauge = gauge_queue_messages; gauge <= gauge_queue_scan_timestamp_seconds_LAST; gauge++) {
        char name[512], *end = name;
        int64_t value = atomic_load(&tally->self->gauges[gauge]);
        if (value == GAUGE_ABSENT)
            continue;
        name[catalogue_gauge_text(gauge, name)] = '\0';
        printf("%s\"", between);
        for (; *end != '\0'; end++)
            printf("%s%c", *end == '"' ? "\\" : "", *end);
        printf("\": %" PRId64, value);
        between = ", ";
    }
    puts("}}");
}

static void run(const char *config, int runs)
{
    static struct settings settings;
    static struct tally tally;
    struct failure failure = {0};
    settings.mta_kind = mta_kind_postfix;
    settings.collector_queue_interval = 1000000;
    snprintf(settings.mta_config, sizeof settings.mta_config, "%s", config);
    form_fresh(&tally);
    void *self = collect_queue.open(&settings, &tally, &failure);
    for (int i = 0; self != NULL && i < runs; i++) {
        double begin = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
        if (!collect_queue.run(self, &failure))
            break;
        cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
        print_run(&tally, cpu, seconds(CLOCK_MONOTONIC) - begin, collect_queue.pause_ms(self));
    }
    if (failure.status != EX_OK) {
        fprintf(stderr, "queue-scan: %s\n", failure.text);
        exit(failure.status);
    }
    collect_queue.close(self);
    form_free(&tally);
}

int main(int argc, char **argv)
{
    static struct template template;
    if (argc == 4 && strcmp(argv[1], "run") == 0) {
        run(argv[2], atoi(argv[3]));
    } else if (argc == 5 && strcmp(argv[1], "copy") == 0) {
        load(argv[2], &template);
        make(argv[3], &template, (unsigned)strtoul(argv[4], NULL, 10));
    } else {
        fputs("usage: queue-scan copy TEMPLATE DIRECTORY COUNT, or run CONFIG RUNS\n", stderr);
        return EX_USAGE;
    }
    return EX_OK;
}
