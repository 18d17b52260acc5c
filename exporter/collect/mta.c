/* Listeners of the MTA, and what they show. */
#include "exporter/collect/mta.h"

#include "conf/lib/log.h"
#include "exporter/collect/smtp_check.h"
#include "exporter/collect/smtp_wait.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    INTERVAL_MS = 50 * 1000, /* so that with the check itself a change is seen within a minute */
    PAUSE_LEAST_MS = 1000,
    GREETING_MS = 10 * 1000,
    REST_MS = 10 * 1000,
    DEADLINE_MS = GREETING_MS + REST_MS + 10 * 1000,
    VERSION_BYTES = 32,
};

struct listener {
    struct smtp_check check;
    struct smtp_seen seen;
    bool is_down; /* and that was said */
    bool has_thread;
    pthread_t thread;
};

struct mta {
    const struct settings *settings;
    const struct tally *tally;
    int64_t took_ms; /* the last run */
    enum label_server server;
    char version[VERSION_BYTES]; /* "": not known yet */
    char named[VERSION_BYTES];   /* what the place of the version is called */
    uint32_t count;
    struct listener list[LISTENERS_MAX];
};

/* ---- what it is ---- */

static const struct {
    const char *word;
    enum label_server server;
} servers[] = {{"Postfix", server_postfix}, {"Sendmail", server_sendmail}, {"Exim", server_exim}};

/* Letters, digits and .+~-_ from a digit on. */
static bool take_version(struct mta *self, enum label_server server, const char *text)
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+~-_";
    size_t length = strspn(text, allowed);
    if (text[0] < '0' || text[0] > '9' || length >= sizeof self->version)
        return false;
    self->server = server;
    memcpy(self->version, text, length);
    self->version[length] = '\0';
    return true;
}

/* "mx.example.org ESMTP Sendmail 8.17.1.9/8.17.1.9/Debian-2; Fri, …"; Postfix says its version only where it was told to. */
static bool take_greeting(struct mta *self, const char *greeting)
{
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        const char *word = strstr(greeting, servers[i].word);
        const char *behind = word == NULL ? "" : word + strlen(servers[i].word);
        if (*behind == ' ' && take_version(self, servers[i].server, behind + 1))
            return true;
    }
    return false;
}

/* What it tells the filter: "Postfix 3.7.11", or sendmail's version alone. */
static bool take_macro(struct mta *self, const char *macro)
{
    return take_version(self, server_sendmail, macro) || take_greeting(self, macro);
}

/* What it tells the filter is what it is; a greeting is what its administrator lets it say. */
static void look_at_version(struct mta *self)
{
    bool known = false;
    for (uint32_t i = 0; i < self->count && !known; i++)
        known = take_macro(self, self->list[i].seen.version);
    for (uint32_t i = 0; i < self->count && !known; i++)
        known = take_greeting(self, self->list[i].seen.greeting);
    for (unsigned server = 0; server < server_COUNT; server++) {
        bool is_it = self->version[0] != '\0' && server == (unsigned)self->server;
        tally_gauge_set(self->tally, gauge_mta_info + server * (unsigned)width_mta_info, is_it ? 1 : GAUGE_ABSENT);
    }
    if (strcmp(self->named, self->version) != 0) {
        tally_set_place(self->tally, places_server_version, self->version);
        memcpy(self->named, self->version, sizeof self->named);
    }
}

const char *mta_version(const void *self)
{
    return ((const struct mta *)self)->version;
}

/* ---- a run ---- */

static void *check(void *context)
{
    struct listener *listener = context;
    smtp_check_run(&listener->check, &listener->seen);
    return NULL;
}

/* All at the same time; where there is no thread, one after the other. */
static void check_all(struct mta *self, int told)
{
    for (uint32_t i = 0; i < self->count; i++) {
        struct listener *listener = &self->list[i];
        listener->check.told = told;
        listener->has_thread = pthread_create(&listener->thread, NULL, check, listener) == 0;
        if (!listener->has_thread)
            check(listener);
    }
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->list[i].has_thread)
            pthread_join(self->list[i].thread, NULL);
    }
}

/* Once, when it begins and when it ends. */
static void say_change(const struct mta *self, uint32_t number)
{
    const struct smtp_seen *seen = &self->list[number].seen;
    char name[64];
    settings_listener_text(&self->settings->mta_listeners, number, name);
    if (seen->up)
        log_info("%s greets again", name);
    else
        log_warning("%s does not greet: %s", name, seen->why);
}

static bool show(struct mta *self, uint32_t number, struct failure *failure)
{
    struct listener *listener = &self->list[number];
    const struct smtp_seen *seen = &listener->seen;
    tally_gauge_set(self->tally, gauge_mta_up + number, seen->tried ? seen->up : GAUGE_ABSENT);
    tally_gauge_set(self->tally, gauge_milter_attached + number, seen->attached);
    tally_gauge_set(self->tally, gauge_tls_certificate_expiry_timestamp_seconds + number, seen->expiry_us);
    if (!seen->tried)
        return fail(failure, EX_OSERR, "listener %u cannot be checked: %s", number, seen->why);
    if (listener->is_down == seen->up)
        say_change(self, number);
    listener->is_down = !seen->up;
    return true;
}

static bool run(void *context, struct failure *failure)
{
    struct mta *self = context;
    struct failure none;
    int64_t begun_ms = clock_ms();
    int told = mta_checks_open(self->settings->run_directory, &none);
    bool good = told >= 0 || none.status == EX_NOINPUT; /* no milterscope: nobody could see a check */
    if (!good)
        *failure = none;
    check_all(self, told);
    if (told >= 0)
        close(told);
    for (uint32_t i = 0; i < self->count && !collectors_end; i++) /* a check that was broken off says nothing */
        good = show(self, i, failure) && good;
    look_at_version(self);
    self->took_ms = clock_ms() - begun_ms;
    return good;
}

static int64_t pause_ms(const void *context)
{
    int64_t left_ms = INTERVAL_MS - ((const struct mta *)context)->took_ms;
    return left_ms < PAUSE_LEAST_MS ? PAUSE_LEAST_MS : left_ms;
}

static void *open_mta(const struct settings *settings, const struct tally *tally, struct failure *failure)
{
    struct mta *self = calloc(1, sizeof *self);
    if (self == NULL) {
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    self->settings = settings;
    self->tally = tally;
    self->count = settings->mta_listeners.count;
    for (uint32_t i = 0; i < self->count; i++) {
        struct smtp_check *one = &self->list[i].check;
        *one = (struct smtp_check){
            .port = settings->mta_listeners.list[i].port, .greeting_ms = GREETING_MS, .rest_ms = REST_MS, .place = i};
        memcpy(one->address, settings->mta_listeners.list[i].address.address, sizeof one->address);
    }
    return self;
}

const struct collector collect_mta = {.name = collector_mta,
                                      .deadline_ms = DEADLINE_MS,
                                      .open = open_mta,
                                      .run = run,
                                      .pause_ms = pause_ms,
                                      .close = free};
