"""What must have been counted: the meaning of the metrics, written a second time, from the client's side.

Nothing here reads the programs under test or their tables. `Truth` collects what every transaction and session adds to
each series; times are known between two bounds, since the client's clock is not the filter's."""

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from kit.metrics import series_name

# The upper bounds of the buckets, as published.
SIZE = ("1000.0", "10000.0", "100000.0", "1e+06", "1e+07", "2.5e+07", "5e+07", "1e+08")
RECIPIENTS = ("1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "64.0", "128.0")
SCORE = ("0.0", "2.0", "4.0", "5.0", "6.0", "8.0", "10.0", "15.0", "20.0", "30.0")
HOPS = ("1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "50.0")
INFINITY = "+Inf"

# The operator's own domains as addresses write them, in lower case, and as the label has them.
OWN_DOMAINS = {
    "example.test": "example.test",
    "mx.example.test": "mx.example.test",
    "relay.test": "relay.test",
    "moved.test": "moved.test",
    "bücher.test": "xn--bcher-kva.test",
    "xn--bcher-kva.test": "xn--bcher-kva.test",
    "idle.test": "idle.test",
}

LOCAL_AT_MOST = 60.0  # seconds that a session of local mail may take; what they are, test_times.py tells
MEASURED = 0.002  # seconds by which two readings of a clock may differ, and what rounding takes


def metric(name, **labels):
    return series_name("milterscope_" + name, labels)


def bucket(bounds, value):
    """The `le` of the bucket that a value falls in."""
    place = bisect.bisect_left([float(bound) for bound in bounds], value)
    return (*bounds, INFINITY)[place]


@dataclass
class Refusal:
    """Why a recipient is refused: the reason as the metrics call it, and the reply that the client must get. `shown`: to the
    filter."""

    reason: str
    code: int
    enhanced: str
    shown: bool = True


@dataclass
class Seen:
    """What the headers of a message say, to whoever stands behind all scanners."""

    spam: str = "unscanned"
    score: float | None = None
    infected: bool = False
    results: tuple = ()  # of Authentication-Results: (method, result)
    hops: int = 0


@dataclass
class Transaction:
    """What the filter can know of one mail transaction, in the order in which it learns it."""

    source: str
    null_sender: bool
    size: int | None = None
    accepted: int = 0
    refused: list = field(default_factory=list)
    recipients: list = field(default_factory=list)  # of any domain: (address, outcome)
    unseen: int = 0  # refused as well: the filter learns of the number alone
    data: bool = False
    span: tuple | None = None  # MAIL to end of message, at least and at most; None: there was no end of message
    seen: Seen = field(default_factory=Seen)

    @property
    def verdict(self):
        if self.span:
            return "passed"
        if self.data:
            return "lost"
        return "rejected" if self.refused_number and not self.accepted else "aborted"

    @property
    def refused_number(self):
        return len(self.refused) + self.unseen


class Truth:
    def __init__(self):
        self.counts = Counter()  # series -> what must have been added
        self.spans = defaultdict(list)  # histogram of times -> (at least, at most)
        self.fates = Counter()

    def add(self, name, amount=1, **labels):
        self.counts[metric(name, **labels)] += amount

    def observe(self, name, bounds, value, **labels):
        self.add(name + "_bucket", **labels, le=bucket(bounds, value))
        self.add(name + "_sum", value, **labels)

    def lasted(self, name, at_least, at_most):
        self.spans[metric(name)].append((max(0.0, at_least - MEASURED), at_most + MEASURED))

    def session(self, client, at_least, at_most, mail, resolve="unknown", tls="none"):
        """A session that is over. `mail`: whether the filter saw a MAIL. `resolve`, `tls`: None where there is none."""
        self.add("connections_total", client=client)
        self.add("ring_records_total")
        if resolve:
            self.add("client_name_total", resolve=resolve)
        if not mail:
            self.add("sessions_without_mail_total", client=client)
        elif tls and client != "local":
            self.add("mail_sessions_total", tls=tls)
        self.lasted("session_seconds", at_least, at_most)

    def local(self, source, recipients, seen=None, passes=True, null_sender=False, resolve=None, size=None, to="user@example.test"):
        """A session of its own for mail that did not come over SMTP, or that the MTA made; `to`: a recipient."""
        span = (0.0, LOCAL_AT_MOST) if passes else None
        what = Transaction(source, null_sender, size, recipients, seen=seen or Seen(), span=span)
        what.recipients = [(to, "accepted")] * recipients
        self.transaction(what)
        self.session("local", 0.0, LOCAL_AT_MOST, mail=True, resolve=resolve, tls=None)

    def bounce(self, seen=None, passes=True):
        self.local("bounce", 1, seen, passes, null_sender=True)

    def transaction(self, what):
        """A transaction that is over."""
        source = what.source
        self.add("messages_total", source=source, verdict=what.verdict)
        self.add("ring_records_total", 1 + what.accepted + len(what.refused))
        self.add("recipients_total", what.accepted, source=source, outcome="accepted")
        self.add("recipients_total", what.refused_number, source=source, outcome="refused")
        for refusal in what.refused:
            self.add("rejects_total", **{"class": refusal.reason, "reply": f"{refusal.code // 100}xx"})
            self.add("reject_codes_total", code=refusal.enhanced)
        self.domains(what)
        if what.null_sender:
            self.add("null_sender_total", source=source)
        if what.verdict == "passed":
            self.passed(what)

    def domains(self, what):
        """Each recipient by his domain, the transaction once for each."""
        met = set()
        for address, outcome in what.recipients:
            domain = OWN_DOMAINS.get(address.rpartition("@")[2].lower().rstrip("."))
            if domain:
                met.add(domain)
                self.add("domain_recipients_total", domain=domain, outcome=outcome)
        for domain in met:
            self.add("domain_messages_total", domain=domain, verdict=what.verdict)

    def passed(self, what):
        if what.size is not None:
            self.observe("message_bytes", SIZE, what.size, source=what.source)
        self.observe("message_recipients", RECIPIENTS, what.accepted)
        self.headers(what.source, what.seen)
        self.lasted("message_seconds", *what.span)

    def headers(self, source, seen):
        self.add("spam_verdicts_total", source=source, verdict=seen.spam)
        if seen.score is not None:
            self.observe("spam_score", SCORE, Decimal(str(max(0, seen.score))))
        if seen.infected:
            self.add("infected_total", source=source)
        for method, result in seen.results:
            self.add("auth_results_total", method=method, result=result)
        self.observe("received_hops", HOPS, seen.hops)

    def merge(self, other):
        self.counts += other.counts
        self.fates += other.fates
        for name, spans in other.spans.items():
            self.spans[name] += spans
