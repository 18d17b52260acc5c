"""Mail through real scanners, with headers that the sender forged: an MTA with a listener for each scanner, and
milterscope behind them, which reads headers where milters put them, or where content filters hand mail back."""

from dataclasses import dataclass

from kit.metrics import labels_of, name_of
from kit.milter_wire import EOM, packet
from kit.other_milter import OtherMilter, add_header
from kit.place import free_port
from kit.servers import Postfix
from kit.smtp import Smtp
from kit.wait import wait_until
from scope import Scope, site_in
from truth import metric

HIGH = 15  # no bucket of a score that any of the scanners takes for ham lies above
AUTHSERV_ID = "mx.example.test"
HEAD = """From: Joe <joe@pass.test>
To: Alice <alice@example.test>
Subject: a message
Date: Fri, 20 Nov 2026 10:00:00 +0000
Message-ID: <20261120100000.12345@mail.pass.test>
"""
HAM = "Here are the minutes of our meeting about the design of bridges.\n"


# Of the operator's: rows for milters that put their header above, or below, the others of its name.
PLACED = [{"name": f"X-At-The-{place.title()}", "spam": "Yes", "place": place} for place in ("top", "bottom")]


@dataclass(frozen=True)
class Seen:
    """What milterscope counted of one message."""

    spam: str
    high: bool | None = None  # its score; None: it has none
    infected: bool = False
    results: tuple = ()  # of Authentication-Results: (method, result)


def verdicts(counts):
    return sum(value for series, value in counts.items() if name_of(series) == metric("spam_verdicts_total"))


def counted(before, after):
    """The one message between two dumps."""
    new = {series: value - before.get(series, 0) for series, value in after.items() if value != before.get(series, 0)}

    def of(name):
        return [labels_of(series) for series in new if name_of(series) == metric(name)]

    found = of("spam_verdicts_total")
    assert len(found) == 1 and verdicts(new) == 1, new
    high = [float(labels["le"]) > HIGH for labels in of("spam_score_bucket")]
    results = tuple(sorted((labels["method"], labels["result"]) for labels in of("auth_results_total")))
    return Seen(found[0]["verdict"], *(high or [None]), bool(of("infected_total")), results)


# ---- forgeries ----


def folded(name, value):
    return f"{name}:\n\t{value}\n"


def long(name, value):
    return f"{name}: {value}\n" + "".join(f"\t{word * 70}\n" for word in "abcdefghijklmnopqrstuvwxyzabcde")


def line(name, value):
    return f"{name}: {value}\n"


# How a sender writes a header, and how often above and below the others.
WAYS = {
    "above": (line, 1, 0),
    "below": (line, 0, 1),
    "around": (line, 1, 1),
    "many": (line, 20, 20),
    "capitals": (lambda name, value: line(name.swapcase(), value), 1, 1),
    "folded": (folded, 1, 1),
    "long": (long, 1, 1),
    "spaced": (lambda name, value: line(name + " ", value), 1, 1),
}


def forged(way, headers, body):
    """A message with these headers, {name: value}."""
    write, above, below = WAYS[way]
    lines = "".join(write(name, value) for name, value in headers.items())
    return lines * above + HEAD + lines * below + "\n" + body


def plain(body):
    return HEAD + "\n" + body


def added_by_a_milter(socket, listener, ways, name):
    """What is seen of ham to which a milter behind this socket adds this header with Yes, where the sender's say No."""
    with OtherMilter(socket, {(EOM, b""): add_header(name, "Yes") + packet(b"c")}):
        assert listener.seen(plain(HAM)).spam == "spam"
        return {listener.seen(forged(way, {name: "No"}, HAM)).spam for way in ways}


# ---- the servers ----


class Port:
    """Where an MTA takes mail, and what the milterscope behind it counts of that."""

    def __init__(self, scope):
        self.scope = scope
        self.address = ("127.0.0.1", free_port())

    def connect(self):
        return Smtp(self.address)

    def send(self, text, sender="joe@pass.test", to="alice@example.test", expect=250):
        with self.connect() as session:
            session.greet()
            session.command("EHLO mail.pass.test", 250)
            session.command(f"MAIL FROM:<{sender}>", 250)
            session.command(f"RCPT TO:<{to}>", 250)
            session.command("DATA", 354)
            session.body(text, expect)
            session.quit()

    def verdicts(self):
        """Messages that were counted."""
        return verdicts(self.scope.counts())

    def seen(self, text, **envelope):
        """What is counted of a message when it has passed the scanner."""
        before = self.scope.counts()

        def after():
            now = self.scope.counts()
            return now if verdicts(now) > verdicts(before) else None

        self.send(text, **envelope)
        return counted(before, wait_until(after, "the message is counted"))


class Listener(Port):
    """Where Postfix takes mail that goes through a scanner. `open`: the sender's headers are left as they are."""

    def __init__(self, scope, *milters, content_filter=None, opened=True):
        super().__init__(scope)
        self.milters = [f"unix:{milter}" for milter in milters] + [f"unix:{scope.site.milter_socket}"]
        self.options = {"smtpd_milters": ",".join(self.milters), "content_filter": content_filter or ""}
        if opened:
            self.options["receive_override_options"] = "no_header_body_checks"

    def service(self):
        """Its line in master.cf."""
        place = "%s:%d" % self.address
        options = " ".join(f"-o {name}={value}" for name, value in self.options.items())
        return {f"{place}/inet": f"{place} inet n - n - - smtpd {options}"}


class Daemon(Port):
    """Where sendmail takes mail that goes through these filters, {name: socket}. `name`: that of the listener."""

    def __init__(self, mta, scope, name, **filters):
        with mta.network.visit():
            super().__init__(scope)
        self.network, self.name = mta.network, name
        self.filters = filters | {f"{scope.site.instance}": scope.site.milter_socket}

    def connect(self):
        with self.network.visit():
            return super().connect()

    def lines(self):
        """Its lines in sendmail.mc; filters are used where a listener names them, and mail goes on without them."""
        how = "F=, T=C:30s;S:60s;R:60s;E:60s"
        lines = {f"MAIL_FILTER(`{name}', `S=unix:{path}, {how}')dnl\n" for name, path in self.filters.items()}
        place = f"Name={self.name}, Family=inet, Addr=%s, Port=%d, InputMailFilters=" % self.address
        return [*sorted(lines), f"DAEMON_OPTIONS(`{place}{';'.join(self.filters)}')dnl\n"]


def scope_for(parts, name, group=None, **spam):
    """A milterscope that believes AUTHSERV_ID."""
    settings = {"spam": {"authserv_ids": [AUTHSERV_ID]} | spam.pop("spam"), **spam}
    group = group or Postfix.account()["group"]
    return parts.start(Scope(site_in(parts, name, socket=parts.folder.tmpfs / f"{name}.sock", group=group, **settings)))


def postfix_with(parts, listeners, **settings):
    services = {}
    for listener in listeners:
        services |= listener.service()
    accept = {"milter_default_action": "accept", "smtpd_error_sleep_time": 0, "in_flow_delay": 0}
    return parts.start(Postfix(parts.folder, accept | settings | services))
