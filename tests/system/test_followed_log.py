"""The log of a mail server while it is written, rotated and truncated, and its reader is killed, stopped and late: in
the end the collector has counted each line once, as one reading of the whole log does. The lines are those of a real
Postfix, sendmail and Exim, many times over."""

import os
import random
import re
import signal

import pytest
from delivered import counts_of
from exporter import ask
from kit.figures import figure
from kit.place import TOP
from kit.programs import Collector, Exporter, Milterscope
from kit.servers import Redis
from kit.wait import wait_until
from scope import site_in
from truth import metric

LEAST = 20000  # lines
PIECES = 40
LINES_TOTAL = metric("log_lines_total")
PANICS = metric("log_problems_total", severity="panic")
SUCCESS = metric("collector_success", collector="log")
EVENTS = ("killed", "stopped", "renamed", "renamed while nobody reads", "nothing")
# What else an MTA writes: how that is called, here and in tests/data.
BESIDE = {"exim": {"rejectlog": "reject", "paniclog": "panic"}}
MAIN = {"exim": "mainlog"}
TIME = re.compile(rb"^([A-Z][a-z]{2} [ \d]\d|\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d", flags=re.MULTILINE)


def written(pattern):
    return b"".join(log.read_bytes() for log in sorted(TOP.glob(f"tests/data/{pattern}.log"))).splitlines(keepends=True)


def entries(lines):
    """{what stands in the main log, too: that, and the lines behind it}."""
    found = {}
    for line in lines:
        if re.match(rb"\d{4}-\d\d-\d\d ", line):
            head = line
        found[head] = found.get(head, b"") + line
    return found


