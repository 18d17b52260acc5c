"""A flood of distinct clients, sender domains and HELO names, with five true heavy hitters in it: memory stays flat, the top lists name
who is heavy, and what the ring had no room for is counted.

FLOOD (20000) is how many distinct ones there are; `make soak` takes ten million, which last half an hour to an hour. Of the messages
a tenth are the heavy hitters'."""

import json
import os
import time

from kit.figures import figure
from kit.place import program
from kit.process import Process
from kit.wait import wait_until
from test_top import DROPPED, RECORDS, events, rows, started, top

FLOOD = int(os.environ.get("FLOOD", "20000"))
MESSAGES = FLOOD * 10 // 9
BEGIN = max(MESSAGES // 10, 10000)  # after so many, what is allocated once has been
# kB that a process may have more at the end than after BEGIN messages. The exporter makes room for the hours before, though there is
# nothing of them, in its first 20 s, and once more when it reads them again after 10 minutes: 1300 each, with mail or without.
GROWTH = 2048
SAMPLE = 1.0  # seconds
DAY = 24  # hours; a flood may outlast the hour that it begins in
SETS = {"client": "192.0.2.{}", "helo": "steady-{}.example", "sender_domain": "heavy-{}.example"}


def resident(pid):
    """Kilobytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


class Flood:
    """The load generator in the background, and the memory of some processes while it runs."""

    def __init__(self, node, pids):
        self.node, self.pids = node, pids
        self.sessions, self.samples, self.figures = 0, [], []

    def memory(self):
        return {name: resident(pid) for name, pid in self.pids.items()}

    def run(self, messages):
        """As many sessions, which go on where the last ones ended."""
        seconds = 600 + messages // 500  # it is never so slow
        words = ["--messages", 1, "--recipients", 1, "--headers", 1, "--flood", MESSAGES, "--steady", 0.1]
        words += ["--first", self.sessions, "--transactions", messages, "--seconds", seconds]
        command = [program("kit/milter-load"), *map(str, words), f"unix:{self.node.site.milter_socket}"]
        log = self.node.site.folder.disk / f"load.{self.sessions}"
        load = Process(command, log)
        try:
            began = time.monotonic()
            while load.popen.poll() is None:
                self.samples.append((time.monotonic() - began, self.memory()))
                time.sleep(SAMPLE)
        finally:
            status = load.stop()
        assert status == 0, log.read_text()
        self.figures.append(json.loads(log.read_text()))
        self.sessions += messages
        return self.figures[-1]

    def sum(self, name):
        return sum(figures[name] for figures in self.figures)

    def events(self):
        return sum(map(events, self.figures))

    def heavy(self):
        """Messages of each heavy hitter."""
        return [sum(each) for each in zip(*(figures["steady"] for figures in self.figures))]


def check_lists(exporter, truth, dropped):
    """Who has more messages than the bound is listed, with as many, less what the ring dropped and the error that is stated."""
    for set, form in SETS.items():
        answer = top(exporter, set, hours=DAY).json
        bound = sum(answer["totals"].values()) / 1000  # N / m
        entries = {entry["member"]: entry for entry in answer["top"]}
        assert answer["bound"] <= 2 * bound
        heavy = [(number, messages) for number, messages in enumerate(truth, 1) if messages > bound + dropped]
        assert len(heavy) >= 2
        for number, messages in heavy:
            entry = entries[form.format(number)]
            assert entry["messages"] <= messages <= entry["messages"] + entry["error"] + dropped
            assert entry["error"] <= bound


def test_flood(own_parts, redis):
    node = started(own_parts, "flood", redis)
    pids = {"filter": node.scope.child("filter"), "pusher": node.scope.child("pusher")}
    pids |= {"exporter": node.exporter.process.pid, "redis": redis.pid}
    flood = Flood(node, pids)
    flood.run(BEGIN)
    wait_until(lambda: len(rows(node.exporter, "client")) == 100, "a list", interval=0.5)
    before = flood.memory()
    flood.samples.clear()
    rate = flood.run(MESSAGES - BEGIN)["transactions_per_second"]
    curve = node.site.folder.disk / "memory.json"
    curve.write_text(json.dumps(flood.samples))
    counts = node.scope.dump().values
    dropped = int(counts[DROPPED])
    assert counts[RECORDS] + dropped == flood.events()
    sent = flood.sum("transactions")
    seen = lambda: top(node.exporter, "client", hours=DAY).json.get("totals", {}).get("messages", 0)  # noqa: E731
    wait_until(lambda: sent - dropped <= seen() <= sent, lambda: f"{sent} messages; it is {seen()}", interval=0.5)
    check_lists(node.exporter, flood.heavy(), dropped)
    after = flood.memory()
    grown = {name: after[name] - before[name] for name in pids}
    figure(f"flood of {sent} messages, {sent - sum(flood.heavy())} distinct, {rate:.0f} a second; records dropped: {dropped}")
    figure(f"flood: kB more than after {BEGIN} messages: {grown}, of {after}")
    assert {node.scope.child("filter"), node.scope.child("pusher")} == {pids["filter"], pids["pusher"]}
    assert all(kilobytes < GROWTH for kilobytes in grown.values()), f"{before} and then {after}; in between {curve}"
