"""Whoever connects to the milter socket may say anything: the filter is the same process afterwards, it answers, a good
session is counted exactly, and so is of the hostile one what libmilter took from it, and nothing else.

HOSTILE_SEED (1) and HOSTILE_SEQUENCES (3000) choose what the random conversations say."""

import os
import random
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import hostile
import hostile_texts
import pytest
from attacked import Attacked
from hostile import LIMIT, START, STARTED, TO_DATA, Expected
from hostile_random import GOOD_SESSION, Bounds, Conversation
from kit.figures import figure
from kit.metrics import labels_of
from kit.milter import negotiates
from kit.milter_wire import (
    ACCEPT,
    BODY,
    CONNECT,
    CONTINUE,
    EOH,
    EOM,
    MAIL,
    MESSAGE,
    MESSAGE_ANSWERS,
    OFFER,
    RCPT,
    connect,
    header,
    macros,
    mail,
    offer,
    packet,
    rcpt,
)
from kit.place import program
from kit.servers import Postfix
from kit.wait import pass_time, wait_until
from mail import Session, attached
from scope import Scope, site_in
from truth import metric

SEED = os.environ.get("HOSTILE_SEED", "1")
SEQUENCES = int(os.environ.get("HOSTILE_SEQUENCES", "3000"))
CONVERSATIONS = hostile.CONVERSATIONS | hostile_texts.CONVERSATIONS


@pytest.fixture(scope="module")
def attacked(parts):
    scope = parts.start(Attacked(site_in(parts, "hostile")))
    yield scope
    figure(f"hostile MTA: slowest good session {scope.slowest:.3f} s")


@pytest.fixture
def scope(attacked):
    """What is counted late, after a test, is seen by the next; not what a test has left that failed."""
    if not attacked.proved:
        attacked.begin_counting()
    attacked.proved = False
    return attacked


# ---- the table ----


def play(scope, said, truth):
    with scope.wire() as wire:
        wire.say_what_is_taken(said.data)
        if not said.hangs_up:
            wire.no_more()
        assert wire.rest() == said.answers
    truth.merge(said.adds)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(scope, name):
    said, truth = CONVERSATIONS[name], Expected()
    for one in said if isinstance(said, list) else [said]:
        play(scope, one, truth)
    scope.prove(truth)
    scope.prove_counts(truth)


# ---- connections that stay, and that do not read ----


def test_byte_by_byte(scope):
    truth = Expected().connected().good()
    with scope.wire() as wire:
        wire.say_in_pieces(START + MESSAGE, 1)
        wire.expect(STARTED + MESSAGE_ANSWERS)
        scope.prove(truth)
    scope.prove_counts(truth)


@pytest.mark.parametrize("begun", [b"\0\0", rcpt()[:5], rcpt()[:9], packet(RCPT, b"x" * LIMIT)[:500_000]], ids=len)
def test_half_packets_that_stay(scope, begun):
    """Libmilter gives a thread to each, which waits for the other half."""
    truth, half = Expected(), 50
    with ExitStack() as wires:
        for _ in range(half):
            wire = wires.enter_context(scope.wire())
            wire.ask(START + mail(), STARTED + b"c")
            wire.say(begun)
            truth.connected().aborted()
        for _ in range(5):
            scope.prove(truth)
    scope.prove_counts(truth)


def test_answers_are_not_read(scope):
    """Until nothing more can be written on either side."""
    bounds, sent, truth = Bounds(), 0, Expected()
    bounds.surely("connections", "messages", *GOOD_SESSION)
    with scope.wire() as wire:
        wire.ask(START + mail(), STARTED + b"c")
        wire.socket.settimeout(0.5)
        with suppress(TimeoutError):
            while True:
                sent += wire.socket.send(rcpt() * 100)
        bounds.perhaps(RCPT, sent // len(rcpt()))
        assert bounds.most["recipients"] > 1000
        scope.prove(truth)
    scope.prove_bounds(bounds)


def test_everything_written_and_closed(scope):
    """Of what an MTA has written, libmilter throws away what it has not read when that closes."""
    bounds = Bounds()
    for number in range(100):
        with scope.wire() as wire:
            wire.say(START, MESSAGE * (number % 5))
        for command, times in ((CONNECT, 1), (MAIL, number % 5), (RCPT, number % 5), (EOM, number % 5)):
            bounds.perhaps(command, times)
    scope.prove(Expected())
    bounds.surely(*GOOD_SESSION)
    scope.prove_bounds(bounds)


# ---- chance ----


class GoodSessions(threading.Thread):
    """Of a client that authenticates, one after another, from `with` to its end."""

    def __init__(self, scope):
        super().__init__()
        self.scope, self.number, self.failure = scope, 0, None
        self.ending = threading.Event()

    def run(self):
        try:
            while not self.ending.is_set():
                self.scope.good_session(macros(MAIL, b"{auth_type}", b"LOGIN"))
                self.number += 1
        except (AssertionError, OSError) as failure:
            self.failure = failure

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *failure):
        self.ending.set()
        self.join()
        assert self.failure is None


