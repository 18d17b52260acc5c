"""What can become of mail that a program on this host hands in with sendmail: one function a fate.

To the filter it is a session of its own, of a client that is this host, with one message; DATA comes with its end.
Bounces that Postfix makes are such sessions, too."""

import mailserver as server
from contents import header
from fates import text
from truth import Seen

LOCAL = {}


def local_fate(function):
    LOCAL[function.__name__] = function
    return function


@local_fate
def local_passed(mta, truth, random):
    users = random.sample(server.USERS, random.randrange(1, 4))
    lines, seen = header(random)
    mta.submit("-f", "alice@example.test", *[user.address for user in users], text=text(lines))
    truth.local("local", len(users), seen)


@local_fate
def local_null_sender(mta, truth, random):
    lines, seen = header(random)
    mta.submit("-f", "<>", "bob@example.test", text=text(lines))
    truth.bounce(seen)


@local_fate
def local_double_bounce(mta, truth, random):
    """The sender of Postfix's notices to the postmaster: a bounce, though its sender is not null."""
    mta.submit("-f", "double-bounce@example.test", "postmaster@example.test", text=text())
    truth.local("bounce", 1)


@local_fate
def local_smtp(mta, truth, random):
    """sendmail -bs: SMTP on standard input; still local, and without the filter seeing the dialogue. It adds a Received
    header before Postfix adds its own, which no filter sees."""
    envelope = "EHLO here\nMAIL FROM:<alice@example.test> SIZE=99\nRCPT TO:<bob@example.test>\nDATA\n"
    mta.submit("-bs", text=(envelope + text() + ".\nQUIT\n").replace("\n", "\r\n"))
    truth.local("local", 1, Seen(hops=1))


@local_fate
def local_undeliverable(mta, truth, random):
    """Passes, cannot be delivered, and a bounce passes."""
    mta.submit("-f", "alice@example.test", server.UNDELIVERABLE, text=text("X-Spam-Flag: NO\n"))
    truth.local("local", 1, Seen("clean"))
    truth.bounce()


@local_fate
def local_stopped(mta, truth, random):
    """By header checks: ends before DATA, and the sender gets a bounce."""
    mta.submit("-f", "alice@example.test", "bob@example.test", text=text(server.BAD_HEADER + "\n"))
    truth.local("local", 1, passes=False)
    truth.bounce()


@local_fate
def local_bounce_stopped(mta, truth, random):
    mta.submit("-f", "<>", "bob@example.test", text=text(server.BAD_HEADER + "\n"))
    truth.bounce(passes=False)
