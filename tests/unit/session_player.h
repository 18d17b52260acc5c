/* Plays scripts of milter events into milter/filter/session.c, on a clock of its own, and compares every total that they moved.
 *
 * A script is events, separated by '|': connect ADDRESS [VERSION], where ADDRESS is a.b.c.d,port, [v6],port, unix or none; resolve WORD
 * and listener ADDRESS (of the next connect; the port is 10025); auth MECHANISM (of the next MAIL); tls VERSION (from now on); unknown; mail ARGUMENT …; mail! (without arguments); to PATH (of recipients from now on; none: NULL); rcpt; refuse CODE TEXT; refuse! TEXT; refused NUMBER (in all, as sendmail says); data; header NAME: VALUE; body BYTES; eom;
 * abort; close; wait MICROSECONDS (between callbacks); work NANOSECONDS (in each callback from now on). */
#ifndef TESTS_UNIT_SESSION_PLAYER_H
#define TESTS_UNIT_SESSION_PLAYER_H

#include "tests/unit/tally_form.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/un.h>
#include <time.h>

static int64_t player_ns = 1000000000; /* the time of all clocks */
static int64_t player_work_ns;

static inline int player_clock(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){player_ns / 1000000000, player_ns % 1000000000};
    return 0;
}

#define clock_gettime(clock, now) player_clock(clock, now)
#include "milter/filter/session.c"
#undef clock_gettime

#include <cmocka.h> /* last: its fail is not ours */

struct player {
    struct settings settings;
    struct tally tally;
    struct session *session;
    bool macros_asked;
    char auth[64], tls[64], resolve[64], listener[64], to[512];
};