def test_chance(scope):
    """Thousands of conversations, some at a time, and good sessions between them."""
    bounds, began = Bounds(), time.monotonic()

    def one(number):
        conversation = Conversation(random.Random(f"{SEED}/{number}"))
        conversation.play(scope.site.milter_socket)
        return conversation.bounds

    with GoodSessions(scope) as good, ThreadPoolExecutor(6) as workers:
        for part in workers.map(one, range(SEQUENCES)):
            bounds.merge(part)
    seconds = time.monotonic() - began
    bounds.surely(*GOOD_SESSION * (good.number + 1))
    scope.prove(Expected())
    added = scope.prove_bounds(bounds)
    figure(f"hostile MTA: seed {SEED}, {SEQUENCES} conversations and {good.number} good ones in {seconds:.1f} s")
    ranges = (f"{event} {bounds.least[event]} to {bounds.most[event]}" for event in GOOD_SESSION)
    figure("hostile MTA: " + ", ".join(ranges))
    assert {series: value for series, value in added.items() if 'source="authenticated"' in series and value} == {
        metric("messages_total", source="authenticated", verdict="passed"): good.number,
        metric("recipients_total", source="authenticated", outcome="accepted"): good.number,
        metric("spam_verdicts_total", source="authenticated", verdict="unscanned"): good.number,
    }


# ---- memory ----

HEADERS = 100_000
HEAVY = {  # content, and kB by which memory may be more at another time
    "100 000 headers": (lambda: b"".join(header(b"X-%d" % i, b"y" * (i % 200)) for i in range(HEADERS)), 4096),
    "giant headers": (lambda: header(b"X", b"y" * (LIMIT - 3)) * 50 + header(b"X" * (LIMIT - 3), b"y") * 50, 8192),
    # Libmilter makes a pointer of each byte.
    "giant macros": (lambda: macros(EOM, *[b""] * (LIMIT - 2)) * 20, 32768),
}
SANITIZED = b"__sanitizer" in Path(program("milterscope-filter")).read_bytes()
ROUNDS = 5


def resident_kb(pid):
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
@pytest.mark.parametrize("what", HEAVY)
def test_memory_is_given_back(scope, what):
    """After the first round nothing is added to what the filter has."""
    make, growth = HEAVY[what]
    truth, after, content = Expected(), [], make() + packet(EOH) + packet(EOM)
    before = resident_kb(scope.filter)
    for _ in range(ROUNDS):
        with scope.wire() as wire:
            wire.ask(START + TO_DATA, STARTED + b"ccc")
            wire.ask(content, b"c")
        truth.connected().good()
        scope.prove(truth)
        after.append(resident_kb(scope.filter))
    scope.prove_counts(truth)
    figure(f"hostile MTA: {what}: resident memory {before} kB, then {after} kB")
    wait_until(lambda: resident_kb(scope.filter) < after[0] + growth, f"memory is given back: {before}, {after}")


# ---- what MTAs may say, and libmilter makes difficult ----

HEADER_BYTES = len("Subject: a test\r\n")


def test_bodies_that_are_wanted(own_parts):
    """With and without a body, headers, and a rest of the body at the end of message."""
    scope = own_parts.start(Attacked(site_in(own_parts, "bodies", milter={"body": True})))
    head, rest = header(b"Subject", b"a test"), b"x" * 1000
    contents = [
        (packet(EOH) + packet(EOM), b"c", None),
        (packet(EOH) + packet(BODY, rest) * 2 + packet(EOM), b"ccc", 2 * len(rest) + 2),
        (packet(EOH) + packet(EOM, rest), b"c", len(rest) + 2),
        (head + packet(EOH) + packet(BODY, rest) + packet(EOM, rest), b"cc", HEADER_BYTES + 2 + 2 * len(rest)),
    ]
    truth = Expected()
    for content, answers, size in contents:
        with scope.wire() as wire:
            wire.ask(START + TO_DATA + content, STARTED + b"ccc" + answers)
        truth.connected().good(size=size)
    scope.prove(truth, size=HEADER_BYTES + 2)
    scope.prove_counts(truth)


