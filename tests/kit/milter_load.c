/*
 * milter_load.c - drives a milter as a busy Postfix would: many sessions at once, straight to its socket.
 *
 * One thread and one epoll set: each session talks until it needs a reply, then waits in the set. The work is
 * drawn from a seed (load_script.h), so two runs with the same options ask the same of the filter. Prints JSON;
 * ends by itself when the transactions or the seconds are over. Exit status 1 if any session broke.
 */
#include "load_latency.h"
#include "load_script.h"

#include <errno.h>
#include <getopt.h>
#include <libmilter/mfdef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

enum { SESSIONS_MAX = 8192, EVENTS = 256, WHY = 256, RETRY_NS = 20 * 1000 * 1000 };

#define SECOND_NS INT64_C(1000000000)

struct settings {
    const char *address;
    unsigned sessions;
    uint64_t transactions; /* 0: until the seconds are over */
    double seconds;        /* no new transaction after this */
    double rate;           /* transactions begun a second; 0: as fast as the filter answers */
    double timeout;        /* for one reply */
    uint64_t first;        /* number of the first session */
    bool turns;
    struct load_mix mix;
};

struct slot {
    struct script script; /* m is NULL: no connection */
    int64_t asked;        /* when the reply that is due was asked for; 0: none is due */
    int64_t retry;        /* no new connection before this */
};

struct load {
    struct settings set;
    struct slot *slots;
    int epoll;
    int64_t start, end;
    uint64_t begun;    /* transactions */
    uint64_t sessions; /* begun */
    uint64_t errors;
    struct load_count count;
    struct latency latency;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

/* --- sessions -------------------------------------------------------------------------------------------- */

static bool time_is_over(const struct load *l, int64_t now)
{
    return now >= l->end || (l->set.transactions > 0 && l->begun >= l->set.transactions);
}

static void note_error(struct load *l, struct slot *slot, const char *why)
{
    static const char *const phases[] = {"offer", "connect", "helo", "helo",  "gate", "unknown",
                                         "mail",  "abort",   "mail", "rcpt",  "data", "header",
                                         "eoh",   "body",    "eom",  "reset", "end"};
    if (l->errors++ < 5)
        fprintf(stderr, "milter-load: session %llu, after %s: %s\n", (unsigned long long)slot->script.number,
                phases[slot->script.said], why);
    mta_drop(slot->script.m);
    slot->script.m = NULL;
    slot->asked = 0;
    slot->retry = now_ns() + RETRY_NS;
}

static void open_session(struct load *l, struct slot *slot)
{
    char why[WHY];
    struct mta *m = mta_open(l->set.address, (int)(l->set.timeout * 1000), why, sizeof(why));
    script_begin(&slot->script, m, l->set.first + l->sessions++, &l->set.mix, &l->count);
    if (m == NULL) {
        note_error(l, slot, why);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, mta_fd(m), &event) != 0)
        note_error(l, slot, strerror(errno));
}

/* The next transaction may begin: none is left to wait for, and its time by the rate has come. */
static bool ticket(struct load *l, int64_t now)
{
    if (l->set.rate > 0 && now < l->start + (int64_t)((double)l->begun / l->set.rate * 1e9))
        return false;
    l->begun++;
    return true;
}

/* Lets a session go on until it waits for a reply, for a ticket, or is over. */
static void drive(struct load *l, struct slot *slot)
{
    while (slot->script.m != NULL && slot->asked == 0) {
        int64_t now = now_ns();
        if (slot->script.phase == SCRIPT_GATE) {
            if (time_is_over(l, now) || slot->script.message >= l->set.mix.messages)
                script_quit(&slot->script);
            else if (!ticket(l, now))
                return;
            else
                script_pass(&slot->script);
        }
        if (slot->script.phase == SCRIPT_END) {
            mta_close(slot->script.m);
            slot->script.m = NULL;
            return;
        }
        int due = script_say(&slot->script);
        if (due < 0)
            note_error(l, slot, mta_error(slot->script.m));
        else if (due == 1)
            slot->asked = now_ns();
    }
}

static void on_readable(struct load *l, struct slot *slot)
{
    while (slot->script.m != NULL) {
        struct mta_reply reply;
        switch (mta_read(slot->script.m, &reply, 0)) {
        case MTA_GOT_NOTHING:
            return;
        case MTA_GOT_EOF:
        case MTA_GOT_ERROR:
            note_error(l, slot, mta_error(slot->script.m));
            return;
        case MTA_GOT_REPLY:
            break;
        }
        if (mta_due(slot->script.m) > 0)
            continue; /* an action, or progress: more follows */
        latency_add(&l->latency, now_ns() - slot->asked);
        slot->asked = 0;
        script_hear(&slot->script, reply.code);
        drive(l, slot);
        return;
    }
}

