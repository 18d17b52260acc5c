"""What can become of a mail over SMTP: one function a fate, each a script of the client's steps.

A fate gets the session (script.py) and a generator of random numbers. Those in LAST end the session, those in RARE are
too slow to be played often."""

from contents import header
from truth import Seen

IN_SESSION, LAST, RARE = {}, {}, {}

SIZES = [1, 999, 1000, 1001, 10_000, 10_001, 100_000, 100_001, 999_999, 1_000_000, 1_000_001, 10_000_000, 25_000_001]
NUMBERS = [1, 1, 1, 2, 2, 3, 4, 5]
LEAVE = ["vanish", "reset"]


def fate(where):
    def register(function):
        where[function.__name__] = function
        return function

    return register


def text(headers=""):
    return f"{headers}Subject: a test\nTo: alice@example.test\n\nThe body.\n"


def begin(session, random):
    """MAIL, of any kind that is not refused."""
    size = random.choice(SIZES) if random.random() < 0.6 else None
    sender = "" if random.random() < 0.15 else f"sender{random.randrange(9)}@ext.test"
    parameters = random.choice(session.server.PARAMETERS).format(size) if size else random.choice(session.server.UNDECLARED)
    session.mail(sender, size, parameters)


def accept(session, random, number=None):
    for _ in range(number or random.choice(NUMBERS)):
        session.rcpt(random.choice(session.server.USERS))


def refuse(session, random):
    for _ in range(random.choice(NUMBERS)):
        session.rcpt(random.choice(session.server.refused_to(session.client)))


def mix(session, random):
    """Recipients of whom at least one is accepted."""
    for _ in range(random.choice(NUMBERS)):
        session.rcpt(random.choice(session.server.EVERYONE))
    accept(session, random)


def finish(session, random, headers=""):
    lines, seen = header(random, session.server.MILTERS_ON_TOP)
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
    for recipient in random.sample(session.server.FOR_ERROR_TRANSPORT, random.randrange(1, 4)):
        session.rcpt(recipient)
    if random.random() < 0.5:
        mix(session, random)
    finish(session, random)
    session.truth.bounce()


@fate(IN_SESSION)
def passed_for_international_domain(session, random):
    """Accepted for a transport that returns it, as above."""
    session.mail("alice@example.test", parameters=" SMTPUTF8")
    for recipient in random.sample(session.server.INTERNATIONAL, random.randrange(1, 4)):
        session.rcpt(recipient)
    finish(session, random)
    session.truth.bounce()


@fate(IN_SESSION)
def other_spellings(session, random):
    begin(session, random)
    for recipient in random.sample(session.server.SPELLINGS, random.randrange(1, 4)):
        session.rcpt(recipient)
    finish(session, random)


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
    session.command("DATA", session.server.DATA_WITHOUT_RECIPIENTS)
    session.rset()


@fate(IN_SESSION)
def map_broken(session, random):
    begin(session, random)
    session.rcpt(session.server.BROKEN)
    session.rset()


@fate(IN_SESSION)
def sender_refused(session, random):
    sender, refusal = random.choice(list(session.server.REFUSED_SENDERS.items()))
    session.mail(sender)
    for _ in range(random.choice(NUMBERS)):
        session.rcpt(random.choice(session.server.USERS + session.server.REFUSED), refusal)
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
    session.command(f"MAIL FROM:<sender@ext.test> SIZE={session.server.LIMIT + random.randrange(1, 1000)}", 552)
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
    session.stopped_message(text(session.server.BAD_HEADER + "\nX-Spam-Flag: YES\n"), 550)


@fate(IN_SESSION)
def stopped_by_body_checks(session, random):
    begin(session, random)
    accept(session, random)
    session.data()
    session.stopped_message(text("X-Spam-Flag: NO\n") + session.server.BAD_BODY + "\n", 550)


@fate(IN_SESSION)
def discarded_by_header_checks(session, random):
    """The client hears 250."""
    begin(session, random)
    accept(session, random)
    session.data()
    session.stopped_message(text(session.server.DISCARD_HEADER + "\n"), 250)


@fate(IN_SESSION)
def held_by_header_checks(session, random):
    begin(session, random)
    accept(session, random)
    finish(session, random, session.server.HOLD_HEADER + "\n")


@fate(IN_SESSION)
def held_by_access_map(session, random):
    begin(session, random)
    session.rcpt(session.server.HELD)
    accept(session, random)
    finish(session, random)


@fate(IN_SESSION)
def discarded_by_access_map(session, random):
    """From the discarded recipient on the filter sees nothing; the client hears 250."""
    begin(session, random)
    accept(session, random)
    session.command(f"RCPT TO:<{session.server.DISCARDED}>", 250)
    session.command("RCPT TO:<bob@example.test>", 250)
    session.command("DATA", 354)
    session.stopped_message(text("X-Spam-Flag: YES\n"), 250)


@fate(IN_SESSION)
def refused_at_data(session, random):
    session.mail(session.server.NO_DATA)
    random.choice([accept, mix])(session, random)
    session.command("DATA", 554)
    session.rset()


@fate(IN_SESSION)
def refused_at_end_of_data(session, random):
    """Postfix leaves the transaction open. A client that now goes on with RCPT or DATA would bring libmilter out of
    step: it does not answer, and Postfix gives it up for the rest of the session."""
    session.mail(session.server.NO_END, 4711, " SIZE=4711")
    random.choice([accept, mix])(session, random)
    session.data()
    session.open_after_message(text(), 554)
    session.rset()


@fate(IN_SESSION)
def in_chunks(session, random):
    lines, seen = header(random, session.server.MILTERS_ON_TOP)
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
    lines, seen = header(random, session.server.MILTERS_ON_TOP)
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
    session.stopped_message(text() + (1000 * "x" + "\n") * (session.server.LIMIT // 1000 + 1), 552)


@fate(RARE)
def many_recipients(session, random):
    """As many as may be, one more, and one that is refused: of these two the filter sees nothing."""
    begin(session, random)
    accept(session, random, session.server.MANY)
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
