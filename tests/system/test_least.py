"""The filter asks an MTA for the least: in raw conversations, each event and each macro that it asks for is left out once, and what is
counted, or kept in the open sets, is something else then. What there is to leave out, the filter says itself in its negotiation."""

import re
import signal
from collections import namedtuple

import pytest
from kit import milter_wire as wire
from kit.milter import negotiates
from kit.milter_wire import Wire
from kit.place import program, socket_path
from kit.process import Process
from kit.wait import wait_until
from oracle import COUNTERS, HISTOGRAMS, Counted
from scope import Scope, site_in

ALL_SETS = ["client", "sender_domain", "recipient_domain", "user", "unknown_recipient", "helo"]
SETTINGS = {
    "default": {},
    "sets": {"top": {"sets": ALL_SETS}},
    "body": {"milter": {"body": True}},
    "reinjection": {"milter": {"reinjection": ["192.0.2.25:10025"]}},
}

SETSYMLIST = 0x100  # the only action: to name macros
RCPT_REJ, NR_HDR, NR_EOH = 0x800, 0x80, 0x40000
SKIP = 0x400  # libmilter's own: that an answer "skip" would be understood
# SMFIP_NO*: how an event is declined.
DECLINED = {
    wire.CONNECT: 0x01,
    wire.HELO: 0x02,
    wire.MAIL: 0x04,
    wire.RCPT: 0x08,
    wire.BODY: 0x10,
    wire.HEADER: 0x20,
    wire.EOH: 0x40,
    wire.UNKNOWN: 0x100,
    wire.DATA: 0x200,
}
NO_MACRO = b"{milterscope_none}"  # no MTA has it: an empty list would mean the MTA's own
# A macro for which this knows no value is one that nobody reads.
VALUES = {
    b"v": b"Postfix 3.7.11",
    b"{client_resolve}": b"OK",
    b"{daemon_addr}": b"192.0.2.25",
    b"{daemon_port}": b"25",
    b"{auth_type}": b"PLAIN",
    b"{auth_authen}": b"user-of-%d",
    b"{tls_version}": b"TLSv1.3",
    b"{rcpt_mailer}": b"error",
    b"{rcpt_host}": b"5.7.1",
    b"{rcpt_addr}": b"Relay access denied",
    b"{nbadrcpts}": b"0",
}
BACK = {b"{daemon_port}": b"10025"}  # where mail is handed back
ACCEPTED = {b"{rcpt_mailer}": b"local", b"{rcpt_host}": b"mx.test", b"{rcpt_addr}": b"alice@example.test"}
MORE_REFUSED = {b"{nbadrcpts}": b"5"}  # than were shown, as sendmail tells
TO_NOBODY = {b"{rcpt_host}": b"said by an error transport"}  # accepted by Postfix, refused by others
Event = namedtuple("Event", "command packet values", defaults=[{}])


def session(number, connection):
    """Events of a session of five messages. The number is that of the conversation: its names are in no other."""
    mail = Event(wire.MAIL, wire.mail(b"<sender@play-%d.example>" % number, b"SIZE=1000"))
    rcpt = [Event(wire.RCPT, wire.rcpt(), values) for values in ({}, TO_NOBODY, ACCEPTED)]
    data, eoh, eom = (Event(command, wire.packet(command)) for command in (wire.DATA, wire.EOH, wire.EOM))
    abort = Event(wire.ABORT, wire.packet(wire.ABORT))
    header = Event(wire.HEADER, wire.header(b"Received", b"from nowhere"))
    body = Event(wire.BODY, wire.packet(wire.BODY, b"text\r\n" * 1000))
    return [
        Event(wire.CONNECT, wire.connect(), connection),
        Event(wire.HELO, wire.helo(b"helo-of-%d" % number)),
        Event(wire.UNKNOWN, wire.packet(wire.UNKNOWN, b"XYZZY\0")),
        *(mail, *rcpt, data, header, eoh, body, eom),
        *(mail, rcpt[2], data, eoh, eom),  # without headers
        *(mail, rcpt[2], data, abort),
        *(mail, Event(wire.RCPT, wire.rcpt(), ACCEPTED | MORE_REFUSED), abort),
        *(mail, rcpt[2], Event(wire.DATA, wire.packet(wire.DATA), MORE_REFUSED), abort),
    ]


