/* What `auto` stands for on this host, and options that need each other. */
#include "conf/lib/options.h"
#include "conf/lib/options_types.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

/* The MTAs that can be attached: how to see that one is installed, where it reaches a socket, and which of its groups may open it. */
static const struct {
    enum mta_kind kind;
    const char *installed;
    const char *socket;
    const char *groups[3];
} mtas[] = {
    {mta_kind_postfix, "/etc/postfix/main.cf", "unix:/var/spool/postfix/milterscope/milter.sock", {"postfix"}},
    {mta_kind_sendmail, "/etc/mail/sendmail.cf", "unix:/run/milterscope/milter.sock", {"smmta", "smmsp"}},
    {mta_kind_exim, "/etc/exim4", "unix:/run/milterscope/milter.sock", {NULL}},
};
enum { MTAS = sizeof mtas / sizeof mtas[0] };

/* The row of the MTA that is configured, or else installed; -1: none. */
static int find_mta(int64_t kind)
{
    for (int i = 0; i < MTAS; i++) {
        if (kind == mta_kind_auto ? access(mtas[i].installed, F_OK) == 0 : kind == (int64_t)mtas[i].kind)
            return i;
    }
    return -1;
}

enum mta_kind options_installed_mta(void)
{
    int mta = find_mta(mta_kind_auto);
    return mta < 0 ? mta_kind_auto : mtas[mta].kind;
}

static bool resolve_instance(struct settings *settings, struct failure *failure)
{
    static const struct option option = {.bytes = sizeof settings->instance};
    char host[256];
    if (strcmp(settings->instance, "auto") != 0)
        return true;
    if (gethostname(host, sizeof host) != 0)
        return fail(failure, EX_CONFIG, "instance: the host has no name (%s); set instance", strerror(errno));
    host[sizeof host - 1] = '\0';
    if (option_name.read(&option, host, settings->instance) != NULL)
        return fail(failure, EX_CONFIG, "instance: the host name \"%s\" cannot be used; set instance to %s", host,
                    option_name.expected);
    return true;
}

bool option_resolve(struct settings *settings, struct failure *failure)
{
    if (settings->spam_scanner == scanner_reinjection && settings->milter_reinjection.count == 0)
        return fail(failure, EX_CONFIG,
                    "spam.scanner: reinjection needs milter.reinjection: where the scanner hands mail back");
    int mta = find_mta(settings->mta_kind);
    if (strcmp(settings->milter_socket, "auto") == 0)
        strcpy(settings->milter_socket, mta < 0 ? "unix:/run/milterscope/milter.sock" : mtas[mta].socket);
    if (strcmp(settings->milter_socket_group, "auto") == 0) {
        memset(settings->milter_socket_group, 0, sizeof settings->milter_socket_group);
        for (int i = 0; mta >= 0 && mtas[mta].groups[i] != NULL && settings->milter_socket_group[0] == '\0'; i++) {
            if (getgrnam(mtas[mta].groups[i]) != NULL)
                strcpy(settings->milter_socket_group, mtas[mta].groups[i]);
        }
    }
    return resolve_instance(settings, failure);
}
