/* The milter's callbacks, in SMTP order. Each does memory operations only and continues the mail whatever happens.
 *
 * Libmilter calls them from a pool of threads: callbacks of one session come one after another, but not always on the same
 * thread, so all state lives in the session (smfi_setpriv). */
#include "milter/filter/filter.h"

#include "conf/lib/top.h"
#include "milter/filter/coverage.h"
#include "milter/filter/current.h"
#include "milter/filter/session.h"

#include <libmilter/mfapi.h>

#include <stdio.h>

static const struct tally *tally;
static bool want_bodies, want_users;
static _Atomic unsigned limit = 1;
static _Atomic unsigned observed;

/* A macro that no MTA has: where no macro is read, none is sent. An empty list would mean the MTA's own. */
#define NO_MACROS "{milterscope_none}"

static const struct {
    int stage;
    const char *macros;
} asked[] = {
    {SMFIM_CONNECT, "v"},           {SMFIM_HELO, NO_MACROS},
    {SMFIM_ENVFROM, "{auth_type}"}, {SMFIM_ENVRCPT, "{rcpt_mailer} {rcpt_host} {rcpt_addr}"},
    {SMFIM_DATA, NO_MACROS},        {SMFIM_EOH, NO_MACROS}, /* sendmail 8.17 mixes these two up: always the same text */
    {SMFIM_EOM, NO_MACROS},
};

/* The name of a user only where a set of users is kept. */
static const char *macros_of(size_t i)
{
    return want_users && asked[i].stage == SMFIM_ENVFROM ? "{auth_type} {auth_authen}" : asked[i].macros;
}

static char *macro(SMFICTX *context, const char *name)
{
    return smfi_getsymval(context, (char *)(uintptr_t)name);
}

/* The session of a connection, with the clock of its callback started; NULL: it passes unobserved. */
static struct session *enter(SMFICTX *context)
{
    struct session *session = smfi_getpriv(context);
    if (session != NULL)
        session_enter(session);
    return session;
}

static void forget(SMFICTX *context, struct session *session)
{
    if (session == NULL)
        return;
    const struct settings *settings = session_settings(session);
    smfi_setpriv(context, NULL);
    session_free(session);
    current_release(settings);
    atomic_fetch_sub_explicit(&observed, 1, memory_order_relaxed);
}

/* Asks for the least: no bodies unless wanted, no reply to headers; the steps without a callback are left out by libmilter in *steps
 * already. CONNECT, HELO, MAIL, RCPT, DATA and end of message are answered: Postfix would buffer the others until it is too late. */
static sfsistat on_negotiate(SMFICTX *context, unsigned long actions, unsigned long offered, unsigned long f2,
                             unsigned long f3, unsigned long *wanted, unsigned long *steps, unsigned long *p2,
                             unsigned long *p3)
{
    (void)f2;
    (void)f3;
    *wanted = actions & SMFIF_SETSYMLIST;
    *steps |= SMFIP_NR_HDR | SMFIP_NR_BODY | (offered & SMFIP_RCPT_REJ);
    if (!want_bodies)
        *steps |= offered & SMFIP_NOBODY;
    *p2 = 0;
    *p3 = 0;
    for (size_t i = 0; *wanted != 0 && i < sizeof asked / sizeof asked[0]; i++)
        smfi_setsymlist(context, asked[i].stage, (char *)(uintptr_t)macros_of(i));
    if (actions != 0) /* a check of the supervisor offers none */
        coverage_saw_offer((offered & SMFIP_RCPT_REJ) != 0);
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
    forget(context, enter(context)); /* a second CONNECT, after XCLIENT: a session of its own */
    struct session *session = admit(context);
    if (session == NULL)
        return SMFIS_ACCEPT;
    session_connect(session, address, macro(context, "v"));
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_helo(SMFICTX *context, char *name)
{
    struct session *session = enter(context);
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
    session_mail(session, arguments, macro(context, "{auth_type}"));
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
    session_leave(session);
    return SMFIS_CONTINUE;
}

static sfsistat on_data(SMFICTX *context)
{
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_CONTINUE;
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

static sfsistat on_body(SMFICTX *context, unsigned char *body, size_t bytes)
{
    (void)body;
    struct session *session = enter(context);
    if (session == NULL)
        return SMFIS_NOREPLY;
    session_body(session, bytes);
    session_leave(session);
    return SMFIS_NOREPLY;
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
    .xxfi_eoh = NULL,     /* nothing happens there that end of message does not tell */
    .xxfi_body = on_body, /* asked for only with milter.body */
    .xxfi_eom = on_eom,
    .xxfi_abort = on_abort,
    .xxfi_close = on_close,
    .xxfi_unknown = NULL, /* sendmail passes whole lines there, which may be content */
};

bool filter_open(int listener, const struct settings *settings, const struct tally *tally_in_use,
                 struct failure *failure)
{
    char connection[16];
    tally = tally_in_use;
    want_bodies = settings->milter_body != 0;
    want_users = top_has(settings->top_sets, top_user);
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

void filter_limit(unsigned sessions)
{
    atomic_store_explicit(&limit, sessions, memory_order_relaxed);
}

unsigned filter_sessions(void)
{
    return atomic_load_explicit(&observed, memory_order_relaxed);
}
