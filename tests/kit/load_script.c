/*
 * load_script.c - what one SMTP session of the load generator says to the filter (see load_script.h).
 *
 * The texts are those of Postfix and of ordinary mail: what a filter looks for in them must be there to be found.
 */
#include "load_script.h"

#include <libmilter/mfdef.h>
#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const header_table[][2] = {
    {"Received", "from mail.example.net (mail.example.net [198.51.100.7])\n\tby mx.example.org (Postfix) with ESMTPS "
                 "id 4F2A91C0337\n\tfor <user@example.org>; Mon,  3 Jun 2024 10:20:30 +0200 (CEST)"},
    {"Received",
     "by mail.example.net (Postfix, from userid 1000)\n\tid 7C1D24A0; Mon,  3 Jun 2024 10:20:28 +0200 (CEST)"},
    {"Date", "Mon, 03 Jun 2024 10:20:28 +0200"},
    {"From", "\"A Person\" <person@example.net>"},
    {"To", "user@example.org"},
    {"Subject", "=?utf-8?Q?Figures_of_the_second_quarter_=E2=80=93_draft?="},
    {"Message-ID", "<20240603082028.7C1D24A0@mail.example.net>"},
    {"MIME-Version", "1.0"},
    {"Content-Type", "multipart/alternative; boundary=\"_000_0123456789abcdef_\""},
    {"DKIM-Signature", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=mail;\n\tt=1717402828; "
                       "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\n\th=Date:From:To:Subject; "
                       "b=OJ3x9wq2Vd0yC1mZl7b5sT8uK4hN6pR2aF0gE9iD7cB5vX3zY1wQ8kL6jH4tM2nS"},
    {"Authentication-Results", "mx.example.org; dkim=pass header.d=example.net; spf=pass smtp.mailfrom=example.net"},
    {"X-Spam-Status", "No, score=-2.1 required=5.0 tests=BAYES_00,DKIM_SIGNED,DKIM_VALID,SPF_PASS\n\tautolearn=ham"},
    {"X-Spam-Level", ""},
    {"List-Unsubscribe", "<https://lists.example.net/leave>, <mailto:leave@lists.example.net>"},
    {"User-Agent", "Mozilla Thunderbird"},
    {"References", "<b1946ac92492d2347c6235b4d2611184@example.org>"},
};

/* What Postfix tells of a refused recipient: enhanced code, and text without code and address. */
static const struct {
    const char *code, *text;
} refusals[] = {
    {"5.1.1", "Recipient address rejected: User unknown in local recipient table"},
    {"5.1.1", "Recipient address rejected: User unknown in virtual mailbox table"},
    {"4.7.1", "Relay access denied"},
    {"5.7.1", "unavailable; Client host [198.51.100.9] blocked using dnsbl.example; listed"},
    {"4.2.0", "Recipient address rejected: Greylisted, try again in 300 seconds"},
    {"4.7.25", "host rejected: cannot find your hostname, [198.51.100.9]"},
};

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
    mta_macro(s->m, "j", "mx.example.org");
    mta_macro(s->m, "v", s->mix->mta);
    mta_macro(s->m, "_", both);
    mta_macro(s->m, "daemon_name", "mx.example.org");
    mta_macro(s->m, "daemon_addr", "192.0.2.25");
    mta_macro(s->m, "daemon_port", "25");
    mta_macro(s->m, "client_addr", address);
    mta_macro(s->m, "client_port", port);
    mta_macro(s->m, "client_name", name);
    mta_macro(s->m, "client_ptr", name);
    mta_macro(s->m, "client_resolve", "OK");
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
    mta_macro(s->m, "tls_version", "TLSv1.3");
    mta_macro(s->m, "cipher", "TLS_AES_256_GCM_SHA384");
    mta_macro(s->m, "cipher_bits", "256");
    return say_helo_name(s);
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
    mta_macro(s->m, "i", NULL);
    mta_macro(s->m, "auth_type", s->authenticated ? "PLAIN" : NULL);
    mta_macro(s->m, "auth_authen", s->authenticated ? "user@example.org" : NULL);
    mta_macro(s->m, "mail_addr", address);
    mta_macro(s->m, "mail_host", "example.net");
    mta_macro(s->m, "mail_mailer", "smtp");
    s->recipients = 1 + draw_below(s, s->mix->recipients);
    s->recipient = s->accepted = s->header = 0;
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
    mta_macro(s->m, "i", id);
}

static int say_refused(struct script *s, const char *const *argv)
{
    unsigned why = draw_below(s, COUNT(refusals));
    mta_macro(s->m, "rcpt_mailer", "error");
    mta_macro(s->m, "rcpt_host", refusals[why].code);
    mta_macro(s->m, "rcpt_addr", refusals[why].text);
    s->count->refused++;
    return mta_rcpt_refused(s->m, argv);
}

static int say_rcpt(struct script *s)
{
    char address[64], angled[80];
    if (s->recipient == s->recipients) {
        s->phase = s->accepted > 0 ? SCRIPT_DATA : SCRIPT_RESET;
        s->count->rejected += s->accepted > 0 ? 0 : 1;
        return 0;
    }
    snprintf(address, sizeof(address), "user-%u@example.org", draw_below(s, 500));
    snprintf(angled, sizeof(angled), "<%s>", address);
    const char *const argv[] = {angled, NULL};
    s->recipient++;
    s->count->recipients++;
    s->refusing = draw_share(s, s->mix->refused);
    if (s->refusing)
        return say_refused(s, argv);
    if (s->accepted++ > 0)
        queue_id(s);
    mta_macro(s->m, "rcpt_mailer", "local");
    mta_macro(s->m, "rcpt_host", "mx.example.org");
    mta_macro(s->m, "rcpt_addr", address);
    return mta_rcpt(s->m, argv);
}

static int say_data(struct script *s)
{
    queue_id(s);
    s->phase = s->aborting ? SCRIPT_RESET : SCRIPT_HEADER;
    s->count->lost += s->aborting ? 1 : 0;
    return mta_data(s->m);
}

static int say_header(struct script *s)
{
    if (s->header == s->mix->headers) {
        s->phase = SCRIPT_EOH;
        return 0;
    }
    const char *const *header = header_table[s->header++ % COUNT(header_table)];
    return mta_header(s->m, header[0], header[1]);
}

static int say_eoh(struct script *s)
{
    s->phase = SCRIPT_BODY;
    return mta_eoh(s->m);
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
    return mta_eom(s->m);
}

/* Postfix aborts after every message; libmilter swallows that after an end of message. */
static int say_reset(struct script *s)
{
    s->message++;
    s->phase = SCRIPT_GATE;
    return mta_abort(s->m);
}

static int (*const say[])(struct script *) = {
    [SCRIPT_OFFER] = say_offer,       [SCRIPT_CONNECT] = say_connect, [SCRIPT_HELO] = say_helo,
    [SCRIPT_HELO_TLS] = say_helo_tls, [SCRIPT_MAIL] = say_mail,       [SCRIPT_RCPT] = say_rcpt,
    [SCRIPT_DATA] = say_data,         [SCRIPT_HEADER] = say_header,   [SCRIPT_EOH] = say_eoh,
    [SCRIPT_BODY] = say_body,         [SCRIPT_EOM] = say_eom,         [SCRIPT_RESET] = say_reset,
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
    s->phase = SCRIPT_MAIL;
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
