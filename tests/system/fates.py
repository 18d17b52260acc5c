"""What can become of a mail over SMTP: one function a fate, each a script of the client's steps.

A fate gets the session (script.py) and a generator of random numbers. Those in LAST end the session, those in RARE are
too slow to be played often."""

from dataclasses import replace

import mailserver as server
from truth import Seen

IN_SESSION, LAST, RARE = {}, {}, {}

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
    ("X-Site-MailScanner-SpamCheck: spam, SpamAssassin (not cached,\n\tscore=30.5, required 5)\n", Seen("spam", 30.5)),
    ("X-Site-MailScanner: Found to be infected\nX-Bogosity: Ham, tests=bogofilter\n", Seen("clean", infected=True)),
    ("X-Virus-Status: Infected (Eicar-Signature)\n", Seen(infected=True)),
    ("X-Virus-Status: Clean\nX-DSPAM-Result: Innocent\n", Seen("clean")),
    ("X-CRM114-Status: SPAM  ( pR: -24.9 )\nX-Amavis-Alert: INFECTED, message contains virus: X\n", Seen("spam", infected=True)),
    # The scanner's own is the last; the one above it came with the mail.
    ("X-Spam-Flag: NO\nX-Spam-Flag: YES\n", Seen("spam")),
    ("X-Spam-Status: Yes, score=99\nX-Other: 1\nX-Spam-Status: No, score=0.5\n", Seen("clean", 0.5)),
    ("X-Virus-Status: Infected\nX-Virus-Status: Clean\n", Seen()),
    # Amavis' own is the first.
    ("X-Amavis-Alert: INFECTED\nX-Amavis-Alert: BANNED\n", Seen(infected=True)),
    ("X-Amavis-Alert: BANNED\nX-Amavis-Alert: INFECTED\n", Seen()),
    # These only look like it.
    ("X-Spam-Flag: yesterday\n", Seen()),
    ("X-Spam-Flags: YES\nX-Spams: Yes\nX-Virus-Scanned: infected\n", Seen()),
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
    ("MX.Example.TEST; dmarc=bestguesspass; iprev=temperror; x-unknown=pass; arc=none", (("dmarc", "other"), ("iprev", "temperror"), ("arc", "none"))),
    # Of one method the topmost counts, and nothing below one of somebody else.
    ("border.example.test; spf=softfail|mx.example.test; spf=pass; dkim=policy", (("spf", "softfail"), ("dkim", "policy"))),
    ("mx.example.test; spf=neutral|ext.test; dkim=pass|mx.example.test; dkim=pass", (("spf", "neutral"),)),
    ("ext.test; spf=pass; dkim=pass|mx.example.test; dkim=pass", ()),
    ("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=ext.test; dkim=permerror", ()),
]
HOPS = [0, 0, 0, 1, 2, 3, 4, 5, 9]
SIZES = [1, 999, 1000, 1001, 10_000, 10_001, 100_000, 100_001, 999_999, 1_000_000, 1_000_001, 10_000_000, 25_000_001]
NUMBERS = [1, 1, 1, 2, 2, 3, 4, 5]
PARAMETERS = [
    " SIZE={}",
    " SIZE={} BODY=8BITMIME",
    " BODY=8BITMIME size={}",
    " RET=HDRS SIZE={} ENVID=x1",
    " ENVID=SIZE=3 SIZE={}",
]
UNDECLARED = ["", "", " BODY=7BIT", " ENVID=SIZE=3"]
LEAVE = ["vanish", "reset"]


def fate(where):
    def register(function):
        where[function.__name__] = function
        return function

    return register


def text(headers=""):
    return f"{headers}Subject: a test\nTo: alice@example.test\n\nThe body.\n"


def header(random):
    """Of a message that passes: its lines, and what is seen of them."""
    lines, seen = random.choice(SPAM)
    results, said = random.choice(RESULTS)
    hops = random.choice(HOPS)
    text = "".join(f"Authentication-Results: {value}\n" for value in results.split("|") if value)
    text += "".join(f"Received: from hop{number} by hop{number + 1}; Fri, 20 Nov 2026 10:00:00 +0000\n" for number in range(hops))
    return text + lines, replace(seen, results=said, hops=hops)


def begin(session, random):
    """MAIL, of any kind that is not refused."""
    size = random.choice(SIZES) if random.random() < 0.6 else None
    sender = "" if random.random() < 0.15 else f"sender{random.randrange(9)}@ext.test"
    parameters = random.choice(PARAMETERS).format(size) if size else random.choice(UNDECLARED)
    session.mail(sender, size, parameters)


