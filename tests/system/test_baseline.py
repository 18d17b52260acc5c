"""What is usual, from /metrics: a history made up in the file of the state directory, which a collector takes up, keeps, and puts aside where
it is damaged. The form of the file is written down a second time here, so that it cannot change unnoticed."""

import calendar
import signal
import struct
import time
from decimal import Decimal

import pytest
from kit.programs import Collector, Exporter
from kit.wait import wait_until
from scope import site_in
from truth import metric

FILE = "baseline.history"
DAYS, HOURS, RANKS, SAMPLES = 14, 24, 20, 120
NAME, HEADER, NOW, HOUR = 132, "<8sIIII", "<iII", f"<i{RANKS}I"
SIGNAL = NAME + struct.calcsize(NOW) + 4 * SAMPLES + HOURS * DAYS * struct.calcsize(HOUR)
KNOWN = 9  # days before today, of the two weeks
WELL, HOST_WELL = (metric("collector_success", collector=name) for name in ("baseline", "host"))


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def today(wall):
    return calendar.timegm((*wall[:3], 0, 0, 0)) // 86400


def hours(day, level):
    """A day whose hours have the values level * (hour + 1) + 0 … 19."""
    return [struct.pack(HOUR, day, *(level * (hour + 1) + rank for rank in range(RANKS))) for hour in range(HOURS)]


def signal_of(name, level):
    """The history of a signal, as of yesterday at noon."""
    now = today(time.localtime())
    empty = [struct.pack(HOUR, 0, *[0] * RANKS)] * HOURS
    days = {day % DAYS: hours(day, level) for day in range(now - KNOWN, now)}
    past = b"".join(days.get(place, empty)[hour] for hour in range(HOURS) for place in range(DAYS))
    return name.encode().ljust(NAME, b"\0") + struct.pack(NOW, now - 1, 12, 0) + bytes(4 * SAMPLES) + past


def made_up(**levels):
    signals = [signal_of(name, level) for name, level in levels.items()]
    assert {len(signal) for signal in signals} == {SIGNAL}
    data = struct.pack(HEADER, b"msbase\r\n", 1, SIGNAL, len(signals), 0) + b"".join(signals)
    return data + struct.pack("<Q", fnv1a(data))


def kept(node):
    """{name: all that is known of the signal}"""
    data = node.file.read_bytes()
    assert fnv1a(data[:-8]) == struct.unpack("<Q", data[-8:])[0]
    signals = [data[at : at + SIGNAL] for at in range(struct.calcsize(HEADER), len(data) - 8, SIGNAL)]
    return {signal[:NAME].rstrip(b"\0").decode(): signal for signal in signals}


def usual(level):
    """(median, p95) that such a level has now."""
    base = level * (time.localtime().tm_hour + 1)
    return base + Decimal("9.5"), base + Decimal("18.05")


class Node:
    """`content`: of the file; None: a folder is in its place."""

    def __init__(self, parts, name, content):
        self.site = site_in(parts, name)
        queue = self.site.folder.disk / "list"
        queue.mkdir()
        self.site.write(collector={"queues": [{"name": "list", "directory": str(queue), "format": "exim"}]})
        self.file = self.site.state_directory / FILE
        self.content = content
        if content is None:
            self.file.mkdir()
        else:
            self.file.write_bytes(content)
        self.exporter = parts.start(Exporter(self.site))
        self.collector = parts.start(Collector(self.site))

    def shown(self, name):
        """(median, p95)"""
        values = self.exporter.metrics().values
        return tuple(values.get(metric(f"baseline_{what}", signal=name)) for what in ("median", "p95"))

    def wait_usual(self, name, level):
        wait_until(lambda: self.shown(name) == usual(level), lambda: f"{usual(level)} of {name}, not {self.shown(name)}")

    def wait_well(self, well):
        wait_until(lambda: self.exporter.metrics().values.get(WELL) == well, f"{WELL} {well}")

    def log(self):
        return self.collector.logs()[0].read_text()


@pytest.fixture(scope="module")
def node(parts):
    return Node(parts, "node", made_up(deferred=10, list=30, messages=500, news=40))


def check(node):
    node.wait_usual("deferred", 10)
    node.wait_usual("list", 30)
    node.wait_usual("messages", 500)
    for name in ("news", "active", "sockets", "rejects"):  # a queue that is nobody's any more; and what has no history
        assert node.shown(name) == (None, None)
    node.wait_well(1)


def test_is_shown(node):
    check(node)


def test_goes_on(node):
    """Over a stop, a reload and a kill; what was told stays in the file."""
    assert node.collector.stop() == 0
    signals = kept(node)
    assert signals["messages"] in node.content  # no filter, no sample
    assert {"deferred", "list"} < signals.keys() and "news" not in signals
    node.collector.start()
    check(node)
    node.collector.process.send(signal.SIGUSR1)
    wait_until(lambda: node.log().count("collecting for instance") == 3, "it began anew")
    check(node)
    node.collector.process.send(signal.SIGKILL)
    node.collector.process.popen.wait()
    node.collector.start()
    check(node)


def test_damaged(own_parts):
    content = bytearray(made_up(deferred=10))
    content[len(content) // 2] ^= 1
    node = Node(own_parts, "damaged", content)
    node.wait_well(1)
    assert node.shown("deferred") == (None, None)
    (aside,) = node.site.state_directory.glob(f"{FILE}.damaged-*")
    assert aside.read_bytes() == content
    assert f"{node.file}: its checksum is wrong; moved to {aside}, the baseline begins anew" in node.log()


def test_cannot_be_read(own_parts):
    """It is left as it is, and all others collect."""
    node = Node(own_parts, "unreadable", None)
    node.wait_well(0)
    wait_until(lambda: f"baseline: {node.file} cannot be read: " in node.log(), "it is said")
    wait_until(lambda: node.exporter.metrics().values.get(HOST_WELL) == 1, f"{HOST_WELL} 1")
    assert node.file.is_dir()
