"""The journal of a real systemd-journald, while it is rotated, vacuumed, moved to the disk and back, and journald and the collector are
stopped and killed: the collector counts each line once that the journal holds, as one reading of it by journalctl does, and what journald
says that it suppressed of the MTA."""

import os
import random
import signal
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager

import pytest
from delivered import counts_of
from kit.figures import figure
from kit.journal import DROPPED, Journal
from kit.place import TOP
from kit.process import run
from kit.programs import Collector, Milterscope
from kit.servers import Postfix
from kit.wait import GENEROUS, pass_time, wait_until
from mail import Traffic
from scope import site_in
from truth import metric

# "program[pid]: text", of a real Postfix
LINES = [
    line.split(" ", 2)[2] if line[0].isdigit() else line.split(" mx ", 1)[1]
    for log in sorted(TOP.glob("tests/data/postfix-*.log"))
    for line in log.read_text(errors="replace").splitlines()
]
MAIL = "SYSLOG_FACILITY=2"
UNIT = "postfix@-.service"
LINES_TOTAL = metric("log_lines_total")
LOST = metric("log_lines_lost_total")
SENT = metric("deliveries_total", destination="local", status="sent")
PANICS = metric("log_problems_total", severity="panic")
SUCCESS = metric("collector_success", collector="log")
LAG = metric("log_lag_seconds")
SEEN = metric("observable", part="delivery_log")


@pytest.fixture(scope="module")
def seed():
    number = int(os.environ.get("SEED", random.randrange(1 << 30)))
    figure(f"journald: seed {number}")
    random.seed(number)


class Node:
    """A host with a journald, and a collector that reads its journal, from its beginning to its end."""

    def __init__(self, own_parts, name, **options):
        self.site = site_in(own_parts, name, collector={"logs": ["journal"]}, mta={"kind": "postfix"})
        self.journal = own_parts.start(Journal(self.site.folder, **options))
        self.collector = own_parts.start(Collector(self.site, enter=self.journal.enter))
        self.wait_seen(1)

    def wait_seen(self, seen):
        wait_until(lambda: self.value(SEEN) == self.value(SUCCESS) == seen, lambda: f"the journal is read: {seen}")

    def values(self):
        return Milterscope(self.site).dump()

    def value(self, series):
        return self.values().values.get(series)

    def told(self):
        """Of all series those that tell of the log, where they are not 0."""
        counts = self.values().counts()
        return {series: value for series, value in counts.items() if value and ("_log_" in series or "deliver" in series)}

    def lines(self):
        return sum(value for series, value in self.values().counts().items() if series.startswith(LINES_TOTAL))

    def wait_lines(self, lines):
        wait_until(lambda: self.lines() >= lines, lambda: f"{lines} lines are counted; it is {self.lines()}")
        assert self.lines() == lines

    def in_journal(self):
        return self.journal.text(MAIL)

    def check_whole(self):
        """Each line that is in the journal is counted once, for what it says; returns how many."""
        text = self.in_journal()
        lines = text.count("\n")
        self.wait_lines(lines)
        copy = self.site.folder.disk / "journal.txt"
        copy.write_text(text)
        expected = counts_of(copy, self.site.file)
        assert {series: value for series, value in self.told().items() if series != LOST} == {
            series: value for series, value in expected.items() if "_log_" in series or "deliver" in series
        }
        return lines

    # ---- what happens ----

    def collects(self):
        return self.collector.process.popen.poll() is None

    def kill(self):
        self.collector.process.send(signal.SIGKILL)
        self.collector.process.popen.wait()

    def stop(self):
        assert self.collector.stop() == 0

    def rotate(self):
        self.journal.tell("--rotate")

    def to_disk(self):
        self.journal.tell("--flush")

    def to_memory(self):
        self.journal.tell("--relinquish-var")

    def end_journald(self):
        self.journal.end()

    def kill_journald(self):
        self.journal.end(signal.SIGKILL)

    @contextmanager
    def written(self, lines):
        """Meanwhile, as far as there is room while no journald runs."""
        writer = threading.Thread(target=self.journal.write, args=[lines])
        writer.start()
        yield
        writer.join()

    def go_on(self):
        """Whoever does not run is started."""
        if not self.journal.lives():
            self.journal.start()
        if not self.collects():
            self.collector.start()


