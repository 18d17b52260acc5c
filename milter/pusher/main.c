/* milterscope-pusher: carries the tally and the open sets to Redis, the tally to the disk. Started by milterscope(8) with what it needs in
 * descriptors 4 to 7.
 *
 * One poll loop with a tick of 100 ms, whatever Redis does: heartbeat, messages of the supervisor, the rings of the filters, the push under
 * way, the next push.
 * Hard to kill is not the aim: it may die at any time, what it sends can be sent again. */
#include "conf/lib/log.h"
#include "milter/handover.h"
#include "milter/pusher/ahead.h"
#include "milter/pusher/check_redis.h"
#include "milter/pusher/copier.h"
#include "milter/pusher/drain.h"
#include "milter/pusher/push.h"
#include "milter/pusher/sets.h"
#include "milter/pusher/settle.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    BUSY_MS = 10, /* while the rings fill fast */
    DELAY_LEAST_MS = 500,
    DELAY_MOST_MS = 10 * 1000,
    SLOW_MS = 30 * 1000,
    LAST_COPY_MS = 5 * 1000,
    REPEATED_MOST = 4
};

static struct {
    const struct settings *settings;
    const struct settings *fresh; /* to be put in force between two pushes */
    struct tally tally;
    struct push *push;
    bool under_way;
    bool busy;
    int64_t next_ms;
    int64_t delay_ms;     /* back-off after failures */
    unsigned repeated;    /* pushes in a row that had to be begun again at once */
    int said;             /* class of the failure that was logged last, or -1 */
    bool ending, cleanly; /* the supervisor wants us to end */
    bool last_push_begun;
} self = {.said = -1};

/* What no quick repetition cures, and would only fill the log of the server. */
static bool is_slow(enum label_error error)
{
    return error == error_auth || error == error_noperm || error == error_wrongtype || error == error_misconf;
}

/* Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): pushers must not come back in step. */
static int64_t jittered(int64_t most_ms)
{
    return most_ms / 2 + random() % (most_ms / 2 + 1);
}

static void after_failure(int64_t now_ms)
{
    enum label_error error = push_error(self.push);
    if (self.said != (int)error)
        log_warning("Redis %s: %s; counting goes on, pushing is retried", self.settings->redis_url,
                    push_error_text(self.push));
    self.said = (int)error;
    if (error == error_fenced) {
        self.next_ms = now_ms + self.settings->redis_push_interval / 1000;
        return;
    }
    self.delay_ms = self.delay_ms == 0 ? DELAY_LEAST_MS : self.delay_ms * 2;
    if (self.delay_ms > DELAY_MOST_MS)
        self.delay_ms = DELAY_MOST_MS;
    self.next_ms = now_ms + jittered(is_slow(error) ? SLOW_MS : self.delay_ms);
}

static void after_success(int64_t now_ms)
{
    uint64_t server;
    if (push_server(self.push, &server))
        ahead_pushed(push_totals(self.push), server);
    int64_t interval_ms = self.settings->redis_push_interval / 1000;
    if (self.said >= 0)
        log_info("Redis %s: pushing again", self.settings->redis_url);
    self.said = -1;
    self.delay_ms = 0;
    self.next_ms += interval_ms; /* no drift */
    if (self.next_ms <= now_ms)
        self.next_ms = now_ms + interval_ms;
}

static void take_settings(void)
{
    if (self.fresh == NULL || self.under_way)
        return;
    log_open("milterscope-pusher", (enum log_level)self.fresh->log_level, (enum log_target)self.fresh->log_target);
    if (!push_connect(self.push, self.fresh)) {
        log_error("no memory for a connection to Redis");
        exit(EX_OSERR);
    }
    settings_unmap(self.settings);
    self.settings = self.fresh;
    self.fresh = NULL;
    self.next_ms = 0;
    self.said = -1;
}

/* Steps the push under way and begins the next one when it is due. */
static void step_push(int64_t now_ms)
{
    if (self.under_way) {
        enum push_result result = push_step(self.push);
        self.under_way = result == push_pending;
        self.repeated = result == push_again ? self.repeated + 1 : 0;
        if (result == push_again)
            self.next_ms = now_ms + (self.repeated > REPEATED_MOST ? self.settings->redis_push_interval / 1000 : 0);
        else if (result == push_failed)
            after_failure(now_ms);
        else if (result == push_written)
            after_success(now_ms);
        if (result == push_again && self.ending && self.repeated <= REPEATED_MOST)
            self.last_push_begun = false;
    }
    take_settings();
    bool settling = settle_wait(&self.tally);
    bool due = self.ending ? !self.last_push_begun && !settling : now_ms >= self.next_ms;
    if (!self.under_way && due) {
        self.last_push_begun = self.ending;
        ahead_pushing();
        push_begin(self.push, self.cleanly);
        self.under_way = true;
    }
}