static inline void player_connect(struct player *player, char *arguments)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNIX};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&storage;
    char *version = strchr(arguments, ' ');
    if (version != NULL)
        *version++ = '\0';
    char *port = strchr(arguments, ',');
    if (port != NULL)
        *port++ = '\0';
    bool is_none = strcmp(arguments, "none") == 0;
    if (port != NULL && inet_pton(AF_INET, arguments, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((in_port_t)atoi(port));
    } else if (port != NULL && inet_pton(AF_INET6, arguments, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((in_port_t)atoi(port));
    } else {
        assert_true(is_none || strcmp(arguments, "unix") == 0);
    }
    const struct session_connection connection = {.macros_asked = player->macros_asked,
                                                  .address = is_none ? NULL : (const struct sockaddr *)&storage,
                                                  .mta_version = version,
                                                  .client_resolve = player->resolve[0] == '\0' ? NULL : player->resolve,
                                                  .daemon_address =
                                                      player->listener[0] == '\0' ? NULL : player->listener,
                                                  .daemon_port = "10025"};
    session_connect(player->session, &connection);
}

static inline void player_mail(struct player *player, char *words)
{
    char *arguments[16] = {NULL};
    size_t count = 0;
    for (char *word = words; word != NULL && count < 15; word = words)
        arguments[count++] = strsep(&words, " ");
    session_mail(player->session, arguments, player->auth[0] == '\0' ? NULL : player->auth,
                 player->tls[0] == '\0' ? NULL : player->tls);
    player->auth[0] = '\0';
}

/* One callback: `rest` is what follows the name of the event. */
static inline bool player_callback(struct player *player, const char *name, char *rest)
{
    struct session *session = player->session;
    char *second = strchr(rest, ' ');
    const char *path = strcmp(player->to, "none") == 0 ? NULL : player->to;
    if (strcmp(name, "connect") == 0) {
        player_connect(player, rest);
    } else if (strcmp(name, "mail") == 0) {
        player_mail(player, rest);
    } else if (strcmp(name, "mail!") == 0) {
        session_mail(session, NULL, NULL, NULL);
    } else if (strcmp(name, "rcpt") == 0) {
        session_rcpt(session, path, *rest == '\0' ? NULL : rest, NULL, NULL);
    } else if (strcmp(name, "refuse") == 0) {
        *second = '\0';
        session_rcpt(session, path, "error", rest, second + 1);
    } else if (strcmp(name, "refuse!") == 0) {
        session_rcpt(session, path, "error", NULL, rest);
    } else if (strcmp(name, "refused") == 0) {
        session_refused(session, rest);
    } else if (strcmp(name, "data") == 0) {
        session_data(session);
    } else if (strcmp(name, "header") == 0) {
        second[-1] = '\0';
        session_header(session, rest, second + 1);
    } else if (strcmp(name, "body") == 0) {
        session_body(session, (size_t)atol(rest));
    } else if (strcmp(name, "unknown") == 0) {
        session_unknown(session);
    } else if (strcmp(name, "eom") == 0) {
        session_eom(session);
    } else if (strcmp(name, "abort") == 0) {
        session_abort(session);
    } else {
        return false;
    }
    return true;
}

static inline void player_event(struct player *player, char *event)
{
    char *rest = strchr(event, ' ');
    if (rest != NULL)
        *rest++ = '\0';
    else
        rest = event + strlen(event);
    if (strcmp(event, "wait") == 0) {
        player_ns += atol(rest) * 1000;
    } else if (strcmp(event, "work") == 0) {
        player_work_ns = atol(rest);
    } else if (strcmp(event, "auth") == 0) {
        snprintf(player->auth, sizeof player->auth, "%s", rest);
    } else if (strcmp(event, "tls") == 0) {
        snprintf(player->tls, sizeof player->tls, "%s", rest);
    } else if (strcmp(event, "to") == 0) {
        snprintf(player->to, sizeof player->to, "%s", rest);
    } else if (strcmp(event, "resolve") == 0) {
        snprintf(player->resolve, sizeof player->resolve, "%s", rest);
    } else if (strcmp(event, "listener") == 0) {
        snprintf(player->listener, sizeof player->listener, "%s", rest);
    } else if (strcmp(event, "close") == 0) {
        if (player->session != NULL)
            session_enter(player->session);
        player_ns += player_work_ns;
        session_free(player->session);
        player->session = NULL;
    } else {
        if (player->session == NULL) /* entered already */
            player->session = session_new(&player->settings, &player->tally);
        else
            session_enter(player->session);
        if (!player_callback(player, event, rest))
            fail_msg("no event is named %s", event);
        player_ns += player_work_ns;
        session_leave(player->session);
    }
}

static inline void player_play(struct player *player, const char *script)
{
    char *copy = strdup(script), *rest = copy;
    for (char *event = strsep(&rest, "|"); event != NULL; event = strsep(&rest, "|"))
        player_event(player, event);
    free(copy);
}

static inline void player_begin(struct player *player)
{
    *player = (struct player){.to = "<user@example.org>"};
    player_work_ns = 0;
    assert_null(network_parse("10.0.0.0/8", &player->settings.trusted_networks.list[0]));
    assert_null(network_parse("2001:db8::/32", &player->settings.trusted_networks.list[1]));
    player->settings.trusted_networks.count = 2;
    form_fresh(&player->tally);
    tally_gauge_set(&player->tally, gauge_sessions_active, 0);
}

static inline void player_end(struct player *player)
{
    player_play(player, "close");
    assert_int_equal(atomic_load(&player->tally.self->gauges[gauge_sessions_active]), 0);
    form_free(&player->tally);
}

/* Compares all totals with `expected`, lines such as "messages_total{source='local',verdict='passed'} 1", to be summed where a series
 * comes twice; those that are not named are 0. */
static inline void player_expect(const struct player *player, const char *title, const char *expected)
{
    uint64_t totals[total_COUNT] = {0};
    char *copy = strdup(expected), *rest = copy;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        char text[SERIES_TEXT_MAX];
        char *value = strchr(line, ' ');
        if (value == NULL)
            continue;
        int length = snprintf(text, sizeof text, "milterscope_%.*s", (int)(value - line), line);
        for (char *c = text; *c != '\0'; c++)
            *c = *c == '\'' ? '"' : *c;
        int total = catalogue_find_total(text, (size_t)length);
        if (total < 0)
            fail_msg("%s: no series is named %s", title, text);
        totals[total] += (uint64_t)strtoull(value, NULL, 10);
    }
    free(copy);
    for (unsigned i = 0; i < total_COUNT; i++) {
        char text[SERIES_TEXT_MAX];
        uint64_t counted = atomic_load(&player->tally.totals[i]);
        catalogue_total_text(i, text);
        if (counted != totals[i])
            fail_msg("%s: %s is %llu, expected %llu", title, text, (unsigned long long)counted,
                     (unsigned long long)totals[i]);
    }
}

#endif