def accept(session, random, number=None):
    for _ in range(number or random.choice(NUMBERS)):
        session.rcpt(random.choice(server.USERS))


def refuse(session, random):
    for _ in range(random.choice(NUMBERS)):
        session.rcpt(random.choice(server.refused_to(session.client)))


def mix(session, random):
    """Recipients of whom at least one is accepted."""
    for _ in range(random.choice(NUMBERS)):
        session.rcpt(random.choice(server.EVERYONE))
    accept(session, random)


def finish(session, random, headers=""):
    lines, seen = header(random)
    session.data()
    session.message(text(headers + lines), seen)


# Fates after which the session goes on


@fate(IN_SESSION)
def passed(session, random):
    begin(session, random)
    accept(session, random)
    finish(session, random)


@fate(IN_SESSION)
def passed_for_some(session, random):
    begin(session, random)
    mix(session, random)
    finish(session, random)


@fate(IN_SESSION)
def passed_for_error_transport(session, random):
    """Accepted for a transport that returns it: recipients as any others, and then a bounce passes."""
    session.mail("alice@example.test")
    for recipient in random.sample(server.FOR_ERROR_TRANSPORT, random.randrange(1, 4)):
        session.rcpt(recipient)
    if random.random() < 0.5:
        mix(session, random)
    finish(session, random)
    session.truth.bounce()


@fate(IN_SESSION)
def without_headers(session, random):
    """Postfix adds none for clients from elsewhere."""
    begin(session, random)
    accept(session, random)
    session.data()
    session.message("\nThe body.\n", Seen())


@fate(IN_SESSION)
def null_sender(session, random):
    session.mail("")
    accept(session, random, 1)
    finish(session, random)


@fate(IN_SESSION)
def rejected(session, random):
    begin(session, random)
    refuse(session, random)
    session.rset()


@fate(IN_SESSION)
def rejected_and_data(session, random):
    begin(session, random)
    refuse(session, random)
    session.command("DATA", 554)
    session.rset()


@fate(IN_SESSION)
def map_broken(session, random):
    begin(session, random)
    session.rcpt(server.BROKEN)
    session.rset()


@fate(IN_SESSION)
def sender_refused(session, random):
    sender, refusal = random.choice(list(server.REFUSED_SENDERS.items()))
    session.mail(sender)
    for _ in range(random.choice(NUMBERS)):
        session.rcpt(random.choice(server.USERS + server.REFUSED), refusal)
    session.rset()


@fate(IN_SESSION)
def rset_after_mail(session, random):
    begin(session, random)
    session.rset()


@fate(IN_SESSION)
def rset_after_rcpt(session, random):
    begin(session, random)
    random.choice([accept, mix])(session, random)
    session.rset()


@fate(IN_SESSION)
def ehlo_in_transaction(session, random):
    begin(session, random)
    random.choice([accept, mix, refuse])(session, random)
    session.hello()


@fate(IN_SESSION)
def declared_too_large(session, random):
    """Until RSET, Postfix would refuse the next MAIL, too, if that declared nothing."""
    session.command(f"MAIL FROM:<sender@ext.test> SIZE={server.LIMIT + random.randrange(1, 1000)}", 552)
    session.command("RSET", 250)


@fate(IN_SESSION)
def nested_mail(session, random):
    begin(session, random)
    session.command("MAIL FROM:<other@ext.test> SIZE=77", 503)
    accept(session, random)
    finish(session, random)


@fate(IN_SESSION)
def malformed(session, random):
    session.command("MAIL FROM:<sender@ext.test", 501)
    session.command("RCPT TO:<alice@example.test>", 503)
    session.command("DATA", 503)
    begin(session, random)
    session.command("RCPT TO:<alice", 501)
    session.command("RCPT TO:<>", 501)
    session.command("NOOP", 250)
    accept(session, random)
    finish(session, random)


@fate(IN_SESSION)
def unknown_command(session, random):
    session.unknown("FROBNICATE now")


@fate(IN_SESSION)
def unknown_commands_everywhere(session, random):
    """Wherever a command may stand, one that the server does not know changes nothing else."""
    session.unknown("BDATA 7")
    begin(session, random)
    session.unknown("NOPE")
    accept(session, random)
    session.unknown("MAILFROM sender@ext.test")
    session.unknown("DATA2")
    finish(session, random)
    session.unknown("GETS /")
    begin(session, random)
    session.unknown("X")
    session.rset()
    session.unknown("Y")


@fate(IN_SESSION)
def stopped_by_header_checks(session, random):
    begin(session, random)
    random.choice([accept, mix])(session, random)
    session.data()
    session.stopped_message(text(server.BAD_HEADER + "\nX-Spam-Flag: YES\n"), 550)


