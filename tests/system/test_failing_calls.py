"""One allocation, or one call of the system, fails in one program: it refuses to start, and says why, or it works. Mail
is answered or let alone, what was answered is counted, nothing crashes, hangs or stays behind.

This is tried for each place in the programs and their libraries that such a call comes from; with EVERY=1 for the n-th
call, for all n. NUMBER=n or PLACE=p, as a failure names it, tries one."""

import contextlib
import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from kit.failing import Fault, sanitizer
from kit.figures import figure
from kit.metrics import Metrics, without
from kit.milter import negotiates
from kit.milter_wire import ACCEPT, CONTINUE, DATA, EOH, EOM, Wire
from kit.milter_wire import connect, header, helo, macros, mail, offer, packet, rcpt
from kit.place import TMPFS, program
from kit.process import Process, tail
from kit.programs import Exporter
from kit.resp import Resp
from kit.tally import Tally
from kit.wait import GENEROUS, wait_until
from scope import Scope, site_in
from truth import metric

AT_ONCE = 4  # they wait most of the time
CROWD = 8
PATIENCE = 5.0  # seconds of a client, as of an MTA; without a thread for a session, libmilter forgets it
CLIENT_SECONDS = 0.005  # libmilter's thread stays with a session for a millisecond, then its poll has it
KINDS = ["memory", "calls"]
PASSED = metric("messages_total", source="external", verdict="passed")
ONE = {"messages": 1, "recipients": 1, "refused": 0, "spam": 0}  # what a top list says of that
SYSEXITS = range(64, 79)


class Conversation:
    """A session with one message; the filter may hang up at any time, or not answer. `pause`: seconds that the client takes for a
    command. `asked`, `answered`: whether the end of the message was sent, and whether the answer to it came."""

    def __init__(self, path, pause=0):
        self.pause = pause
        self.asked = self.answered = False
        with contextlib.suppress(ConnectionError, FileNotFoundError, TimeoutError), Wire(path, PATIENCE) as wire:
            self.talk(wire)

    def talk(self, wire):
        wire.say(offer())
        if wire.answer() is None:
            return
        envelope = [macros(b"C", b"v", b"Postfix 3.7.11") + connect(), helo(), mail(), rcpt(), packet(DATA)]
        if all(self.may_go_on(wire, words) for words in envelope):
            self.asked = True
            self.answered = self.may_go_on(wire, header() + packet(EOH) + packet(EOM))

    def may_go_on(self, wire, words):
        """No other answer would let the mail alone."""
        time.sleep(self.pause)
        wire.say(words)
        answer = wire.answer()
        assert answer is None or answer[0] in (CONTINUE, ACCEPT), answer
        return answer is not None and answer[0] == CONTINUE


class Trial(Scope):
    """A life of milterscope in which one call fails: it takes over what an earlier one has left."""

    def __init__(self, site, fault, earlier, redis):
        super().__init__(site)
        self.fault, self.redis = fault, redis
        self.conversations = []
        for name in ("run_directory", "state_directory"):
            shutil.copytree(earlier / name, getattr(site, name), dirs_exist_ok=True)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(site.milter_socket)
        self.before = Tally(site.run_directory).total(PASSED)

    def begin(self):
        self.enter = self.fault.words
        super().begin()
        self.enter = []  # --dump is another process of the same name

    def has_ended(self):
        return self.process.popen.poll() is not None

    def message(self):
        """One that is counted, after some that need not be."""

        def is_answered():
            assert not self.has_ended(), "it ended, after it had begun to serve"
            self.conversations.append(Conversation(self.site.milter_socket, CLIENT_SECONDS))
            return self.conversations[-1].answered

        wait_until(is_answered, "a message is observed")

    def crowd(self):
        """More at once than libmilter has threads for."""
        with ThreadPoolExecutor(CROWD) as pool:
            self.conversations += pool.map(Conversation, [self.site.milter_socket] * 4 * CROWD)

    def ask(self, number, words):
        """Sends a signal. Where a call has failed already, there is nothing new to see."""
        if not self.fault.happened:
            self.process.send(number)
            wait_until(lambda: self.lines(words) or self.fault.happened, lambda: f"{words!r} in the log:\n{self.log()}")
            self.message()

    def counted(self):
        asked, answered = (sum(getattr(one, what) for one in self.conversations) for what in ("asked", "answered"))
        counted = self.dump().values[PASSED]
        if self.lines("it cannot be gone on with: a new tally begins at 0"):
            self.before = 0  # the copy bears the mark of a clean stop for ever
        assert self.before + answered <= counted <= self.before + asked
        return counted

    def wait_pushed(self, count):
        with Resp(self.redis.socket) as redis:
            key = self.site.key("counters")
            wait_until(lambda: int(redis("HGET", key, PASSED) or 0) == count, f"{count} in Redis")

    def live(self):
        self.begin()
        try:
            wait_until(lambda: self.has_ended() or negotiates(self.site.milter_socket), "it serves, or ends")
            if self.has_ended():
                self.refused()
            else:
                self.serve()
        finally:
            if not self.has_ended():
                self.kill()
        assert not self.left()
        assert not self.lines("Sanitizer") and not self.lines("runtime error")
        deaths = self.lines("died: signal")
        assert all("signal 9 " in line for line in deaths), deaths  # that one is the supervisor's

    def refused(self):
        assert self.wait_gone() in SYSEXITS
        assert self.lines("milterscope: "), "it said nothing"

    def serve(self):
        self.message()
        self.crowd()
        self.ask(signal.SIGUSR1, "configuration reloaded")
        self.ask(signal.SIGUSR2, "takes over from filter")
        self.wait_pushed(self.counted())
        assert (self.stop_at_once() if self.fault.happened else self.stop()) == 0
        self.counted()


