"""Conversations with the filter that chance makes: each begins as an MTA does, goes on as none would, and ends somehow.
What they must have added is known between two bounds: what was answered, and what was sent."""

from collections import Counter

from hostile import LIMIT, NOT_UTF8
from kit.metrics import histograms, labels_of, name_of
from kit.milter_wire import (
    ABORT,
    BODY,
    CONNECT,
    DATA,
    EOH,
    EOM,
    HEADER,
    HELO,
    INTERNET,
    INTERNET6,
    MACRO,
    MAIL,
    NO_ADDRESS,
    OFFER,
    QUIT,
    QUIT_NC,
    RCPT,
    UNIX,
    UNKNOWN,
    WITH_MACROS,
    Wire,
    connect,
    header,
    helo,
    macros,
    mail,
    offer,
    packet,
    rcpt,
    refused,
    words,
)
from truth import metric

# None names {auth_type}: authenticated messages are those of the good sessions.
TEXTS = [
    b"",
    b"<>",
    b"<a@ext.test>",
    b"x" * 300,
    b"\r\n.\r\n",
    b"%n%s%s",
    b"SIZE=1000",
    b"size=" + b"9" * 40,
    b"X-Spam-Flag",
    b"X-Spam-Status",
    b"YES",
    b"No, score=1",
    b"error",
    b"5.1.1",
    b"4.2.0",
    b"550 5.1.1 >: User unknown",
    b"{rcpt_mailer}",
    b"{rcpt_host}",
    b"Postfix 3.7.11",
    b"8.17.1.9",
    NOT_UTF8,
    b"x" * 70_000,
]
GIANTS = [b"x" * (LIMIT - 1), b"x" * LIMIT, b" " * 900_000]
CLIENTS = [
    connect(),
    connect(b"127.0.0.1"),
    connect(b"127.0.0.1", port=0),
    connect(b"2001:db8::1", INTERNET6),
    connect(b"/run/x", UNIX),
    packet(CONNECT, words(b"localhost") + NO_ADDRESS),
]
FAMILIES = [INTERNET, INTERNET6, UNIX, NO_ADDRESS, b"X"]
WILD = [CONNECT, HELO, MAIL, RCPT, DATA, HEADER, EOH, BODY, EOM, ABORT, QUIT_NC, UNKNOWN, OFFER]
EVENTS = {CONNECT: "connections", MAIL: "messages", RCPT: "recipients", EOM: "passed"}
GOOD_SESSION = list(EVENTS.values())


class Bounds:
    """How often each event happened, at least and at most."""

    def __init__(self):
        self.least, self.most = Counter(), Counter()

    def merge(self, other):
        self.least += other.least
        self.most += other.most

    def surely(self, *events):
        self.least.update(events)
        self.most.update(events)

    def perhaps(self, command, times=1):
        if command in EVENTS:
            self.most[EVENTS[command]] += times


