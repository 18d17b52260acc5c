/*
 * bare.c - the limit that the filter is measured against: a milter that observes nothing.
 *
 * It negotiates the steps and macro lists of milter/filter, answers where the filter answers, and keeps a private
 * structure for each session, as any filter must. What the filter costs beyond this is its own doing; what this
 * costs is libmilter's and the MTA's.
 *
 *     bare-milter unix:/path/of/socket [helo]        (or inet:port@host), until SIGTERM
 *
 * helo: it asks for HELO, too, as the filter does where names given there are kept.
 */
#include <libmilter/mfapi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { DATA_MAX = 1 << 20, PRIVATE_SIZE = 1024 };

/* A macro that no MTA has: where the filter reads none. */
#define NO_MACROS "{milterscope_none}"

static const struct {
    int stage;
    const char *names;
} macro_lists[] = {
    {SMFIM_CONNECT, "v {client_resolve}"},
    {SMFIM_HELO, NO_MACROS},
    {SMFIM_ENVFROM, "{auth_type} {tls_version}"},
    {SMFIM_ENVRCPT, "{rcpt_mailer} {rcpt_host} {rcpt_addr} {nbadrcpts}"},
    {SMFIM_DATA, "{nbadrcpts}"},
    {SMFIM_EOH, NO_MACROS},
    {SMFIM_EOM, NO_MACROS},
};

static bool want_helo;

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
                             unsigned long *pf0, unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
    (void)f2, (void)f3;
    *pf0 = f0 & SMFIF_SETSYMLIST;
    *pf1 |= SMFIP_NR_HDR | SMFIP_NR_EOH | (f1 & (SMFIP_RCPT_REJ | SMFIP_NOBODY)) | (want_helo ? 0 : f1 & SMFIP_NOHELO);
    *pf2 = *pf3 = 0;
    for (size_t i = 0; *pf0 != 0 && i < sizeof(macro_lists) / sizeof(macro_lists[0]); i++)
        smfi_setsymlist(ctx, macro_lists[i].stage, (char *)(uintptr_t)macro_lists[i].names);
    return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
    (void)host, (void)address;
    smfi_setpriv(ctx, calloc(1, PRIVATE_SIZE));
    return SMFIS_CONTINUE;
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
    (void)ctx, (void)name;
    return SMFIS_CONTINUE;
}

static sfsistat on_envelope(SMFICTX *ctx, char **argv)
{
    (void)ctx, (void)argv;
    return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    (void)ctx, (void)name, (void)value;
    return SMFIS_NOREPLY;
}

static sfsistat on_eoh(SMFICTX *ctx)
{
    (void)ctx;
    return SMFIS_NOREPLY;
}

static sfsistat on_unknown(SMFICTX *ctx, const char *command)
{
    (void)ctx, (void)command;
    return SMFIS_CONTINUE;
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *body, size_t size)
{
    (void)ctx, (void)body, (void)size;
    return SMFIS_CONTINUE;
}

static sfsistat on_event(SMFICTX *ctx)
{
    (void)ctx;
    return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
    free(smfi_getpriv(ctx));
    smfi_setpriv(ctx, NULL);
    return SMFIS_CONTINUE;
}

int main(int argc, char **argv)
{
    static char name[] = "bare-milter";
    struct smfiDesc description = {
        .xxfi_name = name,
        .xxfi_version = SMFI_VERSION,
        .xxfi_connect = on_connect,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_envelope,
        .xxfi_envrcpt = on_envelope,
        .xxfi_header = on_header,
        .xxfi_eoh = on_eoh,
        .xxfi_body = on_body,
        .xxfi_eom = on_event,
        .xxfi_abort = on_event,
        .xxfi_close = on_close,
        .xxfi_unknown = on_unknown,
        .xxfi_data = on_event,
        .xxfi_negotiate = on_negotiate,
    };
    want_helo = argc == 3 && strcmp(argv[2], "helo") == 0;
    if (argc != 2 && !want_helo) {
        fprintf(stderr, "usage: %s unix:PATH | inet:PORT@HOST [helo]\n", argv[0]);
        return EX_USAGE;
    }
    umask(0); /* the MTA of a test runs under an account of its own */
    smfi_setmaxdatasize(DATA_MAX);
    if (smfi_register(description) != MI_SUCCESS || smfi_setconn(argv[1]) != MI_SUCCESS ||
        smfi_opensocket(true) != MI_SUCCESS) {
        fprintf(stderr, "%s: cannot listen on %s\n", argv[0], argv[1]);
        return EX_UNAVAILABLE;
    }
    return smfi_main() == MI_SUCCESS ? EX_OK : EX_SOFTWARE;
}
