/* All file systems are asked at once and answer within one deadline, while the rest is looked at. */
#include "exporter/collect/host.h"

#include "exporter/collect/clock.h"
#include "exporter/collect/failures.h"
#include "exporter/collect/filesystem.h"
#include "exporter/collect/load_limits.h"
#include "exporter/collect/mta_settings.h"

#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { PAUSE_MS = 5 * 1000, ANSWER_MS = 3 * 1000, DEADLINE_MS = 10 * 1000 };

struct host {
    const struct settings *settings;
    const struct tally *tally;
    struct filesystem *filesystems[filesystem_COUNT]; /* NULL: not watched */
};

/* ---- file systems ---- */

/* `count` blocks of `bytes`; what does not fit is as much as there can be. */
static int64_t product(uint64_t count, uint64_t bytes)
{
    uint64_t value;
    return __builtin_mul_overflow(count, bytes, &value) || value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void show_filesystem(const struct tally *tally, unsigned place, const struct statvfs *status)
{
    int64_t values[4] = {GAUGE_ABSENT, GAUGE_ABSENT, GAUGE_ABSENT, GAUGE_ABSENT};
    if (status != NULL && status->f_blocks > 0) {
        values[0] = product(status->f_bavail, status->f_frsize);
        values[1] = product(status->f_blocks, status->f_frsize);
    }
    if (status != NULL && status->f_files > 0) {
        values[2] = product(status->f_favail, 1);
        values[3] = product(status->f_files, 1);
    }
    tally_gauge_set(tally, (unsigned)gauge_filesystem_free_bytes + place, values[0]);
    tally_gauge_set(tally, (unsigned)gauge_filesystem_size_bytes + place, values[1]);
    tally_gauge_set(tally, (unsigned)gauge_filesystem_free_inodes + place, values[2]);
    tally_gauge_set(tally, (unsigned)gauge_filesystem_inodes + place, values[3]);
}

/* All are shown that answer, and all others are told. */
static bool show_filesystems(const struct host *self, int64_t end, struct failure *failure)
{
    bool good = true;
    *failure = (struct failure){EX_OK, ""};
    for (unsigned i = 0; i < filesystem_COUNT; i++) {
        struct statvfs status;
        struct failure one;
        if (self->filesystems[i] == NULL)
            continue;
        bool answered = filesystem_answer(self->filesystems[i], end, &status, &one);
        show_filesystem(self->tally, i, answered ? &status : NULL);
        good = (answered || failures_add(failure, &one)) && good;
    }
    return good;
}

/* ---- load and swap ---- */

static void show_load(const struct host *self)
{
    double load;
    int64_t limits[load_COUNT];
    struct mta_text text = {NULL, 0};
    tally_gauge_set(self->tally, gauge_load1, getloadavg(&load, 1) == 1 ? (int64_t)(load * 1e6 + 0.5) : GAUGE_ABSENT);
    enum label_server server = mta_server(self->settings);
    if (server == server_sendmail)
        text = mta_read_sendmail(self->settings);
    else if (server == server_exim)
        text = mta_read_exim(self->settings);
    load_limits(server, &text, sysconf(_SC_NPROCESSORS_ONLN), limits);
    free(text.text);
    for (unsigned i = 0; i < load_COUNT; i++)
        tally_gauge_set(self->tally, (unsigned)gauge_load_limit + i, limits[i]);
}

static void show_swap(const struct host *self)
{
    struct sysinfo info;
    bool known = sysinfo(&info) == 0;
    tally_gauge_set(self->tally, gauge_swap_size_bytes, known ? product(info.totalswap, info.mem_unit) : GAUGE_ABSENT);
    tally_gauge_set(self->tally, gauge_swap_used_bytes,
                    known ? product(info.totalswap - info.freeswap, info.mem_unit) : GAUGE_ABSENT);
}

/* ---- the collector ---- */

static bool run(void *context, struct failure *failure)
{
    const struct host *self = context;
    int64_t end = clock_ms() + ANSWER_MS;
    for (unsigned i = 0; i < filesystem_COUNT; i++) {
        if (self->filesystems[i] != NULL)
            filesystem_ask(self->filesystems[i]);
    }
    show_load(self);
    show_swap(self);
    return show_filesystems(self, end, failure);
}

static void close_host(void *context)
{
    struct host *self = context;
    for (unsigned i = 0; i < filesystem_COUNT; i++) {
        if (self->filesystems[i] != NULL)
            filesystem_close(self->filesystems[i]);
    }
    free(self);
}

static void *open_host(const struct settings *settings, const struct tally *tally, struct failure *failure)
{
    const struct filesystems *own = &settings->collector_filesystems;
    char queue[SETTINGS_PATH_MAX];
    struct host *self = calloc(1, sizeof *self);
    bool good = self != NULL;
    if (good) {
        *self = (struct host){.settings = settings, .tally = tally};
        self->filesystems[filesystem_state] = filesystem_open(settings->state_directory);
        good = self->filesystems[filesystem_state] != NULL;
    }
    if (good && mta_queue_directory(settings, queue)) {
        self->filesystems[filesystem_queue] = filesystem_open(queue);
        good = self->filesystems[filesystem_queue] != NULL;
    }
    for (uint32_t i = 0; good && i < own->count; i++) {
        self->filesystems[filesystem_own_0 + i] = filesystem_open(own->list[i]);
        good = self->filesystems[filesystem_own_0 + i] != NULL;
    }
    if (good)
        return self;
    fail(failure, EX_OSERR, "no memory to look at this host");
    if (self != NULL)
        close_host(self);
    return NULL;
}

static int64_t pause_ms(const void *self)
{
    (void)self;
    return PAUSE_MS;
}

const struct collector collect_host = {.name = collector_host,
                                       .deadline_ms = DEADLINE_MS,
                                       .open = open_host,
                                       .run = run,
                                       .pause_ms = pause_ms,
                                       .close = close_host};
