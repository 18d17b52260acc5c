"""A scripted SMTP session that keeps, beside the conversation, what the filter sees of it."""

import time

import mailserver
from kit.smtp import Smtp
from kit.tls import client_context
from truth import Transaction

DATA_AHEAD = 354


class Script:
    """Every method is a step of the client; those that end a transaction or the session tell the truth so. `server`: what
    there is to know of the server, see mailserver.py."""

    def __init__(self, address, client, truth, server=mailserver):
        self.client, self.truth, self.server = client, truth, server
        self.now = None  # the transaction
        self.untold = 0  # recipients refused of which the filter has not learned yet
        self.between = False  # a transaction is over, and neither EHLO nor MAIL came since
        self.mail_seen = self.logged_in = self.encrypted = self.over = False
        self.smtp = Smtp(address, client.address)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.smtp.close()

    def greet(self):
        self.smtp.greet()
        if self.client.behind:
            self.smtp.command(f"EHLO {self.client.helo}", 250)
            self.become(self.client.behind)

    def become(self, address):
        """To the filter, the proxy's session ends here and the client's begins."""
        before = time.monotonic()
        name = f" NAME={self.client.named}" if self.client.named else ""
        self.smtp.command(f"XCLIENT ADDR={address}{name}", 220)
        after = time.monotonic()
        self.truth.session("internal", before - self.smtp.greeted, after - self.smtp.connecting, mail=False)
        self.smtp.connecting, self.smtp.greeted = before, after

    def hello(self):
        self.abandon()
        self.smtp.command(f"EHLO {self.client.helo}", 250)
        self.between = False
        if self.client.tls != "none" and not self.encrypted:
            self.encrypted = True
            self.smtp.start_tls(client_context(self.client.tls))
            self.smtp.command(f"EHLO {self.client.helo}", 250)
        if self.client.user and not self.logged_in:
            self.logged_in = True
            self.server.log_in(self.smtp, self.client)

    def linger(self, seconds):
        """A client that takes its time: durations are there to be measured."""
        time.sleep(seconds)

    def command(self, text, expect):
        """One that the filter's counts do not depend on."""
        self.smtp.command(text, expect)

    def unknown(self, text):
        """One that the server does not know."""
        self.smtp.command(text, 500)
        if not (self.between and self.server.HIDES_UNKNOWN_BETWEEN):
            self.truth.add("unknown_commands_total")

    # The transaction

    def mail(self, sender="sender@ext.test", size=None, parameters=""):
        """`size`: as `parameters` declare it."""
        self.smtp.command(f"MAIL FROM:<{sender}>{parameters}", 250)
        self.mail_sent, self.mail_answered = self.smtp.sent, time.monotonic()
        self.now = Transaction(self.server.source_of(self.client, sender), sender == "", size)
        self.untold = 0
        self.between = False
        if not self.mail_seen and self.logged_in:
            self.truth.add("auth_sessions_total", mechanism=self.client.counted_as)
        self.mail_seen = True

    def rcpt(self, recipient, sender_refusal=None):
        """A recipient; the client's and the sender's own refusal come before the recipient's."""
        refusal = self.client.refusal or sender_refusal or recipient.refused_to(self.client)
        if not refusal:
            self.smtp.command(f"RCPT TO:<{recipient.address}>", 250)
            self.tell()
            self.now.accepted += 1
            self.now.recipients.append((recipient.address, "accepted"))
            return
        _, text = self.smtp.command(f"RCPT TO:<{recipient.address}>", refusal.code)
        enhanced = text.split(" ", 1)[0]
        if enhanced != refusal.enhanced:
            raise AssertionError(f"{recipient.address} was refused with {text!r}, expected {refusal.enhanced}")
        if refusal.shown:
            self.tell()
            self.now.refused.append(refusal)
            self.now.recipients.append((recipient.address, "refused"))
        else:
            self.untold += 1

    def unseen_rcpt(self, text, code):
        """A RCPT that is refused where the filter learns at most that there was one."""
        self.smtp.command(f"RCPT TO:{text}", code)
        self.untold += 1

    def tell(self):
        """With what it is shown, the filter of some MTAs gets the number of recipients refused so far."""
        if self.server.TELLS_NUMBER:
            self.now.unseen += self.untold
        self.untold = 0

    def data(self):
        self.smtp.command("DATA", DATA_AHEAD)
        self.tell()
        self.now.data = True

    def message(self, text, seen):
        """The message, and the filter's answer to its end."""
        self.smtp.body(text, 250)
        self.passed(self.smtp.sent, time.monotonic(), seen)
        self.end()

    def stopped_message(self, text, code):
        """A message that the server stops before its end gets to the filter, whatever the client hears."""
        self.smtp.body(text, code)
        self.end()

    def open_after_message(self, text, code):
        """A message that is refused at its end without the transaction being over."""
        self.smtp.body(text, code)

    def half_a_message(self, text):
        self.smtp.send(text.replace("\n", "\r\n"))

    def message_and_gone(self, text, seen):
        """The whole message, by a client that does not stay for the reply."""
        self.smtp.send(text.replace("\n", "\r\n") + ".\r\n")
        sent = self.smtp.sent
        self.leave(self.smtp.vanish, lambda: self.passed(sent, self.smtp.left, seen))

    def chunk(self, text):
        """BDAT: the first one is DATA to the filter."""
        self.smtp.chunk(text, False, 250)
        self.now.data = True

    def last_chunk(self, text, seen):
        self.smtp.chunk(text, True, 250)
        self.passed(self.smtp.sent, time.monotonic(), seen)
        self.end()

    def passed(self, sent, answered, seen):
        self.now.seen = seen
        self.now.span = (sent - self.mail_answered, answered - self.mail_sent)

    def rset(self):
        self.smtp.command("RSET", 250)
        self.end()

    def abandon(self):
        """What ends a transaction silently: a new EHLO, or the end of the session."""
        if self.now:
            self.end()

    def end(self):
        self.truth.transaction(self.now)
        self.now = None
        self.between = True

    # The end of the session

    def quit(self):
        self.leave(self.smtp.quit)

    def vanish(self):
        self.leave(self.smtp.vanish)

    def reset(self):
        self.leave(self.smtp.reset)

    def leave(self, how, at_the_end=lambda: None):
        how()
        at_the_end()
        self.abandon()
        self.over = True
        left = self.smtp.left or time.monotonic()
        at_least = self.smtp.leaving - self.smtp.greeted
        tls = self.client.tls if self.encrypted else "none"
        self.truth.session(
            self.client.label, at_least, left - self.smtp.connecting, self.mail_seen, self.client.resolve, tls
        )