class Unit:
    """A context: a program that logs all the time, as a unit."""

    def __init__(self, own_parts, journal, name, program):
        self.journal, self.name, self.program = journal, name, program
        self.words = [*journal.unit(name), "logger", "--priority", "mail.info", "--tag", program]
        self.written = 0
        own_parts.start(self)

    def __enter__(self):
        self.logger = subprocess.Popen(self.words, stdin=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *failure):
        self.logger.communicate()

    def write(self, lines):
        self.logger.stdin.write("disconnect from unknown[127.0.0.1] quit=1 commands=1\n" * lines)
        self.logger.stdin.flush()
        self.written += lines

    def stored(self):
        return len(self.journal.entries(f"SYSLOG_IDENTIFIER={self.program}"))

    def lost(self):
        """As journald says."""
        said = [entry for entry in self.journal.entries(DROPPED) if self.name in entry["MESSAGE"]]
        return sum(int(entry["N_DROPPED"]) for entry in said)

    def wait_told(self):
        """It is told with the first line after the interval, of which there were too many."""

        def told():
            self.write(1)
            return self.written == self.stored() + self.lost()

        wait_until(told, "journald tells how many it suppressed", interval=0.1)


def some(lines):
    return random.choices(LINES, k=lines)


def test_postfix(own_parts):
    """A real Postfix, as a unit, delivers all the time."""
    node = Node(own_parts, "postfix")
    settings = {"maillog_file": "", "in_flow_delay": 0}
    postfix = own_parts.start(Postfix(node.site.folder, settings, enter=node.journal.unit(UNIT)))
    with Traffic(postfix) as traffic:
        for event in (node.kill, node.stop, node.rotate, node.end_journald) * 2:
            traffic.wait(3)
            event()
            if event != node.end_journald:
                traffic.wait(3)  # while nobody reads
            node.go_on()
    postfix.wait_idle()
    lines = node.check_whole()
    assert node.value(SENT) == traffic.messages
    assert node.journal.entries(f"_SYSTEMD_UNIT={UNIT}") or not node.journal.group
    figure(f"journald: {traffic.messages} messages of a real Postfix, {lines} lines")


@pytest.mark.parametrize("storage", ["volatile", "persistent"])
def test_whatever_happens(own_parts, seed, storage):
    """On the disk there is what journald has moved there, as it does when the machine has started; it goes back, too."""
    node = Node(own_parts, storage, Storage=storage)
    happened = Counter()
    events = {event: node.collects for event in (node.kill, node.stop)}
    events |= {event: node.journal.lives for event in (node.rotate, node.end_journald, node.kill_journald)}
    if storage == "persistent":
        events |= {event: node.journal.lives for event in (node.to_disk, node.to_memory)}
    for _ in range(25):
        node.journal.write(some(100))
        for event in random.sample(list(events), k=random.randrange(4)):
            if events[event]():
                event()
                happened[event.__name__] += 1
        with node.written(some(100)):
            node.go_on()
    lines = node.check_whole()
    figure(f"journald: {storage}, {lines} lines, each counted once; {dict(sorted(happened.items()))}")


def test_vacuumed(own_parts, seed):
    """What journald removed before it was read is lost, and nothing else: reading goes on with what is left."""
    node = Node(own_parts, "vacuumed")
    node.journal.write(some(300))
    read = node.check_whole()
    node.stop()
    for _ in range(3):
        node.journal.write(some(200))
        node.rotate()
    node.journal.tell("--vacuum-files=2")
    left = node.in_journal().count("\n")
    assert 0 < left < 600
    node.collector.start()
    node.wait_lines(read + left)
    node.stop()
    node.rotate()
    node.journal.tell("--vacuum-time=1us")  # all that is not written to any more
    assert node.in_journal() == ""
    node.collector.start()
    node.journal.write(some(300))
    node.wait_lines(read + left + 300)


