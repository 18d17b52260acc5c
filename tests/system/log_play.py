"""What is played to an MTA so that its log can be held to the truth, and what it must come to in the log's metrics."""

from collections import Counter

from kit.smtp import Smtp
from kit.wait import wait_until
from truth import metric

TEXT = "From: a@ext.test\nTo: b@ext.test\nSubject: fate\n\nText.\n"
BACK = "back@remote.test"  # a sender to whom a bounce can go
# Of a milterscope on that server: what goes to the sink goes outside.
SITE = {"trusted_networks": ["10.0.0.0/8"], "domains": ["example.test"]}


class Play:
    """Steps call what it has, and note with expect() what that must add to which series."""

    def __init__(self, address):
        self.address = address
        self.expected = Counter()

    def expect(self, name, n=1, **labels):
        self.expected[metric(name, **labels)] += n

    def attempt(self, status, destination="external", code="other", problem=None, n=1):
        self.expect("deliveries_total", n, destination=destination, status=status)
        if status != "expired":
            self.expect("delivery_codes_total", n, code=code, status=status)
        if problem:
            self.expect("delivery_problems_total", n, **{"class": problem}, status=status)

    def refused(self, where, kind):
        self.expect("log_rejects_total", **{"where": where, "class": kind})

    def session(self, source="127.0.0.1"):
        smtp = Smtp(self.address, source)
        smtp.greet()
        smtp.command("EHLO client.test", 250)
        return smtp

    def mail(self, *recipients, sender=BACK, text=TEXT, source="127.0.0.1", expect=250):
        with self.session(source) as smtp:
            smtp.command(f"MAIL FROM:<{sender}>", 250)
            for recipient in recipients:
                smtp.command(f"RCPT TO:<{recipient}>", 250)
            smtp.command("DATA", 354)
            smtp.body(text, expect)
            smtp.quit()

    def rcpt(self, recipient, code, sender=BACK, source="127.0.0.1"):
        with self.session(source) as smtp:
            smtp.command(f"MAIL FROM:<{sender}>", 250)
            smtp.command(f"RCPT TO:<{recipient}>", code)
            smtp.quit()

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_log(self, words, times=1):
        wait_until(lambda: self.log().count(words) >= times, lambda: f"{times} times {words!r} in {self.log_file}")