static void receive(void)
{
    struct failure failure;
    int fd;
    char message = handover_receive(HANDOVER_CONTROL, &fd);
    if (message == HANDOVER_GONE)
        _exit(EX_OK);
    if (message == HANDOVER_RELOAD && fd >= 0) {
        if (self.fresh != NULL)
            settings_unmap(self.fresh);
        self.fresh = settings_map(fd, &failure);
        if (self.fresh == NULL) {
            log_error("reload: %s", failure.text);
            handover_send(HANDOVER_CONTROL, HANDOVER_REFUSED, -1);
        }
    }
    if (message == HANDOVER_RING && fd >= 0) {
        drain_add(fd);
        fd = -1;
    }
    self.ending = self.ending || message == HANDOVER_DRAIN || message == HANDOVER_STOP;
    self.cleanly = self.cleanly || message == HANDOVER_STOP;
    if (fd >= 0)
        close(fd);
}

/* One round; false when all is done that the end asks for. */
static bool round_of_loop(void)
{
    struct pollfd wait[2] = {{.fd = HANDOVER_CONTROL, .events = POLLIN}};
    int64_t now_ms = tally_clock_ms();
    const int tick_ms = self.busy ? BUSY_MS : TICK_MS;
    int until_ms = (int)(self.next_ms - now_ms < tick_ms ? self.next_ms - now_ms : tick_ms);
    if (self.under_way) {
        int deadline_ms = push_wait(self.push, &wait[1]);
        until_ms = deadline_ms < tick_ms ? deadline_ms : tick_ms;
    }
    if (poll(wait, self.under_way ? 2 : 1, until_ms > 0 ? until_ms : 0) > 0 && wait[0].revents != 0)
        receive();
    const char *harm = tally_harm(&self.tally);
    if (harm != NULL) {
        log_error("the file of the tally %s: nothing more is pushed from it", harm);
        _exit(EX_DATAERR);
    }
    tally_beat(&self.tally);
    sets_tick(time(NULL));
    self.busy = drain_step(&self.tally);
    step_push(tally_clock_ms());
    ahead_tick(tally_clock_ms(), self.settings->redis_push_interval / 1000);
    return !(self.ending && !self.under_way && (self.last_push_begun || settle_wait(&self.tally)));
}

static bool start(int process, struct failure *failure)
{
    const struct settings *settings = settings_map(HANDOVER_SETTINGS, failure);
    if (settings == NULL || !tally_attach(HANDOVER_TALLY, process, &self.tally, failure))
        return false;
    self.settings = settings;
    log_open("milterscope-pusher", (enum log_level)settings->log_level, (enum log_target)settings->log_target);
    catalogue_find_total("", 0); /* builds the index, before there are threads */
    tally_gauge_set(&self.tally, gauge_build_info + (unsigned)program_pusher * version_COUNT, 1);
    tally_gauge_set(&self.tally, gauge_redis_up + (unsigned)program_pusher, 0);
    if (!sets_open(HANDOVER_MEMORY, settings, time(NULL), failure))
        return false;
    self.push = push_new(&self.tally, atomic_fetch_add(&self.tally.header->starts, 1) + 1);
    if (self.push == NULL || !push_connect(self.push, settings))
        return fail(failure, EX_OSERR, "no memory");
    self.next_ms =
        tally_clock_ms() + random() % (settings->redis_push_interval / 1000 + 1); /* not in step with others */
    if (!copier_start(&self.tally, settings->state_directory, failure))
        return false;
    ahead_start(&self.tally);
    return true;
}

int main(int argc, char **argv)
{
    struct failure failure = {EX_OK, ""};
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("milterscope-pusher %s\n", MILTERSCOPE_VERSION) > 0 ? EX_OK : EX_IOERR;
    if (argc == 2 && strcmp(argv[1], "--check-redis") == 0)
        return check_redis();
    int process = handover_process(argc, argv);
    if (process < 0) {
        fputs("milterscope-pusher is started by milterscope(8)\n", stderr);
        return EX_USAGE;
    }
    static const int ignored[] = {SIGPIPE, SIGHUP, SIGUSR1,
                                  SIGUSR2}; /* meant for the supervisor, who tells us over the socket pair */
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    srandom((unsigned)(tally_clock_ms() ^ getpid()));
    if (!start(process, &failure)) {
        log_error("%s", failure.text);
        return failure.status;
    }
    if (!handover_send(HANDOVER_CONTROL, HANDOVER_READY, -1))
        return EX_OSERR;
    while (round_of_loop())
        ;
    if (self.cleanly && !copier_finish(LAST_COPY_MS))
        _exit(EX_IOERR); /* the disk may hold the thread for ever */
    if (self.cleanly)
        tally_keep_all(&self.tally);
    _exit(EX_OK);
}