def test_a_check_tells_nothing_of_the_mta(scope):
    """This one offers no refused recipients; the check that comes between does, with all else."""
    truth = Expected().connected(mail=False)
    with scope.wire() as mta, scope.wire() as check:
        mta.ask(offer(steps=0x7F), OFFER)
        check.ask(offer(actions=0), OFFER)
        mta.ask(connect(), CONTINUE)
        shown = [labels_of(series)["rejected_recipients"] for series in scope.dump().of(metric("coverage_info"))]
    assert shown == ["none"]
    scope.prove(truth)
    scope.prove_counts(truth)


def test_postfix_sends_no_header(own_parts):
    """Of a client for which Postfix adds none. It would wait five minutes for the answer to the end of message."""
    socket = own_parts.folder.tmpfs / "postfix.sock"
    settings = {"local_header_rewrite_clients": "", "milter_content_timeout": "5s"}
    postfix = own_parts.start(Postfix(own_parts.folder, attached(socket, **settings)))
    site = site_in(own_parts, "no_header", socket=socket, group=postfix.account()["group"])
    scope = own_parts.start(Scope(site))
    texts = ["", "\n", "\nThe body.\n", "No header.\n"]
    with Session(postfix) as session:
        for text in texts:
            session.begin_message()
            session.command("RCPT TO:<alice@example.test>", 250)
            session.command("DATA", 354)
            session.body(text, 250)
        session.quit()
    scope.wait_passed(len(texts))
    assert scope.value("messages_total", source="internal", verdict="lost") == 0


# ---- more sessions than descriptors ----

FILES = 1024  # of a process, as most systems have it
BEYOND, SILENT = 10, 60
UNOBSERVED = OFFER + ACCEPT
CHECKS = 3  # a second, the supervisor's and our own, that may be turned away, too
SHARE, SECONDS = 0.5, 2.0  # of a processor: a loop without rest takes a whole one


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rests(scope, what, meanwhile=lambda: None):
    """The filter takes no more than a share of a processor."""
    began, before, count = time.monotonic(), cpu_seconds(scope.filter), 0
    while time.monotonic() < began + SECONDS:
        meanwhile()
        count += 1
        pass_time(0.05)
    share = (cpu_seconds(scope.filter) - before) / (time.monotonic() - began)
    figure(f"hostile MTA: {what}: the filter took {100 * share:.1f} % of a processor")
    assert share < SHARE
    return count


@pytest.fixture
def many_files():
    """For this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * FILES:
        pytest.skip(f"this process may open {hard} files, and needs {4 * FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def turned_away(scope):
    """A session that the filter hangs up on at once."""
    began = time.monotonic()
    with scope.wire() as wire:
        wire.say_what_is_taken(START)
        assert wire.rest() == b""
    scope.slowest = max(scope.slowest, time.monotonic() - began)


def unobserved_session(scope):
    with scope.wire() as wire:
        wire.ask(START, UNOBSERVED)


def answers_again(scope):
    """A second between the questions, which are counted where they are turned away."""
    pass_time(1.0)
    return negotiates(scope.site.milter_socket)


def test_a_thousand_idle_sessions(own_parts, many_files):
    """As many as are observed, some beyond that pass unobserved, and some beyond the descriptors are turned away."""
    scope = own_parts.start(Attacked(site_in(own_parts, "idle"), enter=["prlimit", f"--nofile={FILES}:{FILES}"]))
    limit, truth = int(scope.value("sessions_limit")), Expected()
    with ExitStack() as wires:
        idle = [wires.enter_context(scope.wire()) for _ in range(limit + BEYOND)]
        for number, wire in enumerate(idle):
            wire.ask(START, STARTED if number < limit else UNOBSERVED)
        idle[0].ask(MESSAGE, MESSAGE_ANSWERS)
        truth.connected().good().connected(mail=False, times=limit - 1)
        unobserved = BEYOND + rests(scope, f"{limit + BEYOND} idle sessions", lambda: unobserved_session(scope))
        assert scope.value("sessions_unobserved_total") == unobserved

        began = time.monotonic()
        silent = [wires.enter_context(scope.wire()) for _ in range(SILENT)]
        wait_until(lambda: any(wire.has_hung_up() for wire in silent), "some beyond the descriptors are turned away")
        sessions = rests(scope, f"{limit + BEYOND + SILENT} idle connections", lambda: turned_away(scope))
        idle[0].ask(MESSAGE, MESSAGE_ANSWERS)
        truth.good()
        unobserved += sessions + sum(wire.has_hung_up() for wire in silent)
    wait_until(lambda: answers_again(scope), "the filter answers when they have gone")
    counted = int(scope.value("sessions_unobserved_total"))
    assert unobserved <= counted <= unobserved + CHECKS * (time.monotonic() - began + 1)
    truth.add("sessions_unobserved_total", counted)
    scope.prove(truth)
    scope.prove_counts(truth)
    figure(f"hostile MTA: {sessions} sessions turned away, the slowest after {scope.slowest:.3f} s")
