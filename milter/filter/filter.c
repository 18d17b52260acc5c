/* The milter's callbacks, in SMTP order. Each does memory operations only and continues the mail whatever happens.
 *
 * Libmilter calls them from a pool of threads: callbacks of one session come one after another, but not always on the same
 * thread, so all state lives in the session (smfi_setpriv). */
#include "milter/filter/filter.h"

#include "conf/lib/top.h"
#include "milter/filter/coverage.h"
#include "milter/filter/current.h"
#include "milter/filter/own_check.h"
#include "milter/filter/session.h"
#include "milter/filter/working.h"

#include <libmilter/mfapi.h>

#include <stdio.h>

static const struct tally *tally;
static bool want_bodies, want_users, want_helo;
static _Atomic bool want_listener;
static _Atomic unsigned limit = 1;
static _Atomic unsigned observed;

/* A macro that no MTA has: where no macro is read, none is sent. An empty list would mean the MTA's own. */
#define NO_MACROS "{milterscope_none}"

static const struct {
    int stage;
    const char *macros;
} asked[] = {
    {SMFIM_CONNECT, "v {client_resolve}"},
    {SMFIM_HELO, NO_MACROS},
    {SMFIM_ENVFROM, "{auth_type} {tls_version}"},
    {SMFIM_ENVRCPT, "{rcpt_mailer} {rcpt_host} {rcpt_addr} {nbadrcpts}"}, /* the last: sendmail alone */
    {SMFIM_DATA, "{nbadrcpts}"},
    {SMFIM_EOH, NO_MACROS}, /* sendmail 8.17 mixes these two up: always the same text */
    {SMFIM_EOM, NO_MACROS},
};
/* Instead of the first, where milter.reinjection is set. */
#define WITH_LISTENER "v {client_resolve} {daemon_addr} {daemon_port}"

/* Instead of that of MAIL, where a set of users is kept. */
#define WITH_USER "{auth_type} {tls_version} {auth_authen}"

/* Stands in the place of a session from the negotiation to CONNECT, where the MTA was asked for macros. */
static char macros_asked;

static char *macro(SMFICTX *context, const char *name)
{
    return smfi_getsymval(context, (char *)(uintptr_t)name);
}

static void ask_macros(SMFICTX *context)
{
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        const char *macros = asked[i].macros;
        if (asked[i].stage == SMFIM_CONNECT && atomic_load_explicit(&want_listener, memory_order_relaxed))
            macros = WITH_LISTENER;
        if (asked[i].stage == SMFIM_ENVFROM && want_users)
            macros = WITH_USER;
        smfi_setsymlist(context, asked[i].stage, (char *)(uintptr_t)macros);
    }
}

/* The session of a connection; NULL: there is none. */
static struct session *session_of(SMFICTX *context)
{
    void *session = smfi_getpriv(context);
    return session != &macros_asked ? session : NULL;
}

/* The session of a connection, with the clock of its callback started; NULL: it passes unobserved. */
static struct session *enter(SMFICTX *context)
{
    struct session *session = session_of(context);
    if (session != NULL)
        session_enter(session);
    return session;
}

static void forget(SMFICTX *context, struct session *session)
{
    smfi_setpriv(context, NULL); /* libmilter complains of what is left there */
    if (session == NULL)
        return;
    const struct settings *settings = session_settings(session);
    session_free(session);
    current_release(settings);
    atomic_fetch_sub_explicit(&observed, 1, memory_order_relaxed);
}

/* Asks for the least: no bodies and no HELO unless wanted, no reply to headers and their end; the steps without a callback are left out by
 * libmilter in *steps already. CONNECT, HELO, MAIL, RCPT, DATA and end of message are answered: Postfix would buffer the others until it
 * is too late. Bodies are, too: libmilter gives on_body what comes with the end of message, and would leave that unanswered. */