class Lines:
    """What a real MTA writes: `kind` is what it is to the collector. Each time they are of a later second, as a log is
    known by the time in its first line."""

    def __init__(self, kind):
        self.kind, self.now = kind, 0
        self.beside = {name: entries(written(f"{kind}-*-{part}")) for name, part in BESIDE.get(kind, {}).items()}
        texts = [text for found in self.beside.values() for text in found.values()]
        behind = {line for text in texts for line in text.splitlines(keepends=True)[1:]}
        self.main = [line for line in written(f"{kind}-*") if line not in behind]

    def some(self, number):
        """{log: text}, of so many lines of the main log, in any order."""
        lines = random.choices(self.main, k=number)
        texts = {MAIN.get(self.kind, "mail.log"): b"".join(lines)}
        for name, found in self.beside.items():
            texts[name] = b"".join(found[line] for line in lines if line in found)
        self.now += 1
        now = rb"\1 %02d:%02d:%02d" % (self.now // 3600, self.now // 60 % 60, self.now % 60)
        return {name: TIME.sub(now, text) for name, text in texts.items()}


KINDS = {kind: Lines(kind) for kind in ("postfix", "sendmail", "exim")}
LINES = KINDS["postfix"].main


class Log:
    """Written as syslog and logrotate do it; `whole` is all that was ever written."""

    def __init__(self, path):
        self.path = path
        self.whole = path.with_name(path.name + ".whole")
        self.file = None

    def write(self, data):
        if self.file is None:
            self.file = open(self.path, "ab", buffering=0)
        self.file.write(data)
        with open(self.whole, "ab") as whole:
            whole.write(data)

    def rename(self, late, early):
        """The writer goes on in the renamed file for a while, as it has not been told yet."""
        os.rename(self.path, f"{self.path}.1")
        self.write(late)
        self.file.close()
        self.file = None
        self.write(early)


class Logs:
    """All those of one MTA."""

    def __init__(self, folder, lines):
        self.lines = lines
        self.logs = {name: Log(folder / name) for name in lines.some(0)}

    def paths(self):
        return [str(log.path) for log in self.logs.values()]

    def write(self, texts):
        for name, text in texts.items():
            self.logs[name].write(text)

    def rename(self):
        late, early = self.lines.some(5), self.lines.some(1)
        for name, log in self.logs.items():
            log.rename(late[name], early[name])

    def number(self):
        """Of all lines that were written."""
        return sum(log.whole.read_bytes().count(b"\n") for log in self.logs.values())

    def told(self, counts):
        """Of all series those that tell of the logs, where they are not 0. What stands in two is counted once, but
        which of the lines that is depends on which was read first."""
        left_out = LINES_TOTAL if len(self.logs) > 1 else ()
        return {
            series: value
            for series, value in counts.items()
            if value and ("_log_" in series or "deliver" in series) and not series.startswith(left_out)
        }

    def truth(self, site):
        """What the main log tells, and that all of a panic log is one."""
        main, *_ = self.logs.values()
        truth = self.told(counts_of(main.whole, site.file, self.lines.kind))
        panics = self.logs["paniclog"].whole.read_bytes().count(b"\n") if "paniclog" in self.logs else 0
        return truth | {PANICS: truth.get(PANICS, 0) + panics} if panics else truth


@pytest.fixture(scope="module")
def seed():
    number = int(os.environ.get("SEED", random.randrange(1 << 30)))
    figure(f"followed log: seed {number}")
    random.seed(number)


def followed(own_parts, name, kind="postfix", **changes):
    site = site_in(own_parts, f"{name}-{kind}", own_parts.start(Redis(own_parts.folder)).url)
    site.logs = Logs(site.folder.disk, KINDS[kind])
    site.log, *_ = site.logs.logs.values()
    site.write(collector={"logs": site.logs.paths()}, mta={"kind": kind}, **changes)
    site.milterscope = own_parts.start(Milterscope(site))
    return site


def lines_of(site):
    counts = site.milterscope.dump().counts()
    return sum(value for series, value in counts.items() if series.startswith(LINES_TOTAL))


def wait_read(site):
    """Until as many lines were counted as were written; returns how many."""
    lines = site.logs.number()
    wait_until(lambda: lines_of(site) >= lines, lambda: f"{lines} lines are counted; it is {lines_of(site)}")
    return lines


def check_whole(site):
    lines = wait_read(site)
    assert lines_of(site) == lines
    assert site.logs.told(site.milterscope.dump().counts()) == site.logs.truth(site)
    return lines


def wait_seen(site):
    wait_until(lambda: site.milterscope.dump().values.get(metric("observable", part="delivery_log")) == 1, "the log is read")


def wait_success(site, success):
    wait_until(lambda: site.milterscope.dump().values.get(SUCCESS) == success, f"the log is read: {success}")


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_happens(own_parts, seed, kind):
    site = followed(own_parts, "whatever", kind)
    site.logs.write(site.logs.lines.some(0))
    collector = own_parts.start(Collector(site))
    wait_seen(site)
    happened = {}
    for _ in range(PIECES):
        texts = site.logs.lines.some(LEAST // PIECES)
        cuts = {name: random.randrange(len(text) + 1) for name, text in texts.items()}
        event = random.choice(EVENTS)
        happened[event] = happened.get(event, 0) + 1
        if "renamed" in event:
            wait_read(site)  # else what was renamed before would be removed unread
        site.logs.write({name: text[: cuts[name]] for name, text in texts.items()})  # a line in two parts
        if event == "killed":
            collector.process.send(signal.SIGKILL)
            collector.process.popen.wait()
        elif event in ("stopped", "renamed while nobody reads"):
            assert collector.stop() == 0
        site.logs.write({name: text[cuts[name] :] for name, text in texts.items()})
        if "renamed" in event:
            site.logs.rename()
        if collector.process.popen.poll() is not None:
            collector.start()
    lines = check_whole(site)
    figure(f"followed log of {kind}: {lines} lines, each counted once; {dict(sorted(happened.items()))}")


@pytest.mark.parametrize("kind", KINDS)
def test_late(own_parts, seed, kind):
    """A log that is not there when the collector starts is read from its first line."""
    site = followed(own_parts, "late", kind)
    own_parts.start(Collector(site))
    site.logs.write(site.logs.lines.some(500))
    check_whole(site)


def test_much_at_once(own_parts, seed):
    """All that was written in an hour to logs of which one repeats the other."""
    site = followed(own_parts, "much", "exim")
    site.logs.write(site.logs.lines.some(0))
    collector = own_parts.start(Collector(site))
    wait_seen(site)
    assert collector.stop() == 0
    for _ in range(1200):
        site.logs.write(site.logs.lines.some(40))
    collector.start()
    figure(f"followed log: {check_whole(site)} lines of an hour, each counted once")


def test_not_before(own_parts, seed):
    """At the very first start a log is read from its end: what happened before was not seen."""
    site = followed(own_parts, "before")
    site.log.write(b"".join(LINES[:100]))
    os.truncate(site.log.whole, 0)
    own_parts.start(Collector(site))
    wait_seen(site)
    site.log.write(b"".join(random.choices(LINES, k=500)))
    check_whole(site)


def test_read_elsewhere(own_parts, seed):
    """Where the log is read in another place for a while, as `auto` may do it, that part is not read again."""
    site = followed(own_parts, "elsewhere")
    other = Log(site.folder.disk / "other.log")
    whole = 0
    for place, lines in ((site.log, 300), (other, 300), (site.log, 500)):
        for log in (site.log, other):
            log.write(b"")
        site.write(collector={"logs": [str(place.path)]}, mta={"kind": "postfix"})
        collector = own_parts.start(Collector(site))
        wait_seen(site)
        data = b"".join(random.choices(LINES, k=lines))
        whole += data.count(b"\n")
        for log in (site.log, other):
            log.write(data)
        wait_until(lambda: lines_of(site) >= whole, lambda: f"{whole} lines are counted; it is {lines_of(site)}")
        assert collector.stop() == 0
    assert lines_of(site) == whole


def test_saving_fails(own_parts, seed):
    """A disk that takes nothing is said once, and fails the collector until it takes something again."""
    site = followed(own_parts, "unsaved")
    site.log.write(b"")
    collector = own_parts.start(Collector(site))
    wait_seen(site)
    hindrance = site.state_directory / "log.json.new"
    hindrance.mkdir()
    site.log.write(random.choice(LINES))
    wait_success(site, 0)
    for _ in range(3):
        site.log.write(random.choice(LINES))
        wait_read(site)
        assert site.milterscope.dump().values[SUCCESS] == 0
    hindrance.rmdir()
    wait_success(site, 1)
    assert collector.logs()[0].read_text().count("log.json cannot be written") == 1


def test_places_that_fail(own_parts, seed):
    """Of several places each one that fails is said, once until it changes; the others are read."""
    site = followed(own_parts, "fails")
    bad = [site.folder.disk / name for name in ("bad-1.log", "bad-2.log")]
    for folder in bad:
        folder.mkdir()
    site.log.write(b"")
    site.write(collector={"logs": [str(path) for path in (bad[0], site.log.path, bad[1])]})
    collector = own_parts.start(Collector(site))
    wait_seen(site)
    wait_success(site, 0)
    for lines in range(1, 4):
        site.log.write(random.choice(LINES))
        wait_until(lambda lines=lines: lines_of(site) == lines, f"{lines} lines are counted")
    said = collector.logs()[0].read_text()
    assert [said.count(f"log: the log {folder} cannot be read: ") for folder in bad] == [1, 1], said
    assert said.count("log: 2 of 3 places of the log fail") == 1, said
    for folder in bad:
        folder.rmdir()
    wait_success(site, 1)


def test_truncated(own_parts, seed):
    """copytruncate of logrotate: what was read before the cut is counted, and what is written behind it."""
    site = followed(own_parts, "truncated")
    site.log.write(b"")
    collector = own_parts.start(Collector(site))
    for _ in range(3):
        site.log.write(b"".join(random.choices(LINES, k=500)))
        check_whole(site)
        os.truncate(site.log.path, 0)
    site.log.write(b"".join(random.choices(LINES, k=100)))
    check_whole(site)
    assert collector.logs()[0].read_text().count(f"{site.log.path} as it was read last is not to be had any more") == 3


@pytest.mark.parametrize("privacy", [False, True])
def test_not_understood(own_parts, seed, privacy):
    """The last ten are there for people to read, whatever they hold; on the page without people's names."""
    site = followed(own_parts, f"unparsed_{privacy}", privacy=privacy)
    site.log.write(b"")
    own_parts.start(Collector(site))
    wait_seen(site)
    site.log.write(b"".join(b"no time \x1b[31m%d\r\n" % i for i in range(12)) + b"x" * 2000 + b"\n")
    check_whole(site)
    told = (site.run_directory / "unparsed").read_bytes()
    assert told == b"".join(b"no time ?[31m%d\n" % i for i in range(3, 12)) + b"x" * 511 + b"\n"
    site.log.write(b"joe@example.test is <b>late</b>\n")
    exporter = own_parts.start(Exporter(site))
    page = lambda: ask(exporter, "GET", "/").content.decode()  # noqa: E731
    if privacy:
        check_whole(site)
        assert "late" not in page()
    else:
        wait_until(lambda: "<bdi>…@example.test is &lt;b&gt;late&lt;/b&gt;</bdi>" in page(), page, interval=0.5)
        assert "no time ?[31m11" in page()