/* Everything that is due by the clock and not by a reply. Returns the number of slots still in use. */
static unsigned tend(struct load *l)
{
    unsigned used = 0;
    int64_t now = now_ns();
    for (unsigned i = 0; i < l->set.sessions; i++) {
        struct slot *slot = &l->slots[i];
        if (slot->asked != 0 && now - slot->asked > (int64_t)(l->set.timeout * 1e9))
            note_error(l, slot, "no reply in time");
        if (slot->script.m == NULL && now >= slot->retry && !time_is_over(l, now))
            open_session(l, slot);
        if (slot->script.m != NULL && slot->asked == 0)
            drive(l, slot);
        if (slot->script.m != NULL || !time_is_over(l, now))
            used++;
    }
    return used;
}

static void run(struct load *l)
{
    struct epoll_event events[EVENTS];
    int64_t tended = 0;
    l->start = now_ns();
    l->end = l->start + (int64_t)(l->set.seconds * 1e9);
    for (;;) {
        /* A session that ended is replaced at once; deadlines and tickets are looked at each millisecond. */
        int64_t now = now_ns();
        if (now - tended >= SECOND_NS / 1000) {
            tended = now;
            if (tend(l) == 0)
                return;
        }
        int n = epoll_wait(l->epoll, events, EVENTS, 1);
        for (int i = 0; i < n; i++) {
            struct slot *slot = events[i].data.ptr;
            on_readable(l, slot);
            if (slot->script.m == NULL && now >= slot->retry && !time_is_over(l, now)) {
                open_session(l, slot);
                drive(l, slot);
            }
        }
    }
}

/* --- report ---------------------------------------------------------------------------------------------- */

static void report(const struct load *l)
{
    struct rusage usage;
    double seconds = (double)(now_ns() - l->start) / 1e9;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"transactions", l->count.messages},
        {"passed", l->count.passed},
        {"rejected", l->count.rejected},
        {"lost", l->count.lost},
        {"recipients", l->count.recipients},
        {"refused", l->count.refused},
        {"sessions", l->sessions},
        {"stopped", l->count.stopped},
        {"errors", l->errors},
        {"replies", l->latency.count},
    };
    printf("{");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        printf("\"%s\": %llu, ", counts[i].name, (unsigned long long)counts[i].value);
    printf("\"steady\": [");
    for (int i = 0; i < STEADY; i++)
        printf("%s%llu", i == 0 ? "" : ", ", (unsigned long long)l->count.steady[i]);
    printf("], \"seconds\": %.6f, \"cpu_seconds\": %.6f, ", seconds, cpu);
    printf("\"transactions_per_second\": %.1f, ", (double)l->count.messages / seconds);
    printf("\"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}}\n",
           latency_us(&l->latency, 0.5), latency_us(&l->latency, 0.99), latency_us(&l->latency, 0.999),
           latency_us(&l->latency, 1.0));
}

/* --- command line ---------------------------------------------------------------------------------------- */

static const char usage_text[] =
    "usage: milter-load [options] unix:PATH | inet:PORT@HOST\n"
    "  --sessions N       at once (8)\n"
    "  --transactions N   in all; 0: until --seconds (10000)\n"
    "  --seconds S        begin no transaction later than this (60)\n"
    "  --rate R           transactions begun a second; 0: as fast as possible (0)\n"
    "  --timeout S        for one reply (10)\n"
    "  --messages N       a session (4)\n"
    "  --recipients N     a message has 1 to this many (3)\n"
    "  --headers N        a message (12)\n"
    "  --body BYTES       a message, where the filter asks for bodies (1000)\n"
    "  --refused SHARE    of recipients (0.1)      --aborted SHARE        of messages after DATA (0.05)\n"
    "  --tls SHARE        of sessions (0.3)        --authenticated SHARE  of sessions (0.1)\n"
    "  --clients N        distinct addresses (500)\n"
    "  --flood N          distinct addresses, HELO names and sender domains, one a session (0: none)\n"
    "  --steady SHARE     of the flood's sessions, from five heavy hitters (0)\n"
    "  --first N          number of the first session: one that goes on where another ended (0)\n"
    "  --seed N           (1)\n"
    "  --mta TEXT         macro v (Postfix 3.7.11)\n"
    "  --without NAME     leaves out helo, data, headers, eoh, eom, abort, a macro ({auth_type}) or a header "
    "(Subject:)\n"
    "  --more NAME        one more in each message: recipient, refused, unknown, transaction (MAIL and no more)\n"
    "The last two several times, if wanted.\n"
    "  --turns            does all this again at each line from standard input, until its end\n";

/* One row an option: where its value goes, and the range. */
struct option_row {
    const char *name;
    double *number;
    uint64_t *whole;
    unsigned *small;
    double low, high;
};