@fate(IN_SESSION)
def stopped_by_body_checks(session, random):
    begin(session, random)
    accept(session, random)
    session.data()
    session.stopped_message(text("X-Spam-Flag: NO\n") + server.BAD_BODY + "\n", 550)


@fate(IN_SESSION)
def discarded_by_header_checks(session, random):
    """The client hears 250."""
    begin(session, random)
    accept(session, random)
    session.data()
    session.stopped_message(text(server.DISCARD_HEADER + "\n"), 250)


@fate(IN_SESSION)
def held_by_header_checks(session, random):
    begin(session, random)
    accept(session, random)
    finish(session, random, server.HOLD_HEADER + "\n")


@fate(IN_SESSION)
def held_by_access_map(session, random):
    begin(session, random)
    session.rcpt(server.HELD)
    accept(session, random)
    finish(session, random)


@fate(IN_SESSION)
def discarded_by_access_map(session, random):
    """From the discarded recipient on the filter sees nothing; the client hears 250."""
    begin(session, random)
    accept(session, random)
    session.command(f"RCPT TO:<{server.DISCARDED}>", 250)
    session.command("RCPT TO:<bob@example.test>", 250)
    session.command("DATA", 354)
    session.stopped_message(text("X-Spam-Flag: YES\n"), 250)


@fate(IN_SESSION)
def refused_at_data(session, random):
    session.mail(server.NO_DATA)
    random.choice([accept, mix])(session, random)
    session.command("DATA", 554)
    session.rset()


@fate(IN_SESSION)
def refused_at_end_of_data(session, random):
    """Postfix leaves the transaction open. A client that now goes on with RCPT or DATA would bring libmilter out of
    step: it does not answer, and Postfix gives it up for the rest of the session."""
    session.mail(server.NO_END, 4711, " SIZE=4711")
    random.choice([accept, mix])(session, random)
    session.data()
    session.open_after_message(text(), 554)
    session.rset()


@fate(IN_SESSION)
def in_chunks(session, random):
    lines, seen = header(random)
    begin(session, random)
    accept(session, random)
    session.chunk("Comments: in pieces\n" + lines)
    if random.random() < 0.5:
        session.chunk("Keywords: pieces\n")
    session.last_chunk(text(), seen)


# Fates that end the session


@fate(LAST)
def nothing_said(session, random):
    getattr(session, random.choice(LEAVE))()


@fate(LAST)
def quit_in_transaction(session, random):
    begin(session, random)
    random.choice([lambda *_: None, accept, mix, refuse])(session, random)
    session.quit()


@fate(LAST)
def gone_after_mail(session, random):
    begin(session, random)
    getattr(session, random.choice(LEAVE))()


@fate(LAST)
def gone_after_rcpt(session, random):
    begin(session, random)
    random.choice([accept, mix, refuse])(session, random)
    getattr(session, random.choice(LEAVE))()


@fate(LAST)
def gone_after_data(session, random):
    begin(session, random)
    random.choice([accept, mix])(session, random)
    session.data()
    getattr(session, random.choice(LEAVE))()


@fate(LAST)
def gone_in_body(session, random):
    begin(session, random)
    accept(session, random)
    session.data()
    session.half_a_message(text("X-Spam-Flag: YES\n"))
    getattr(session, random.choice(LEAVE))()


@fate(LAST)
def gone_between_chunks(session, random):
    begin(session, random)
    accept(session, random)
    session.chunk(text())
    getattr(session, random.choice(LEAVE))()


@fate(LAST)
def gone_before_the_reply(session, random):
    lines, seen = header(random)
    begin(session, random)
    accept(session, random)
    session.data()
    session.message_and_gone(text(lines), seen)


# Fates that take long


@fate(RARE)
def too_large(session, random):
    begin(session, random)
    accept(session, random)
    session.data()
    session.stopped_message(text() + (1000 * "x" + "\n") * (server.LIMIT // 1000 + 1), 552)


@fate(RARE)
def many_recipients(session, random):
    """As many as may be, one more, and one that is refused: of these two the filter sees nothing."""
    begin(session, random)
    accept(session, random, server.MANY)
    session.command("RCPT TO:<bob@example.test>", 452)
    session.command("RCPT TO:<nobody@example.test>", 452)
    finish(session, random)


@fate(RARE)
def several_recipients(session, random):
    begin(session, random)
    accept(session, random, random.choice([8, 9, 16, 17, 33, 64, 65]))
    finish(session, random)


@fate(RARE)
def slow(session, random):
    begin(session, random)
    accept(session, random)
    session.linger(random.choice([0.06, 0.12, 0.6, 1.1]))
    finish(session, random)
