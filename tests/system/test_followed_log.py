"""The log of a mail server while it is written, rotated and truncated, and its reader is killed, stopped and late: in the end the collector has
counted each line once, as one reading of the whole log does. The lines are those of a real Postfix, many times over."""

import os
import random
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

LINES = [line for log in sorted(TOP.glob("tests/data/postfix-*.log")) for line in log.read_bytes().splitlines(keepends=True)]
LEAST = 20000  # lines
PIECES = 60
LINES_TOTAL = metric("log_lines_total")
SUCCESS = metric("collector_success", collector="log")
EVENTS = ("killed", "stopped", "renamed", "renamed while nobody reads", "nothing")


class Log:
    """Written as syslog and logrotate do it; `whole` is all that was ever written."""

    def __init__(self, path):
        self.path = path
        self.whole = path.with_suffix(".whole")
        self.file = None

    def write(self, data):
        if self.file is None:
            self.file = open(self.path, "ab", buffering=0)
        self.file.write(data)
        with open(self.whole, "ab") as whole:
            whole.write(data)

    def rename(self):
        """The writer goes on in the renamed file for a while, as it has not been told yet."""
        os.rename(self.path, f"{self.path}.1")
        self.write(b"".join(random.choices(LINES, k=5)))
        self.file.close()
        self.file = None
        self.write(random.choice(LINES))


@pytest.fixture(scope="module")
def seed():
    number = int(os.environ.get("SEED", random.randrange(1 << 30)))
    figure(f"followed log: seed {number}")
    random.seed(number)


def followed(own_parts, name, **changes):
    site = site_in(own_parts, name, own_parts.start(Redis(own_parts.folder)).url)
    site.log = Log(site.folder.disk / "mail.log")
    site.write(collector={"logs": [str(site.log.path)]}, mta={"kind": "postfix"}, **changes)
    site.milterscope = own_parts.start(Milterscope(site))
    return site


def told(counts):
    """Of all series those that tell of the log, where they are not 0."""
    return {series: value for series, value in counts.items() if value and ("_log_" in series or "deliver" in series)}


def lines_of(site):
    counts = site.milterscope.dump().counts()
    return sum(value for series, value in counts.items() if series.startswith(LINES_TOTAL))


def wait_read(site):
    """Until as many lines were counted as were written; returns how many."""
    lines = site.log.whole.read_bytes().count(b"\n")
    wait_until(lambda: lines_of(site) >= lines, lambda: f"{lines} lines are counted; it is {lines_of(site)}")
    return lines


def check_whole(site):
    lines = wait_read(site)
    assert lines_of(site) == lines
    assert told(site.milterscope.dump().counts()) == told(counts_of(site.log.whole, site.file))
    return lines


def wait_seen(site):
    wait_until(lambda: site.milterscope.dump().values.get(metric("observable", part="delivery_log")) == 1, "the log is read")


def wait_success(site, success):
    wait_until(lambda: site.milterscope.dump().values.get(SUCCESS) == success, f"the log is read: {success}")


def test_whatever_happens(own_parts, seed):
    site = followed(own_parts, "whatever")
    site.log.write(b"")
    collector = own_parts.start(Collector(site))
    wait_seen(site)
    happened = {}
    for _ in range(PIECES):
        data = b"".join(random.choices(LINES, k=LEAST // PIECES))
        cut = random.randrange(len(data))
        event = random.choice(EVENTS)
        happened[event] = happened.get(event, 0) + 1
        if "renamed" in event:
            wait_read(site)  # else what was renamed before would be removed unread
        site.log.write(data[:cut])  # a line in two parts
        if event == "killed":
            collector.process.send(signal.SIGKILL)
            collector.process.popen.wait()
        elif event in ("stopped", "renamed while nobody reads"):
            assert collector.stop() == 0
        site.log.write(data[cut:])
        if "renamed" in event:
            site.log.rename()
        if collector.process.popen.poll() is not None:
            collector.start()
    lines = check_whole(site)
    figure(f"followed log: {lines} lines, each counted once; {dict(sorted(happened.items()))}")


def is_read(site):
    return True


def test_late(own_parts, seed):
    """A log that is not there when the collector starts is read from its first line."""
    site = followed(own_parts, "late")
    own_parts.start(Collector(site))
    site.log.write(b"".join(random.choices(LINES, k=500)))
    check_whole(site)


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
    own_parts.start(Collector(site))
    for _ in range(3):
        site.log.write(b"".join(random.choices(LINES, k=500)))
        check_whole(site)
        os.truncate(site.log.path, 0)
    site.log.write(b"".join(random.choices(LINES, k=100)))
    check_whole(site)


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