static sfsistat on_negotiate(SMFICTX *context, unsigned long actions, unsigned long offered, unsigned long f2,
                             unsigned long f3, unsigned long *wanted, unsigned long *steps, unsigned long *p2,
                             unsigned long *p3)
{
    bool is_mta = actions != SMFI_V1_ACTS; /* what libmilter makes of none, which a check of the supervisor offers */
    (void)f2;
    (void)f3;
    *wanted = actions & SMFIF_SETSYMLIST;
    *steps |= SMFIP_NR_HDR | SMFIP_NR_EOH | (offered & SMFIP_RCPT_REJ);
    if (!want_bodies)
        *steps |= offered & SMFIP_NOBODY;
    if (!want_helo && is_mta) /* a check says HELO */
        *steps |= offered & SMFIP_NOHELO;
    *p2 = 0;
    *p3 = 0;
    if (*wanted != 0 && smfi_setpriv(context, &macros_asked) == MI_SUCCESS)
        ask_macros(context);
    if (is_mta)
        coverage_saw_offer(tally, (offered & SMFIP_RCPT_REJ) != 0, *wanted != 0, (*steps & SMFIP_NOUNKNOWN) == 0);
    return SMFIS_CONTINUE;
}

/* A place among the observed sessions, and a session in it; NULL: the session passes unobserved. */
static struct session *admit(SMFICTX *context)
{
    if (atomic_fetch_add_explicit(&observed, 1, memory_order_relaxed) <
        atomic_load_explicit(&limit, memory_order_relaxed)) {
        const struct settings *settings = current_take();
        struct session *session = session_new(settings, tally);
        if (session != NULL && smfi_setpriv(context, session) == MI_SUCCESS)
            return session;
        session_free(session);
        current_release(settings);
    }
    atomic_fetch_sub_explicit(&observed, 1, memory_order_relaxed);
    tally_add(tally, SERIES_0(sessions_unobserved_total), 1);
    return NULL;
}