@pytest.fixture(scope="module")
def earlier(parts, redis):
    """The folders of a milterscope that has been stopped."""
    site = site_in(parts, "earlier", redis.url)
    with Scope(site) as scope:
        Conversation(site.milter_socket)
        scope.wait_passed(1)
    folder = parts.folder.disk / "left"
    for name in ("run_directory", "state_directory"):
        shutil.copytree(getattr(site, name), folder / name)
    return folder


class Shown:
    """What a tally holds, and every text that shows it must, too: all of its counts, or none."""

    def __init__(self, scope):
        self.site = scope.site
        self.text = scope.dump()
        self.counts = {series for series in self.text.counts() if "_push_" not in series}

    def passed(self, text):
        """How many messages passed, as a text says it; None: it holds no counts at all."""
        counts = {without(series, "instance"): count for series, count in Metrics(text).counts().items()}
        missing = self.counts - counts.keys()
        assert not missing or not counts.keys() & self.counts, missing
        return counts.get(PASSED)


def print_once(command, fault, log, shown):
    """A command that prints what it reads, and ends."""
    with open(log, "wb") as errors:
        words = [*fault.words, *command]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=errors, timeout=GENEROUS, check=False)
    said = [line for line in log.read_text().splitlines() if line.startswith(f"{fault.name}: ")]
    if done.returncode != 0:
        assert done.returncode in SYSEXITS and said
    elif any("these are the totals of the last copy" in line for line in said):
        Metrics(done.stdout.decode())
    else:
        assert shown.passed(done.stdout.decode()) == 1


