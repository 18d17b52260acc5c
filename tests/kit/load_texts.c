/*
 * load_texts.c - the texts that the load generator says (see load_texts.h).
 */
#include "load_texts.h"

const char *const load_headers[][2] = {
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
    {"X-Virus-Status", "Clean"},
    {"X-Mailer", "Sendmail 1.0"},
};
const size_t load_headers_count = sizeof(load_headers) / sizeof(load_headers[0]);

const struct load_refusal load_refusals[] = {
    {"5.1.1", "Recipient address rejected: User unknown in local recipient table"},
    {"5.1.1", "Recipient address rejected: User unknown in virtual mailbox table"},
    {"4.7.1", "Relay access denied"},
    {"5.7.1", "unavailable; Client host [198.51.100.9] blocked using dnsbl.example; listed"},
    {"4.2.0", "Recipient address rejected: Greylisted, try again in 300 seconds"},
    {"4.7.25", "host rejected: cannot find your hostname, [198.51.100.9]"},
};
const size_t load_refusals_count = sizeof(load_refusals) / sizeof(load_refusals[0]);
