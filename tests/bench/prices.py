"""The price list: what each event, macro and kind of header that the filter asks for costs it, in CPU time for a
message.

The filter is driven with the full work and with the work without one thing, a few messages of each at a time, in an
order drawn anew; what can't be left out is said once more instead. One session goes on at a time, and both sides of
it run on one processor: who waits for whom, and whether a processor has to wake another one up, makes more of a
difference than most things cost. What there is to be asked for, the filters say themselves in their negotiation:
there are several of them, each with other settings, since some things are asked for only where somebody wants them.
"""

import contextlib
import json
import os
import random
import statistics
import subprocess
import time
from dataclasses import dataclass

from kit.milter_wire import Wire
from kit.place import program

import fleet
import stats
from milters import Full, cpu_seconds

MESSAGES = 4  # of a session
BLOCK = 5 * MESSAGES  # that are driven before it is the turn of the other work
BLOCKS = 16  # of each work, before it is the turn of another thing
RUN = ["--sessions", 1, "--transactions", BLOCK, "--seconds", 10]
WORK = [*RUN, "--tls", 1, "--authenticated", 1, "--headers", 18, "--messages", MESSAGES]
LEAST = 5  # rounds
WARM = 20  # blocks
RESAMPLES = 500  # there are many pairs
ALL_SETS = ["client", "sender_domain", "recipient_domain", "user", "unknown_recipient", "helo"]
# In this order a filter is looked for that asks for a thing.
SETTINGS = {
    "default": {},
    "six sets": {"top": {"sets": ALL_SETS}},
    "reinjection": {"milter": {"reinjection": ["192.0.2.99:10025"]}},
    "body": {"milter": {"body": True}},
    "no sets": {"top": {"sets": []}},
}
NO_MACRO = "{milterscope_none}"  # which no MTA has: it stands where none is asked for
HEADERS = {
    "two": "Received",
    "results": "Authentication-Results",
    "spam": "X-Spam-Status",
    "virus": "X-Virus-Status",
    "of no interest": "Subject",
    "nor this": "X-Mailer",
}


def without(name):
    return ["--without", name]


def more(name):
    return ["--more", name]


# Bits of SMFIP_NO*, or none where an event cannot be declined; the name; options of the dear work and of the cheap one. A session's
# price is found by making four of one. Libmilter wants the end of headers after a header, and something between DATA and the end.
NO_BIT = 0
NOTHING_IN_DATA = ["--without", "headers", "--without", "data"]
EVENTS = [
    (0x01, "CONNECT and close", ["--messages", 1, *without("helo")], without("helo"), 1 / (MESSAGES - 1)),
    (0x02, "HELO", [], without("helo"), 1),
    (0x04, "MAIL and abort, once more", more("transaction"), [], 1),
    (0x08, "RCPT, once more", more("recipient"), [], 1),
    (0x08, "RCPT refused instead of accepted", more("refused"), more("recipient"), 1),
    (0x10, "body", [], ["--body", 0], 1),
    (0x20, "all headers", [], without("headers"), 1),
    (0x40, "end of headers", NOTHING_IN_DATA, [*NOTHING_IN_DATA, *without("eoh")], 1),
    (0x100, "unknown command, one", more("unknown"), [], 1),
    (0x200, "DATA", [], without("data"), 1),
    (NO_BIT, "end of message", [], without("eom"), 1),
    (NO_BIT, "abort after each message", [], without("abort"), 1),
]


@dataclass
class Thing:
    """What has a price: the CPU time of one work less that of the other, each with the filter that does it."""

    name: str
    dear: tuple
    cheap: tuple
    share: float = 1  # of the difference


def things(wanted):
    """All that the filters ask for; wanted: {filter: Wants}."""
    for bit, name, dear, cheap, share in EVENTS:
        asks = [milter for milter, wants in wanted.items() if not wants.steps & bit]
        if asks:
            yield Thing(name, (asks[0], dear), (asks[0], cheap), share)
    seen = set()
    for milter, wants in wanted.items():
        for macro in sorted({name.decode() for names in wants.macros.values() for name in names} - seen):
            seen.add(macro)
            name = f"macro {macro}" if macro != NO_MACRO else "nothing at all: must be 0"
            yield Thing(name, (milter, []), (milter, without(macro)))
    for kind, header in HEADERS.items():
        yield Thing(f"header {header} ({kind})", ("default", []), ("default", without(f"{header}:")))
    yield Thing("open sets, the usual three", ("default", []), ("no sets", []))
    yield Thing("open sets, all six", ("six sets", []), ("no sets", []))
    yield Thing("milter.body", ("body", []), ("default", []))