def test_vacuumed_while_it_is_read(own_parts, seed):
    """Files go in the middle, with the room that they took on the disk. More of them than can be read in a run."""
    node = Node(own_parts, "behind")
    node.stop()
    for _ in range(4):
        node.journal.write(some(25000))
        node.rotate()
    node.collector.start()
    wait_until(node.lines, "lines are counted")
    node.collector.process.send(signal.SIGSTOP)
    read = node.lines()
    node.journal.tell("--vacuum-files=1")
    assert node.in_journal() == ""
    node.journal.write([*some(100), "postfix/master[1]: panic: it ends"])
    node.collector.process.send(signal.SIGCONT)
    wait_until(lambda: node.value(PANICS) == 1, "the last line is counted")
    late = node.lines() - 101 - read
    assert 0 <= late <= 100000 - read
    figure(f"journald: of 100000 lines {read} were counted before they were vacuumed away, and {late} then")


def test_suppressed(own_parts):
    """By the limit of a unit: of the MTA it is counted, once; of another one it is not."""
    node = Node(own_parts, "suppressed", RateLimitIntervalSec="300ms", RateLimitBurst=20)
    if not node.journal.group:
        pytest.skip("no control groups of a test's own are to be had here, and journald limits units alone")
    units = [Unit(own_parts, node.journal, *words) for words in ((UNIT, "postfix/smtpd"), ("cron.service", "postfix/cron"))]
    for event in (node.kill, node.stop):
        for happens in (lambda: None, event, node.go_on):
            for unit in units:
                unit.write(300)
            happens()
            for unit in units:
                unit.wait_told()
    lines = node.check_whole()
    lost, lost_of_others = (unit.lost() for unit in units)
    assert [lost, lost_of_others] == [unit.written - unit.stored() for unit in units]
    assert min(lost, lost_of_others) > 500
    assert node.value(LOST) == lost
    figure(f"journald: {lost} of {units[0].written} lines of the MTA suppressed, and of others {lost_of_others}; {lines} lines in all")


def test_a_disk_for_the_journal(own_parts, seed):
    """While the collector runs somebody makes the folder that lets journald keep the journal on the disk."""
    node = Node(own_parts, "made", Storage="auto")
    node.journal.write(some(200))
    node.wait_lines(200)
    node.journal.inside("/var/log/journal").mkdir()
    node.journal.tell("--flush")
    node.journal.write(some(200))
    node.wait_lines(400)
    node.check_whole()


def test_users(own_parts):
    """On the disk journald gives each user a file. Mail that a user hands in is logged there, as sendmail does it in the user's name."""
    node = Node(own_parts, "users", Storage="persistent")
    node.journal.tell("--flush")
    for user in (1000, 1001):
        account = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        run([*node.journal.enter, *account, "logger", "--priority", "mail.info", "--tag", "postfix/postdrop", "warning: a b"])
        assert len(node.journal.entries(f"_UID={user}")) == 1
        node.rotate()
    assert len(list(node.journal.inside("/var/log/journal").glob("*/user-*.journal"))) >= 2
    assert node.check_whole() == 2
    assert node.value(metric("log_problems_total", severity="warning")) == 2


def test_no_journal_yet(own_parts, seed):
    """Where no file may be read that is said, and what was logged until then was not seen: it is not counted later."""
    node = Node(own_parts, "none")
    node.stop()
    for folder in (node.site.run_directory, node.site.state_directory):
        (folder / "log.json").unlink()
    node.journal.write(some(100))
    run([*node.journal.enter, "mount", "-t", "tmpfs", "tmpfs", "/run/log"])
    node.collector.start()
    node.wait_seen(0)
    node.stop()
    run([*node.journal.enter, "umount", "/run/log"])
    node.journal.write(some(100))
    node.collector.start()
    node.wait_seen(1)
    node.journal.write(some(50))
    node.wait_lines(50)
    assert "group systemd-journal" in node.collector.logs()[0].read_text()


def test_times(own_parts):
    """A line is as old as what wrote it says, also where it had to wait for journald."""
    node = Node(own_parts, "times")
    node.journal.write(some(1))
    node.check_whole()
    assert node.value(LAG) < GENEROUS
    node.end_journald()
    node.journal.write(some(1))
    pass_time(1.5)
    node.go_on()
    node.wait_lines(2)
    assert node.value(LAG) >= 1.5
