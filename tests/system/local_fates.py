"""What can become of mail that a program on this host hands in with sendmail: one function a fate.

To the filter it is a session of its own, of a client that is this host, with one message; DATA comes with its end.
Bounces that Postfix makes are such sessions, too."""

import mailserver as server
from fates import SPAM, text
from truth import Transaction

LOCAL = {}
AT_MOST = 60.0  # seconds that such a session may take; only tells working from hung


def local_fate(function):
    LOCAL[function.__name__] = function
    return function


def session(truth, source, recipients, spam="unscanned", passes=True, null_sender=False):
    """The truth of one such session."""
    span = (0.0, AT_MOST) if passes else None
    truth.transaction(Transaction(source, null_sender, accepted=recipients, spam=spam, span=span))
    truth.session("local", 0.0, AT_MOST, mail=True)


def bounce(truth, spam="unscanned", passes=True):
    session(truth, "bounce", 1, spam, passes, null_sender=True)


@local_fate
def local_passed(submit, truth, random):
    users = random.sample(server.USERS, random.randrange(1, 4))
    spam, verdict = random.choice(SPAM)
    submit("-f", "alice@example.test", *[user.address for user in users], text=text(spam))
    session(truth, "local", len(users), verdict)


@local_fate
def local_null_sender(submit, truth, random):
    spam, verdict = random.choice(SPAM)
    submit("-f", "<>", "bob@example.test", text=text(spam))
    bounce(truth, verdict)


@local_fate
def local_double_bounce(submit, truth, random):
    """The sender of Postfix's notices to the postmaster: a bounce, though its sender is not null."""
    submit("-f", "double-bounce@example.test", "postmaster@example.test", text=text())
    session(truth, "bounce", 1)


@local_fate
def local_smtp(submit, truth, random):
    """sendmail -bs: SMTP on standard input; still local, and without the filter seeing the dialogue."""
    envelope = "EHLO here\nMAIL FROM:<alice@example.test> SIZE=99\nRCPT TO:<bob@example.test>\nDATA\n"
    submit("-bs", text=(envelope + text() + ".\nQUIT\n").replace("\n", "\r\n"))
    session(truth, "local", 1)


@local_fate
def local_undeliverable(submit, truth, random):
    """Passes, cannot be delivered, and a bounce passes."""
    submit("-f", "alice@example.test", server.UNDELIVERABLE, text=text("X-Spam-Flag: NO\n"))
    session(truth, "local", 1, "clean")
    bounce(truth)


@local_fate
def local_stopped(submit, truth, random):
    """By header checks: ends before DATA, and the sender gets a bounce."""
    submit("-f", "alice@example.test", "bob@example.test", text=text(server.BAD_HEADER + "\n"))
    session(truth, "local", 1, passes=False)
    bounce(truth)


@local_fate
def local_bounce_stopped(submit, truth, random):
    submit("-f", "<>", "bob@example.test", text=text(server.BAD_HEADER + "\n"))
    bounce(truth, passes=False)