static int set_option(const struct option_row *row, const char *text)
{
    char *rest = NULL;
    errno = 0;
    double value = strtod(text, &rest);
    bool fraction = row->number == NULL && value - (double)(int64_t)value > 0;
    if (errno != 0 || rest == text || *rest != '\0' || !(value >= row->low && value <= row->high) || fraction) {
        fprintf(stderr, "milter-load: --%s %s: wanted a number from %g to %g\n", row->name, text, row->low, row->high);
        return EX_USAGE;
    }
    if (row->number != NULL)
        *row->number = value;
    if (row->whole != NULL)
        *row->whole = (uint64_t)value;
    if (row->small != NULL)
        *row->small = (unsigned)value;
    return 0;
}

static int unknown_name(const char *option, const char *name)
{
    fprintf(stderr, "milter-load: --%s %s: there is nothing of this name\n", option, name);
    return EX_USAGE;
}

static int read_options(struct settings *set, int argc, char **argv)
{
    struct load_mix *mix = &set->mix;
    const struct option_row rows[] = {
        {"sessions", NULL, NULL, &set->sessions, 1, SESSIONS_MAX},
        {"transactions", NULL, &set->transactions, NULL, 0, 1e9},
        {"seconds", &set->seconds, NULL, NULL, 0.01, 1e6},
        {"rate", &set->rate, NULL, NULL, 0, 1e6},
        {"timeout", &set->timeout, NULL, NULL, 0.01, 3600},
        {"messages", NULL, NULL, &mix->messages, 1, 1e6},
        {"recipients", NULL, NULL, &mix->recipients, 1, 1e4},
        {"headers", NULL, NULL, &mix->headers, 0, 1e4},
        {"body", NULL, NULL, &mix->body, 0, MILTER_CHUNK_SIZE},
        {"clients", NULL, NULL, &mix->clients, 1, 131072},
        {"refused", &mix->refused, NULL, NULL, 0, 1},
        {"aborted", &mix->aborted, NULL, NULL, 0, 1},
        {"tls", &mix->tls, NULL, NULL, 0, 1},
        {"authenticated", &mix->authenticated, NULL, NULL, 0, 1},
        {"flood", NULL, NULL, &mix->flood, 0, 1e9},
        {"steady", &mix->steady, NULL, NULL, 0, 1},
        {"first", NULL, &set->first, NULL, 0, 1e15},
        {"seed", NULL, &mix->seed, NULL, 0, 1e15},
    };
    enum { ROWS = sizeof(rows) / sizeof(rows[0]), MTA = ROWS, WITHOUT, MORE, TURNS, OPTIONS };
    struct option options[OPTIONS + 1] = {[MTA] = {"mta", required_argument, NULL, MTA},
                                          [WITHOUT] = {"without", required_argument, NULL, WITHOUT},
                                          [MORE] = {"more", required_argument, NULL, MORE},
                                          [TURNS] = {"turns", no_argument, NULL, TURNS}};
    for (int i = 0; i < ROWS; i++)
        options[i] = (struct option){rows[i].name, required_argument, NULL, i};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == MTA)
            mix->mta = optarg;
        else if (c == TURNS)
            set->turns = true;
        else if (c < 0 || c >= OPTIONS || (c < ROWS && set_option(&rows[c], optarg) != 0))
            return EX_USAGE;
        else if ((c == WITHOUT && !load_without(mix, optarg)) || (c == MORE && !load_more(mix, optarg)))
            return unknown_name(options[c].name, optarg);
    }
    if (optind != argc - 1)
        return EX_USAGE;
    set->address = argv[optind];
    return 0;
}

/* The work from its beginning to its report. Sessions are numbered on. */
static int turn(struct load *l)
{
    l->set.first += l->sessions;
    l->begun = l->sessions = 0;
    l->count = (struct load_count){0};
    memset(&l->latency, 0, sizeof(l->latency));
    run(l);
    report(l);
    fflush(stdout);
    return l->errors > 0 || (l->set.transactions > 0 && l->begun < l->set.transactions) ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct load l = {.set = {.sessions = 8,
                                    .transactions = 10000,
                                    .seconds = 60,
                                    .timeout = 10,
                                    .mix = {.seed = 1,
                                            .messages = 4,
                                            .recipients = 3,
                                            .headers = 12,
                                            .body = 1000,
                                            .clients = 500,
                                            .refused = 0.1,
                                            .aborted = 0.05,
                                            .tls = 0.3,
                                            .authenticated = 0.1,
                                            .mta = "Postfix 3.7.11"}}};
    if (read_options(&l.set, argc, argv) != 0) {
        fputs(usage_text, stderr);
        return EX_USAGE;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    l.slots = calloc(l.set.sessions, sizeof(*l.slots));
    if (l.epoll < 0 || l.slots == NULL)
        return EX_OSERR;
    if (!l.set.turns)
        return turn(&l);
    for (char line[2]; fgets(line, sizeof(line), stdin) != NULL;) {
        if (line[0] == '\n' && turn(&l) != 0)
            return 1;
    }
    return 0;
}