def macros(event, wanted, number, without):
    """What goes before an event: of the macros that the filter asked for, those that have a value, but one."""
    pairs = []
    for name in wanted.get(event.command, []):
        if name == NO_MACRO or (event.command, name) == without:
            continue
        value = event.values.get(name, VALUES[name])
        pairs += [name, value % number if b"%" in value else value]
    return wire.macros(event.command, *pairs) if pairs else b""


class Asker:
    """A milterscope with some settings, and conversations with it."""

    numbers = iter(range(1, 10000))

    def __init__(self, scope):
        self.scope = scope
        with Wire(scope.site.milter_socket) as connection:
            self.wants = connection.negotiate()

    def asks_for(self, command):
        return not self.wants.steps & DECLINED[command]

    def talk(self, without=None, connection=None):
        """A session; its number. `connection`: macros of it that are other than usual."""
        number = next(self.numbers)
        said = [wire.offer()]
        for event in session(number, connection or {}):
            if event.command != without and (event.command not in DECLINED or self.asks_for(event.command)):
                said += [macros(event, self.wants.macros, number, without), event.packet]
        with Wire(self.scope.site.milter_socket) as connection:
            connection.say_what_is_taken(b"".join(said) + wire.packet(wire.QUIT))
            connection.no_more()
            connection.rest()
        self.scope.wait_value(0, "sessions_active")
        return number

    def kept(self):
        return (self.scope.site.run_directory / "open-sets").read_bytes()

    def seen(self, without=None, connection=None):
        """What a session adds to the counts, and which kinds of names of it are kept."""
        before = self.scope.counts()
        number = self.talk(without, connection)
        added = Counted("tally", self.scope.counts(), before).families(COUNTERS + HISTOGRAMS)
        wait_until(lambda mark=b"play-%d.example" % self.talk(): mark in self.kept(), "the ring is drained")
        names = [b"user-of-%d", b"helo-of-%d"]
        kept = [name for name in names if holds(self.kept(), name % number)]
        return {series: count for series, count in added.items() if count}, kept


def holds(kept, name):
    """The name, and not one that only begins so."""
    return re.search(re.escape(name) + rb"(?![0-9])", kept) is not None


@pytest.fixture(scope="module", params=SETTINGS)
def asker(request, parts):
    return Asker(parts.start(Scope(site_in(parts, request.param, **SETTINGS[request.param]))))


def test_each_event_counts(asker):
    whole = asker.seen()
    assert whole == asker.seen()
    asked = [command for command in DECLINED if asker.asks_for(command)]
    assert len(asked) > 5
    assert [command for command in asked if asker.seen(without=command) == whole] == []


def test_each_macro_counts(asker):
    asked = [(stage, name) for stage, names in asker.wants.macros.items() for name in names if name != NO_MACRO]
    assert len(asked) > 5
    usual, back = asker.seen(), asker.seen(connection=BACK)
    for stage, name in asked:
        about_listener = name.startswith(b"{daemon_")
        seen = asker.seen(without=(stage, name), connection=BACK if about_listener else None)
        assert seen != (back if about_listener else usual), (stage, name)
    assert set(asker.wants.macros) == {wire.CONNECT, wire.HELO, wire.MAIL, wire.RCPT, wire.DATA, wire.EOH, wire.EOM}


def test_nothing_but_events_and_macros(asker):
    """No right to change mail, no form of headers, and no wait for what is not answered."""
    assert asker.wants.version == 6
    assert asker.wants.actions == SETSYMLIST
    assert asker.wants.steps & ~sum(DECLINED.values()) & ~SKIP == RCPT_REJ | NR_HDR | NR_EOH


def test_the_bare_milter_asks_for_the_same(parts):
    """What the filter is compared with in `make bench`."""
    default = Asker(parts.start(Scope(site_in(parts, "compared")))).wants
    socket = socket_path(parts.folder.tmpfs / "bare.sock")
    bare = Process([program("bench/bare-milter"), f"unix:{socket}"], parts.folder.disk / "bare.log")
    try:
        wait_until(lambda: negotiates(socket), "the bare milter answers")
        with Wire(socket) as connection:
            assert vars(connection.negotiate()) == vars(default)
    finally:
        bare.stop(signal.SIGKILL)  # libmilter takes its time
