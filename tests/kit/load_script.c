/*
 * load_script.c - what one SMTP session of the load generator says to the filter (see load_script.h).
 *
 * The macros are those of Postfix.
 */
#include "load_script.h"

#include "load_texts.h"

#include <libmilter/mfdef.h>
#include <stdio.h>
#include <string.h>

static void set_macro(struct script *s, const char *name, const char *value)
{
    bool braces = name[1] != '\0';
    if (!load_leaves_out(s->mix, braces ? "{" : "", name, braces ? "}" : ""))
        mta_macro(s->m, name, value);
}

/* splitmix64: each state gives one well mixed number. */
static uint64_t draw(struct script *s)
{
    s->random += 0x9e3779b97f4a7c15U;
    uint64_t z = s->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static unsigned draw_below(struct script *s, unsigned limit)
{
    return limit == 0 ? 0 : (unsigned)(draw(s) % limit);
}

static bool draw_share(struct script *s, double share)
{
    return (double)(draw(s) >> 11) * 0x1p-53 < share;
}

void script_begin(struct script *s, struct mta *m, uint64_t number, const struct load_mix *mix,
                  struct load_count *count)
{
    *s = (struct script){.m = m, .mix = mix, .count = count, .number = number};
    s->random = mix->seed * 0x2545f4914f6cdd1dU + number;
    if (mix->flood > 0 && draw_share(s, mix->steady))
        s->heavy = 1;
    while (s->heavy > 0 && s->heavy < STEADY && draw_share(s, 0.5))
        s->heavy++;
    s->tls = draw_share(s, mix->tls);
    s->authenticated = draw_share(s, mix->authenticated);
}

static int say_connect(struct script *s)
{
    unsigned client = draw_below(s, s->mix->clients);
    char address[32], name[64], port[8], both[128];
    /* 198.18.0.0/15 is set aside for measurements */
    snprintf(address, sizeof(address), "198.%u.%u.%u", 18 + (client >> 16 & 1), client >> 8 & 255, client & 255);
    snprintf(name, sizeof(name), "host-%u.example.net", client);
    if (s->mix->flood > 0) {
        client = (unsigned)(s->number % s->mix->flood);
        snprintf(address, sizeof(address), "%u.%u.%u.%u", 10 + (client >> 24), client >> 16 & 255, client >> 8 & 255,
                 client & 255);
    }
    if (s->heavy > 0)
        snprintf(address, sizeof(address), "192.0.2.%u", s->heavy);
    snprintf(both, sizeof(both), "%s [%s]", name, address);
    uint16_t number = (uint16_t)(1024 + draw_below(s, 60000));
    snprintf(port, sizeof(port), "%u", number);
    set_macro(s, "j", "mx.example.org");
    set_macro(s, "v", s->mix->mta);
    set_macro(s, "_", both);
    set_macro(s, "daemon_name", "mx.example.org");
    set_macro(s, "daemon_addr", "192.0.2.25");
    set_macro(s, "daemon_port", "25");
    set_macro(s, "client_addr", address);
    set_macro(s, "client_port", port);
    set_macro(s, "client_name", name);
    set_macro(s, "client_ptr", name);
    set_macro(s, "client_resolve", "OK");
    s->phase = SCRIPT_HELO;
    return mta_connect(s->m, name, SMFIA_INET, number, address);
}

static int say_offer(struct script *s)
{
    s->phase = SCRIPT_CONNECT;
    return mta_offer(s->m, MTA_VERSION, MTA_ACTIONS, MTA_PROTOCOL);
}

/* The same each time in a session. */
static int say_helo_name(struct script *s)
{
    char name[64] = "client.example.net";
    if (load_leaves_out(s->mix, "", "helo", ""))
        return 0;
    if (s->heavy > 0)
        snprintf(name, sizeof(name), "steady-%u.example", s->heavy);
    else if (s->mix->flood > 0)
        snprintf(name, sizeof(name), "helo-%u.example.net", (unsigned)(s->number % s->mix->flood));
    return mta_helo(s->m, name);
}

static int say_helo(struct script *s)
{
    s->phase = SCRIPT_HELO_TLS;
    return say_helo_name(s);
}

static int say_helo_tls(struct script *s)
{
    s->phase = SCRIPT_GATE;
    if (!s->tls)
        return 0;
    set_macro(s, "tls_version", "TLSv1.3");
    set_macro(s, "cipher", "TLS_AES_256_GCM_SHA384");
    set_macro(s, "cipher_bits", "256");
    return say_helo_name(s);
}

static int say_unknown(struct script *s)
{
    s->phase = SCRIPT_TRANSACTION;
    return (s->mix->more & MORE_UNKNOWN) != 0 ? mta_unknown(s->m, "XYZZY") : 0;
}

static int say_transaction(struct script *s)
{
    bool wanted = (s->mix->more & MORE_TRANSACTION) != 0;
    s->phase = wanted ? SCRIPT_TAKE_BACK : SCRIPT_MAIL;
    return wanted ? mta_mail(s->m, (const char *const[]){"<sender-1@example-1.net>", "SIZE=4711", NULL}) : 0;
}

static int say_take_back(struct script *s)
{
    s->phase = SCRIPT_MAIL;
    return mta_abort(s->m);
}

static int say_mail(struct script *s)
{
    char address[64], angled[80];
    snprintf(address, sizeof(address), "sender-%u@example-%u.net", draw_below(s, 1000), draw_below(s, 50));
    if (s->heavy > 0)
        snprintf(address, sizeof(address), "sender@mail.heavy-%u.example", s->heavy);
    else if (s->mix->flood > 0)
        snprintf(address, sizeof(address), "sender@flood-%u.example", (unsigned)(s->number % s->mix->flood));
    snprintf(angled, sizeof(angled), "<%s>", address);
    set_macro(s, "i", NULL);
    set_macro(s, "auth_type", s->authenticated ? "PLAIN" : NULL);
    set_macro(s, "auth_authen", s->authenticated ? "user@example.org" : NULL);
    set_macro(s, "mail_addr", address);
    set_macro(s, "mail_host", "example.net");
    set_macro(s, "mail_mailer", "smtp");
    s->recipients = 1 + draw_below(s, s->mix->recipients);
    s->recipient = s->accepted = s->header = 0;
    s->more = s->mix->more & (MORE_RECIPIENT | MORE_REFUSED);
    s->aborting = draw_share(s, s->mix->aborted);
    s->count->messages++;
    if (s->heavy > 0)
        s->count->steady[s->heavy - 1]++;
    s->phase = SCRIPT_RCPT;
    return mta_mail(s->m, (const char *const[]){angled, "SIZE=4711", NULL});
}

/* Postfix opens the queue file after the first good recipient: from the second on there is a queue id. */
static void queue_id(struct script *s)
{
    char id[32];
    snprintf(id, sizeof(id), "4%06X%04X", (unsigned)(s->number & 0xffffff), s->message & 0xffff);
    set_macro(s, "i", id);
}

static int say_refused(struct script *s, const char *const *argv)
{
    unsigned why = draw_below(s, (unsigned)load_refusals_count);
    set_macro(s, "rcpt_mailer", "error");
    set_macro(s, "rcpt_host", load_refusals[why].code);
    set_macro(s, "rcpt_addr", load_refusals[why].text);
    s->count->refused++;
    return mta_rcpt_refused(s->m, argv);
}

static int say_accepted(struct script *s, const char *address, const char *const *argv)
{
    if (s->accepted++ > 0)
        queue_id(s);
    set_macro(s, "rcpt_mailer", "local");
    set_macro(s, "rcpt_host", "mx.example.org");
    set_macro(s, "rcpt_addr", address);
    return mta_rcpt(s->m, argv);
}

/* A recipient who was drawn, or one of those that are said in addition. */
static int say_recipient(struct script *s, bool drawn)
{
    char address[64], angled[80];
    snprintf(address, sizeof(address), "user-%u@example.org", draw_below(s, 500));
    snprintf(angled, sizeof(angled), "<%s>", address);
    const char *const argv[] = {angled, NULL};
    s->count->recipients++;
    s->refusing = drawn ? draw_share(s, s->mix->refused) : (s->more & MORE_REFUSED) != 0;
    s->recipient += drawn ? 1 : 0;
    s->more &= drawn ? s->more : s->refusing ? ~(unsigned)MORE_REFUSED : ~(unsigned)MORE_RECIPIENT;
    return s->refusing ? say_refused(s, argv) : say_accepted(s, address, argv);
}

static int say_rcpt(struct script *s)
{
    if (s->recipient < s->recipients)
        return say_recipient(s, true);
    if (s->accepted > 0 && s->more != 0) {
        uint64_t random = s->random;
        int due = say_recipient(s, false);
        s->random = random;
        return due;
    }
    s->phase = s->accepted > 0 ? SCRIPT_DATA : SCRIPT_RESET;
    s->count->rejected += s->accepted > 0 ? 0 : 1;
    return 0;
}

static int say_data(struct script *s)
{
    queue_id(s);
    s->phase = s->aborting ? SCRIPT_RESET : SCRIPT_HEADER;
    s->count->lost += s->aborting ? 1 : 0;
    return load_leaves_out(s->mix, "", "data", "") ? 0 : mta_data(s->m);
}

static int say_header(struct script *s)
{
    if (s->header == s->mix->headers) {
        s->phase = SCRIPT_EOH;
        return 0;
    }
    const char *const *header = load_headers[s->header++ % load_headers_count];
    if (load_leaves_out(s->mix, "", "headers", "") || load_leaves_out(s->mix, "", header[0], ":"))
        return 0;
    return mta_header(s->m, header[0], header[1]);
}

static int say_eoh(struct script *s)
{
    s->phase = SCRIPT_BODY;
    return load_leaves_out(s->mix, "", "eoh", "") ? 0 : mta_eoh(s->m);
}

static int say_body(struct script *s)
{
    static const char line[] =
        "The quick brown fox jumps over the lazy dog, and the lazy dog lets it do so, again.\r\n";
    char chunk[MILTER_CHUNK_SIZE];
    size_t size = s->mix->body < sizeof(chunk) ? s->mix->body : sizeof(chunk);
    s->phase = SCRIPT_EOM;
    if (size == 0 || (mta_wants(s->m)->protocol & SMFIP_NOBODY) != 0)
        return 0;
    for (size_t i = 0; i < size; i++)
        chunk[i] = line[i % (sizeof(line) - 1)];
    return mta_body(s->m, chunk, size);
}

static int say_eom(struct script *s)
{
    s->phase = SCRIPT_RESET;
    if (!load_leaves_out(s->mix, "", "eom", ""))
        return mta_eom(s->m);
    s->count->lost++;
    return 0;
}

/* Postfix aborts after every message; libmilter swallows that after an end of message. */
static int say_reset(struct script *s)
{
    s->message++;
    s->phase = SCRIPT_GATE;
    return load_leaves_out(s->mix, "", "abort", "") ? 0 : mta_abort(s->m);
}

static int (*const say[])(struct script *) = {
    [SCRIPT_OFFER] = say_offer,         [SCRIPT_CONNECT] = say_connect, [SCRIPT_HELO] = say_helo,
    [SCRIPT_HELO_TLS] = say_helo_tls,   [SCRIPT_UNKNOWN] = say_unknown, [SCRIPT_TRANSACTION] = say_transaction,
    [SCRIPT_TAKE_BACK] = say_take_back, [SCRIPT_MAIL] = say_mail,       [SCRIPT_RCPT] = say_rcpt,
    [SCRIPT_DATA] = say_data,           [SCRIPT_HEADER] = say_header,   [SCRIPT_EOH] = say_eoh,
    [SCRIPT_BODY] = say_body,           [SCRIPT_EOM] = say_eom,         [SCRIPT_RESET] = say_reset,
};

int script_say(struct script *s)
{
    int due = 0;
    while (due == 0 && s->phase != SCRIPT_GATE && s->phase != SCRIPT_END) {
        s->said = s->phase;
        due = say[s->phase](s);
    }
    if (due == 1 && mta_flush(s->m) != 0)
        return -1;
    return due;
}

void script_pass(struct script *s)
{
    s->phase = SCRIPT_UNKNOWN;
}

void script_quit(struct script *s)
{
    s->phase = SCRIPT_END;
    mta_quit(s->m);
}

void script_hear(struct script *s, char code)
{
    if (code == SMFIR_CONTINUE && s->said == SCRIPT_EOM)
        s->count->passed++;
    /* What a filter says to a recipient that the MTA refused anyway changes nothing. */
    if (code == SMFIR_CONTINUE || code == SMFIC_OPTNEG || (s->said == SCRIPT_RCPT && s->refusing))
        return;
    s->count->stopped++;
    if (s->said < SCRIPT_GATE)
        script_quit(s);
    else if (s->said == SCRIPT_RCPT)
        s->accepted--;
    else
        s->phase = SCRIPT_RESET;
}