class Served(Exporter):
    """An exporter in which one call fails."""

    def __init__(self, site, fault, shown):
        super().__init__(site, fault.words)
        self.fault, self.shown = fault, shown

    def answer(self, path, **headers):
        """None: it hung up, or does not listen."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            response = self.get(path, **headers)
            assert "Content-Type" in response.headers
            return response

    def ask(self, path, **headers):
        assert self.process.popen.poll() is None, "it ended, after it had begun to serve"
        return self.answer(path, **headers)

    def is_whole(self, **headers):
        """Whether a scrape was answered in full. One that was not says so."""
        response = self.ask("/metrics", **headers)
        if response is None or response.status != 200:
            return False
        packed = response.headers.get("Content-Encoding") == "gzip"
        text = (gzip.decompress(response.content) if packed else response.content).decode()
        passed = self.shown.passed(text)
        assert passed in (1, None)
        return passed == 1

    def is_top_whole(self):
        """Whether a top list was answered: the one client with its one message. One that was not says so."""
        response = self.ask("/api/v1/top?set=client&hours=2")
        if response is None or response.status != 200:
            return False
        answer = json.loads(response.content)
        assert (answer["set"], answer["totals"]) == ("client", ONE)
        (client,) = answer["top"]
        assert client == {"member": "192.0.2.1", **ONE, "share": 1, "error": 0}
        return True

    def wait_ready(self):
        wait_until(lambda: (response := self.ask("/readyz")) and response.status == 200, "it is ready")
        wait_until(self.is_whole, "a scrape")

    def live(self):
        log = self.logs()[0]
        self.process = Process(self.command(), log)
        try:
            wait_until(lambda: self.process.popen.poll() is not None or self.answer("/livez"), "it serves, or ends")
            if self.process.popen.poll() is not None:
                assert self.process.popen.wait() in SYSEXITS
                assert "milterscope-exporter: " in log.read_text(), "it said nothing"
                return
            self.wait_ready()
            self.is_whole(Accept_Encoding="gzip")
            self.ask("/")
            self.is_top_whole()
            self.process.send(signal.SIGUSR1)
            self.wait_ready()
            wait_until(self.is_top_whole, "a top list")
            assert self.stop() == 0
        finally:
            if self.process.popen.poll() is None:
                self.process.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def shown(parts, redis):
    """Of a milterscope that runs; Redis knows no other."""
    redis.command("FLUSHALL")
    scope = parts.start(Scope(site_in(parts, "shown", redis.url)))
    Conversation(scope.site.milter_socket)
    scope.wait_passed(1)
    with Resp(redis.socket) as resp:
        wait_until(lambda: resp("EXISTS", *tops(scope)), "top lists are in Redis")
    wait_until(lambda: scope.tally().kept(PASSED) == 1, "the message may be shown")
    return Shown(scope)


def tops(scope):
    """The keys of the hour that runs, and of the one before."""
    hours = (time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() - past)) for past in (0, 3600))
    return [scope.site.key(f"top:client:{hour}") for hour in hours]


# ---- for all ----


def elsewhere(directory):
    """Where the tally of this run directory goes when nobody can tell that it is on tmpfs: statfs has failed."""
    place = directory.stat()
    return TMPFS / f"milterscope-{os.geteuid()}-{place.st_dev:x}-{place.st_ino:x}"


class Faults:
    """Lives of a program in which calls of a kind fail, one in each. `live`: called with a site and a fault."""

    def __init__(self, parts, redis, live, words):
        self.parts, self.redis, self.live, self.words = parts, redis, live, words
        self.failures, self.took = [], []

    def one(self, **which):
        """(whether a call has failed, how many there were, from which places)"""
        name = "-".join([*self.words, *map(str, which.values())])
        site = site_in(self.parts, name, self.redis.url)
        # Nobody has to wait until the drain time is over.
        site.write(milter={"drain": 2 * GENEROUS}, redis={"push_interval": 0.1})
        fault = Fault(site.folder.disk, *self.words[-2:], **which)
        began = time.monotonic()
        try:
            self.live(site, fault)
        except (AssertionError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as failure:
            logs = "\n".join(tail(log) for log in site.folder.disk.glob("*.log"))
            self.failures.append(f"{fault}: {type(failure).__name__} {failure}; log:\n{logs}")
        self.took.append((time.monotonic() - began, str(fault)))
        result = fault.happened, fault.seen, fault.places
        if not self.failures:
            shutil.rmtree(elsewhere(site.run_directory), ignore_errors=True)
            shutil.rmtree(site.folder.disk)
            shutil.rmtree(site.folder.tmpfs)
        return result

    def many(self, name, values):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda value: self.one(**{name: value}), values))

    def all(self):
        if self.words[-1] == "memory" and sanitizer():
            pytest.skip("the address sanitizer has an allocator of its own")
        only = {name.lower(): int(os.environ[name], 0) for name in ("NUMBER", "PLACE") if name in os.environ}
        _, seen, places = self.one(**only)
        if "EVERY" in os.environ:
            self.many("number", range(1, seen + 1))
            while self.one(number=seen + 1)[0]:  # they are not always as many
                seen += 1
        elif not only:
            self.many("place", places)
        slowest = "the slowest life {:.1f} s ({})".format(*max(self.took))
        figure(f"failing calls: {' '.join(self.words)}: {seen} from {len(places)} places; {slowest}")
        assert not self.failures, "\n\n".join(self.failures[:5])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["milterscope", "milterscope-filter", "milterscope-pusher"])
def test_milterscope(parts, redis, earlier, name, kind):
    Faults(parts, redis, lambda site, fault: Trial(site, fault, earlier, redis).live(), ["life", name, kind]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_dump(parts, redis, shown, kind):
    def live(site, fault):
        command = [program("milterscope"), "-c", shown.site.file, "--dump"]
        print_once(command, fault, site.folder.disk / "dump.log", shown)

    Faults(parts, redis, live, ["dump", "milterscope", kind]).all()


def of_exporter(site, shown, scope="node"):
    """The site of an exporter on the host of that milterscope."""
    site.write(exporter={"scope": scope})
    changes = {key: shown.site.settings[key] for key in ("instance", "run_directory", "state_directory")}
    site.write(**changes, redis=shown.site.settings["redis"])
    return site


@pytest.mark.parametrize("kind", KINDS)
def test_exporter_once(parts, redis, shown, kind):
    def live(site, fault):
        command = [program("milterscope-exporter"), "-c", of_exporter(site, shown).file, "--once"]
        print_once(command, fault, site.folder.disk / "once.log", shown)

    Faults(parts, redis, live, ["once", "milterscope-exporter", kind]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", ["node", "fleet"])
def test_exporter(parts, redis, shown, scope, kind):
    def live(site, fault):
        Served(of_exporter(site, shown, scope), fault, shown).live()

    Faults(parts, redis, live, ["serve", scope, "milterscope-exporter", kind]).all()