static sfsistat on_connect(SMFICTX *context, char *host, _SOCK_ADDR *address)
{
    (void)host;
    const struct session *before = session_of(context); /* a second CONNECT: a session of its own */
    bool asked_for = before != NULL ? session_macros_asked(before) : smfi_getpriv(context) == &macros_asked;
    forget(context, enter(context));
    struct own_check check = own_check_find(address);
    if (check.mark != 0) {
        own_check_saw(check, macro(context, "v"));
        working_done();
        return SMFIS_ACCEPT; /* whatever follows in it is not shown to us */
    }
    struct session *session = admit(context);
    if (session == NULL) {
        working_done();
        return SMFIS_ACCEPT;
    }
    const struct session_connection connection = {.macros_asked = asked_for,
                                                  .address = address,
                                                  .mta_version = macro(context, "v"),
                                                  .client_resolve = macro(context, "{client_resolve}"),
                                                  .daemon_address = macro(context, "{daemon_addr}"),
                                                  .daemon_port = macro(context, "{daemon_port}")};
    session_connect(session, &connection);
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_helo(SMFICTX *context, char *name)
{
    struct session *session = want_helo ? enter(context) : NULL;
    if (session == NULL)
        return SMFIS_CONTINUE;
    session_helo(session, name != NULL ? name : "");
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_mail(SMFICTX *context, char **arguments)
{
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_CONTINUE;
    session_mail(session, arguments, macro(context, "{auth_type}"), macro(context, "{tls_version}"));
    if (want_users)
        session_user(session, macro(context, "{auth_authen}"));
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_rcpt(SMFICTX *context, char **arguments)
{
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_CONTINUE;
    session_rcpt(session, arguments != NULL ? arguments[0] : NULL, macro(context, "{rcpt_mailer}"),
                 macro(context, "{rcpt_host}"), macro(context, "{rcpt_addr}"));
    session_refused(session, macro(context, "{nbadrcpts}"));
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_data(SMFICTX *context)
{
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_CONTINUE;
    session_refused(session, macro(context, "{nbadrcpts}"));
    session_data(session);
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *context, char *name, char *value)
{
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_NOREPLY;
    session_header(session, name, value);
    session_leave(session);
    return SMFIS_NOREPLY;
}

/* Nothing happens here, but it must be asked for: libmilter takes an end of message after DATA only if a header or the end of headers
 * came between. Of a message without headers it would ignore the end, and the MTA would wait in vain. */
static sfsistat on_eoh(SMFICTX *context)
{
    (void)context;
    return SMFIS_NOREPLY;
}

static sfsistat on_body(SMFICTX *context, unsigned char *body, size_t bytes)
{
    (void)body;
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_CONTINUE;
    session_body(session, bytes);
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_eom(SMFICTX *context)
{
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_CONTINUE;
    session_eom(session);
    session_leave(session);
    return SMFIS_CONTINUE;
}

/* Sendmail passes whole lines here, which may be content: it is not looked at. Answered, since probes say such things last, and Postfix
 * would send what needs no answer when it closes the connection, where it is lost. */
static sfsistat on_unknown(SMFICTX *context, const char *command)
{
    (void)command;
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_CONTINUE;
    session_unknown(session);
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_abort(SMFICTX *context)
{
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_CONTINUE;
    session_abort(session);
    session_leave(session);
    return SMFIS_CONTINUE;
}

/* May come without connect (a check, a refused client) and, by the book, more than once. */
static sfsistat on_close(SMFICTX *context)
{
    forget(context, enter(context));
    return SMFIS_CONTINUE;
}

static struct smfiDesc description = {
    .xxfi_name = (char[]){"milterscope"},
    .xxfi_version = SMFI_VERSION,
    .xxfi_flags = 0,
    .xxfi_negotiate = on_negotiate,
    .xxfi_connect = on_connect,
    .xxfi_helo = on_helo,
    .xxfi_envfrom = on_mail,
    .xxfi_envrcpt = on_rcpt,
    .xxfi_data = on_data,
    .xxfi_header = on_header,
    .xxfi_eoh = on_eoh,
    .xxfi_body = on_body, /* asked for only with milter.body */
    .xxfi_eom = on_eom,
    .xxfi_abort = on_abort,
    .xxfi_close = on_close,
    .xxfi_unknown = on_unknown,
};

bool filter_open(int listener, const struct settings *settings, const struct tally *tally_in_use,
                 struct failure *failure)
{
    char connection[16];
    tally = tally_in_use;
    want_bodies = settings->milter_body != 0;
    want_users = top_has(settings->top_sets, top_user);
    want_helo = top_has(settings->top_sets, top_helo);
    snprintf(connection, sizeof connection, "fd:%d", listener);
    smfi_setmaxdatasize(1 << 20); /* sendmail may send headers longer than the 64 kB that libmilter takes by itself */
    if (smfi_register(description) != MI_SUCCESS)
        return fail(failure, EX_SOFTWARE, "libmilter refuses the callbacks: built against another version of it");
    if (smfi_setconn(connection) != MI_SUCCESS || smfi_opensocket(0) != MI_SUCCESS)
        return fail(failure, EX_UNAVAILABLE, "libmilter does not take the listening socket in descriptor %d", listener);
    return true;
}

int filter_run(void)
{
    return smfi_main() == MI_SUCCESS ? EX_OK : EX_SOFTWARE;
}

void filter_configure(const struct settings *settings)
{
    atomic_store_explicit(&want_listener, settings->milter_reinjection.count > 0, memory_order_relaxed);
    coverage_configured(tally, settings);
}

void filter_limit(unsigned sessions)
{
    atomic_store_explicit(&limit, sessions, memory_order_relaxed);
}

unsigned filter_sessions(void)
{
    return atomic_load_explicit(&observed, memory_order_relaxed);
}