class Conversation:
    """One of them; `chance` decides everything."""

    def __init__(self, chance):
        self.chance = chance
        self.bounds = Bounds()

    def play(self, path):
        with Wire(path) as wire:
            for data, answers, *events in self.beginning():
                wire.ask(data, answers)
                self.bounds.surely(*events)
            wire.say_what_is_taken(self.wild())
            if self.chance.random() < 0.3:
                wire.say_what_is_taken(mail(self.text())[: self.chance.randrange(1, 9)])
            if self.chance.random() < 0.7:
                wire.no_more()
                wire.rest()

    # ---- as an MTA ----

    def text(self):
        return self.chance.choice(GIANTS if self.chance.random() < 0.002 else TEXTS)

    def texts(self):
        return [self.text() for _ in range(self.chance.randrange(4))]

    def beginning(self):
        """What is said, its answers, and the event that it is, if it is one."""
        if self.chance.random() < 0.1:
            return
        yield offer() + self.chance.choice(CLIENTS), b"Oc", "connections"
        if self.chance.random() < 0.5:
            yield helo(self.chance.choice(TEXTS)), b"c"
        for _ in range(self.chance.randrange(3)):
            steps = list(self.message())
            whole = self.chance.random() < 0.5
            yield from steps if whole else steps[: self.chance.randrange(len(steps))]

    def message(self):
        yield mail(self.chance.choice(TEXTS), b"SIZE=5"), b"c", "messages"
        for _ in range(self.chance.randrange(1, 4)):
            yield self.chance.choice([rcpt(), refused(), rcpt(NOT_UTF8)]), b"c", "recipients"
        yield packet(DATA), b"c"
        yield header(b"X-Spam-Flag", self.chance.choice(TEXTS)) + packet(EOH), b""
        yield packet(EOM), b"c", "passed"

    # ---- as none ----

    def wild(self):
        """Packets in any order, of any content; or broken ones."""
        broken = self.chance.random() < 0.3
        data = b""
        for _ in range(self.chance.randrange(30)):
            command, payload = self.packet(with_macros=not broken)
            self.bounds.perhaps(command)
            data += packet(command, payload)
        return self.mutated(data) if broken else data

    def packet(self, with_macros):
        kind = self.chance.random()
        if kind < 0.1 and with_macros:
            return MACRO, self.macros()
        if kind < 0.12:
            return self.chance.choice([QUIT, b"x", b"\0", b"\xff"]), self.text()
        command = self.chance.choice(WILD)
        return command, self.payload(command)

    def payload(self, command):
        kind = self.chance.random()
        if kind < 0.04:
            return self.chance.randbytes(self.chance.randrange(40))
        if kind < 0.08:
            return b""
        if kind < 0.6 and command == CONNECT:
            return words(self.text()) + self.chance.choice(FAMILIES) + b"\x9c\x40" + words(b"192.0.2.1")
        if kind < 0.6 and command in (DATA, EOH, EOM, ABORT, QUIT_NC):
            return b""
        return words(self.text(), *self.texts())

    def macros(self):
        """Each name with its value: see hostile_texts.py."""
        if self.chance.random() < 0.2:
            return self.text().replace(b"\0", b"")
        stage = self.chance.choice([bytes([byte]) for byte in WITH_MACROS] + [b"x"])
        pairs = [text for _ in range(self.chance.randrange(5)) for text in (self.text(), self.text())]
        return macros(stage, *pairs)[5:]

    def mutated(self, data):
        """Bytes changed, left out, put in. What may be read as macros is taken away; any byte may be a command."""
        data = bytearray(data)
        for _ in range(self.chance.randrange(1, 4)):
            at = self.chance.randrange(len(data) + 1)
            data[at : at + self.chance.randrange(3)] = self.chance.randbytes(self.chance.randrange(3))
        data = bytes(data).replace(MACRO, b"d")
        for command in EVENTS:
            self.bounds.perhaps(command, data.count(command))
        return data


# ---- what was counted ----


def total(added, name, **labels):
    """The sum over the series of a counter that have these labels."""
    return sum(
        value
        for series, value in added.items()
        if name_of(series) == metric(name) and labels.items() <= labels_of(series).items()
    )


def observed(added, name):
    """How many values were added to a histogram."""
    return sum(histogram.total() for series, histogram in histograms(added).items() if name_of(series) == metric(name))


def faults(added, bounds):
    """What cannot be, whatever was said."""
    messages, passed = total(added, "messages_total"), total(added, "messages_total", verdict="passed")
    recipients, refusals = total(added, "recipients_total"), total(added, "recipients_total", outcome="refused")
    connections = total(added, "connections_total")
    found = {"connections": connections, "messages": messages, "recipients": recipients, "passed": passed}
    found["unobserved"] = total(added, "sessions_unobserved_total")
    for event, number in found.items():
        if not bounds.least[event] <= number <= bounds.most[event]:
            yield f"{number} {event}, between {bounds.least[event]} and {bounds.most[event]}"
    equal = {
        "session_seconds": (observed(added, "session_seconds"), connections),
        "message_seconds": (observed(added, "message_seconds"), passed),
        "message_recipients": (observed(added, "message_recipients"), passed),
        "spam_verdicts_total": (total(added, "spam_verdicts_total"), passed),
        "received_hops": (observed(added, "received_hops"), passed),
        "rejects_total": (total(added, "rejects_total"), refusals),
        "reject_codes_total": (total(added, "reject_codes_total"), refusals),
    }
    yield from (f"{name}: {number}, {true}" for name, (number, true) in equal.items() if number != true)
    least = {
        "message_bytes": (observed(added, "message_bytes"), passed),
        "spam_score": (observed(added, "spam_score"), passed),
        "infected_total": (total(added, "infected_total"), passed),
        "client_name_total": (total(added, "client_name_total"), connections),
        "mail_sessions_total": (total(added, "mail_sessions_total"), connections),
        "auth_sessions_total": (total(added, "auth_sessions_total"), connections),
        "null_sender_total": (total(added, "null_sender_total"), messages),
        "sessions_without_mail_total": (total(added, "sessions_without_mail_total"), connections),
    }
    yield from (f"{name}: {number}, at most {most}" for name, (number, most) in least.items() if number > most)