def bind(pid, processor):
    """All threads of a process; those to come do as these do."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), {processor})


class Driver:
    """A load generator that does its work block by block."""

    def __init__(self, milter, options, processor):
        words = [program("kit/milter-load"), "--turns", *WORK, *options, f"unix:{milter.socket}"]
        self.filter = milter.filter
        # When this process is killed, it finds no more lines, and ends.
        self.popen = subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        bind(self.popen.pid, processor)

    def block(self):
        """CPU time of the filter for a message, in us."""
        before = cpu_seconds(self.filter)
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.popen.args)} ended with status {self.popen.wait()}")
        figures = json.loads(line)
        if figures["stopped"] + figures["errors"] > 0 or figures["transactions"] < BLOCK:
            raise RuntimeError(f"{' '.join(self.popen.args)} was not answered well: {figures}")
        return (cpu_seconds(self.filter) - before) / figures["transactions"] * 1e6

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.popen.stdin.close()
        self.popen.wait()
        self.popen.stdout.close()


class Figures:
    """CPU times for a message, in us: pairs, by the name of the thing."""

    def __init__(self, things):
        self.things = {thing.name: thing for thing in things}
        self.pairs = {name: [] for name in self.things}

    def whole(self):
        """The full work at the usual settings."""
        usual = [name for name, thing in self.things.items() if thing.dear == ("default", [])]
        return statistics.median(dear for name in usual for dear, _ in self.pairs[name])

    def price(self, name):
        """In us a message: estimate and interval."""
        dear, cheap = zip(*self.pairs[name])
        ratio, base = stats.ratio(dear, cheap, RESAMPLES), statistics.median(cheap) * self.things[name].share
        return {key: base * (ratio[key] - 1) for key in ("estimate", "low", "high")}

    def prices(self):
        """The dearest first."""
        found = {name: self.price(name) for name in self.pairs}
        return dict(sorted(found.items(), key=lambda entry: -entry[1]["estimate"]))


def negotiated(milter):
    with Wire(milter.socket) as wire:
        return wire.negotiate()


def start_milters(stack, folder, redis, processor):
    """{name: milterscope with these settings}."""
    milters = {}
    for number, (name, changes) in enumerate(SETTINGS.items()):
        place = fleet.place(folder, f"price{number}")
        spam = {"authserv_ids": ["mx.example.org"]}  # they stand in what is sent
        milters[name] = stack.enter_context(Full(place, redis, name, instance=f"bench-{number}", spam=spam, **changes))
        bind(milters[name].filter, processor)
    return milters


def pairs(drivers, turn):
    """CPU times of the dear and the cheap work, a moment apart."""
    for _ in range(BLOCKS):
        took = [0, 0]
        for which in turn.sample((0, 1), 2):
            took[which] = drivers[which].block()
        yield tuple(took)


def measure(folder, redis, limit, say):
    """Rounds until the time is over."""
    turn, end, processor = random.Random(3), time.monotonic() + limit, max(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        milters = start_milters(stack, folder, redis, processor)
        figures, drivers = Figures(things({name: negotiated(milter) for name, milter in milters.items()})), {}
        for thing in figures.things.values():
            works = [Driver(milters[milter], options, processor) for milter, options in (thing.dear, thing.cheap)]
            drivers[thing.name] = list(map(stack.enter_context, works))
        for driver in (driver for works in drivers.values() for driver in works):
            for _ in range(WARM):
                driver.block()
        rounds = 0
        while rounds < LEAST or time.monotonic() < end:
            rounds += 1
            say(f"prices, round {rounds}")
            for name in turn.sample(list(drivers), len(drivers)):
                figures.pairs[name] += pairs(drivers[name], turn)
    return figures
