"""What can become of a mail with sendmail: of the fates of fates.py those that it knows, too, and its own; and of mail that a
program on this host hands in. SMTP of this host is local to it, so that is a session like any other."""

from dataclasses import replace

import fates
import sendmailserver as server
from contents import header
from fates import accept, begin, fate, finish, mix, text
from kit.sasl import authenticate
from plan import Repertoire
from truth import Seen, Transaction

SHARED = ["passed", "passed_for_some", "without_headers", "null_sender", "rejected", "rejected_and_data"]
SHARED += ["rset_after_mail", "rset_after_rcpt", "declared_too_large", "nested_mail", "unknown_command"]
SHARED_LAST = ["nothing_said", "quit_in_transaction", "gone_after_mail", "gone_after_rcpt", "gone_after_data"]
SHARED_LAST += ["gone_in_body", "gone_before_the_reply"]
# Once a session: sendmail slows down who greets it three times, and ends sessions with 25 commands that it does not know.
SHARED_RARE = ["too_large", "several_recipients", "slow", "ehlo_in_transaction", "unknown_commands_everywhere"]

IN_SESSION = {name: fates.IN_SESSION[name] for name in SHARED}
LAST = {name: fates.LAST[name] for name in SHARED_LAST}
RARE = {name: (fates.RARE | fates.IN_SESSION)[name] for name in SHARED_RARE}
LOCAL = {}


# Over SMTP


@fate(IN_SESSION)
def sender_refused(session, random):
    """No MAIL to the filter, and so no transaction."""
    sender, code = random.choice(list(server.REFUSED_SENDERS.items()))
    if sender != "user@nodomain.test" or not session.client.may_relay:  # it asks DNS for strangers alone
        session.command(f"MAIL FROM:<{sender}>", code)
    session.command("RSET", 250)


@fate(IN_SESSION)
def only_unseen_refusals(session, random):
    """Denied relaying, block lists, greylisting: if nothing else comes, the filter does not learn that there was anybody."""
    begin(session, random)
    for recipient in random.sample(server.UNSEEN[1:], 2):
        session.rcpt(recipient)
    session.command("DATA", server.DATA_WITHOUT_RECIPIENTS)
    session.rset()


@fate(IN_SESSION)
def unseen_refusals_before_a_seen_one(session, random):
    begin(session, random)
    for recipient in random.sample(server.UNSEEN[1:], 3):
        session.rcpt(recipient)
    session.rcpt(random.choice(server.REFUSED))
    session.rcpt(server.UNSEEN[1])
    session.rset()


@fate(IN_SESSION)
def malformed(session, random):
    session.command("MAIL FROM:<sender@ext.test", 553)
    session.command("RCPT TO:<alice@example.test>", 503)
    session.command("DATA", 503)
    begin(session, random)
    session.unseen_rcpt("<alice", 553)
    session.command("NOOP", 250)
    session.command("VRFY alice", 250)
    accept(session, random)
    finish(session, random)


@fate(IN_SESSION)
def login_failed(session, random):
    if not session.client.user:
        assert authenticate(session.smtp, "joe", random.choice(["PLAIN", "CRAM-MD5"]), "wrong") == 535
    begin(session, random)
    accept(session, random)
    finish(session, random)


@fate(IN_SESSION)
def stopped_by_a_header_ruleset(session, random):
    begin(session, random)
    random.choice([accept, mix])(session, random)
    session.data()
    session.stopped_message(text(server.BAD_HEADER + "\nX-Spam-Flag: YES\n"), 550)


@fate(IN_SESSION)
def quarantined_by_a_header_ruleset(session, random):
    begin(session, random)
    accept(session, random)
    finish(session, random, server.QUARANTINE_HEADER + "\n")


@fate(IN_SESSION)
def refused_at_data(session, random):
    session.mail(server.NO_DATA)
    random.choice([accept, mix])(session, random)
    session.command("DATA", 550)
    session.rset()


@fate(IN_SESSION)
def refused_at_end_of_data(session, random):
    session.mail(server.NO_END, 4711, " SIZE=4711")
    random.choice([accept, mix])(session, random)
    session.data()
    session.stopped_message(text(), 550)


@fate(IN_SESSION)
def discarded_by_access_map(session, random):
    """From the discarded recipient on the filter sees nothing; the client hears 250."""
    begin(session, random)
    accept(session, random)
    session.command(f"RCPT TO:<{server.DISCARDED}>", 250)
    session.command("RCPT TO:<bob@example.test>", 250)
    session.command("DATA", 354)
    session.stopped_message(text("X-Spam-Flag: YES\n"), 250)


@fate(RARE)
def many_recipients(session, random):
    """As many as may be, one more, and one that is refused."""
    begin(session, random)
    accept(session, random, server.MANY)
    session.unseen_rcpt("<bob@example.test>", 452)
    session.unseen_rcpt("<noone@example.test>", 452)
    finish(session, random)


@fate(RARE)
def helo_in_transaction(session, random):
    """Ends it, as EHLO does."""
    begin(session, random)
    accept(session, random)
    session.command("HELO", 501)
    session.abandon()
    session.command("HELO other.test", 250)
    begin(session, random)
    accept(session, random)
    finish(session, random)


# By a program on this host


def add_submission(truth, size, recipients, source="local", null_sender=False, seen=Seen()):
    """One by way of the queue of submissions: SMTP of this host to the filter, with a Received header of the submission,
    and its users named by the host's own name."""
    seen = replace(seen, hops=seen.hops + 1)
    truth.local(source, recipients, seen, True, null_sender, resolve="ok", size=size, to="user@mx.example.test")


@fate(LOCAL)
def local_submitted(mta, truth, random):
    users = random.sample(server.USERS, random.randrange(1, 4))
    lines, seen = header(random, server.MILTERS_ON_TOP)
    mail = text(lines)
    mta.submit("-f", "alice@example.test", *[user.address for user in users], text=mail)
    add_submission(truth, len(mail), len(users), seen=seen)


@fate(LOCAL)
def local_to_whom_it_says(mta, truth, random):
    """sendmail -t"""
    mta.submit("-t", text=text())
    add_submission(truth, len(text()), 1)


@fate(LOCAL)
def local_null_sender(mta, truth, random):
    mta.submit("-f", "<>", "bob@example.test", text=text())
    add_submission(truth, len(text()), 1, "bounce", null_sender=True)


SMTP = ["EHLO here", "MAIL FROM:<alice@example.test>", "RCPT TO:<bob@example.test>", "RCPT TO:<noone@example.test>"]
SMTP_END = ["DATA", text() + ".", "QUIT"]


@fate(LOCAL)
def local_smtp(mta, truth, random):
    """sendmail -bs hands on what it was told; it knows no users."""
    assert mta.converse([*SMTP[:3], *SMTP_END]) == [220, 250, 250, 250, 354, 250, 221]
    add_submission(truth, len(text()), 1)


@fate(LOCAL)
def local_smtp_of_the_server(mta, truth, random):
    """The same of the server's own sendmail: a session without a client's address."""
    assert mta.converse([*SMTP, *SMTP_END], "mta") == [220, 250, 250, 250, 550, 354, 250, 221]
    unknown = server.REFUSED[0].refusal
    recipients = [("bob@example.test", "accepted"), ("noone@example.test", "refused")]
    truth.transaction(Transaction("local", False, accepted=1, refused=[unknown], recipients=recipients, span=(0.0, 60.0)))
    truth.session("local", 0.0, 60.0, mail=True, resolve=None)


SENDMAIL = Repertoire(server, IN_SESSION, LAST, RARE, LOCAL)
