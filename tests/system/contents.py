"""What scanners, authentication and hops leave in the header of a message, and what the filter is to see of it."""

from dataclasses import replace

from truth import Seen

# What stands in the header, and what it is to be counted as.
SPAM = [
    ("", Seen()),
    ("X-Spam-Flag: YES\n", Seen("spam")),
    ("X-Spam-Flag: NO\n", Seen("clean")),
    ("x-spam-flag: yes\n", Seen("spam")),
    ("X-Spam-Status: Yes, score=7.3 required=5.0 tests=BAYES_99\n", Seen("spam", 7.3)),
    ("X-Spam-Status: No, score=-0.1 required=5.0\n", Seen("clean", -0.1)),
    ("X-Spam-Status: No, score=x tagged_above=x\n", Seen("clean")),
    ("X-Spam-Status: Yes,\n\tscore=8.000001 required=5.0\n", Seen("spam", 8.000001)),
    ("X-Spam-Flag: YES\nX-Spam-Status: Yes, score=10 required=5.0\n", Seen("spam", 10)),
    ("X-Spam-Status: No, score=4 required=5.0\nX-Spam-Flag: NO\n", Seen("clean", 4)),
    ("X-Spamd-Result: default: False [5.01 / 15.00];\n\tR_SPF_ALLOW(-0.20)[+mx];\n", Seen("clean", 5.01)),
    ("X-Spam: Yes\nX-Spamd-Result: default: False [12.50 / 15.00];\n", Seen("spam", 12.5)),
    ("X-Rspamd-Action: no action\nX-Rspamd-Score: 0.00\n", Seen("clean", 0)),
    ("X-Site-MailScanner-SpamCheck: spam, SpamAssassin (not cached,\n\tscore=30.5)\n", Seen("spam", 30.5)),
    ("X-Site-MailScanner: Found to be infected\nX-Bogosity: Ham, tests=bogofilter\n", Seen("clean", infected=True)),
    ("X-Virus-Status: Infected (Eicar-Signature)\n", Seen(infected=True)),
    ("X-Virus-Status: Clean\nX-DSPAM-Result: Innocent\n", Seen("clean")),
    ("X-CRM114-Status: SPAM  ( pR: -24.9 )\nX-Amavis-Alert: INFECTED, virus: X\n", Seen("spam", infected=True)),
    # SpamAssassin's own is the first, as those of Amavis and ClamAV are; the others came with the mail.
    ("X-Spam-Flag: YES\nX-Spam-Flag: NO\n", Seen("spam")),
    ("X-Spam-Status: No, score=0.5\nX-Other: 1\nX-Spam-Status: Yes, score=99\n", Seen("clean", 0.5)),
    ("X-Spam-Status: No, score=0.5\nX-Spam-Flag: YES\n", Seen("clean", 0.5)),
    ("X-Virus-Status: Clean\nX-Virus-Status: Infected\n", Seen()),
    ("X-Amavis-Alert: INFECTED\nX-Amavis-Alert: BANNED\n", Seen(infected=True)),
    ("X-Amavis-Alert: BANNED\nX-Amavis-Alert: INFECTED\n", Seen()),
    # These only look like it.
    ("X-Spam-Flag: yesterday\n", Seen()),
    ("X-Spam-Flags: YES\nX-Spams: Yes\nX-Virus-Scanned: infected\n", Seen()),
]
# The scanner's own is the last, or the first where the MTA puts it above the others; all others came with the mail.
SEVERAL = [
    ("X-Spam: Yes\nX-Spam: No\n", Seen("clean"), Seen("spam")),
    ("X-Spamd-Result: default: False [9.5 / 15.00]\nX-Spamd-Result: default: False [0.5 / 15.00]\n", Seen("clean", 0.5), Seen("clean", 9.5)),
    ("X-Virus: Some.Virus\nX-Virus:\n", Seen(), Seen(infected=True)),
]
RESULTS = [
    ("", ()),
    ("", ()),
    ("mx.example.test; spf=pass smtp.mailfrom=ext.test", (("spf", "pass"),)),
    (
        "mx.example.test;\n\tdkim=pass (2048-bit key; unprotected) header.d=a.b;\n\tdkim=fail reason=\"; spf=pass\"",
        (("dkim", "pass"), ("dkim", "fail")),
    ),
    ("mx.example.test 1; none", ()),
    (
        "MX.Example.TEST; dmarc=bestguesspass; iprev=temperror; x-unknown=pass; arc=none",
        (("dmarc", "other"), ("iprev", "temperror"), ("arc", "none")),
    ),
    # Of one method the topmost counts, and nothing below one of somebody else.
    (
        "border.example.test; spf=softfail|mx.example.test; spf=pass; dkim=policy",
        (("spf", "softfail"), ("dkim", "policy")),
    ),
    ("mx.example.test; spf=neutral|ext.test; dkim=pass|mx.example.test; dkim=pass", (("spf", "neutral"),)),
    ("ext.test; spf=pass; dkim=pass|mx.example.test; dkim=pass", ()),
    ("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=ext.test; dkim=permerror", ()),
]
HOPS = [0, 0, 0, 1, 2, 3, 4, 5, 9]


def header(random, milters_on_top=False):
    """Of a message that passes: its lines, and what is seen of them."""
    lines, *views = random.choice(SPAM + SEVERAL)
    seen = views[-1 if milters_on_top else 0]
    results, said = random.choice(RESULTS)
    hops = random.choice(HOPS)
    text = "".join(f"Authentication-Results: {value}\n" for value in results.split("|") if value)
    text += "".join(f"Received: from hop{number} by next; Fri, 20 Nov 2026 10:00:00 +0000\n" for number in range(hops))
    return text + lines, replace(seen, results=said, hops=hops)
