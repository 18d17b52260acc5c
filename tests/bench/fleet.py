"""Many instances at one Redis: what their pushes cost it, in time and memory, and what showing all of them costs the exporter.

The instances are simulated (kit/simulated.py): they send what a real node sends, by its scripts, each over a connection of its
own. Redis runs here alone, so that nothing else is in the figures."""

import statistics
import time
from types import SimpleNamespace

from kit.place import Folder
from kit.programs import Exporter, Site
from kit.resp import Resp, packed
from kit.servers import Redis
from kit.simulated import Instance, catalogue, load_scripts, push
from kit.wait import wait_until

from milters import cpu_seconds

CHANGED = 60  # totals that move in a second, on a busy node
FULL_EVERY = 30  # pushes
WIDE = 600  # totals of the push that is timed; more than a node without domains has
TIMED = 300
SCRAPES = 10
READINGS = 10


def place(folder, name):
    """Folders inside those of the bench."""
    inner = SimpleNamespace(disk=folder.disk / name, tmpfs=folder.tmpfs / name)
    for directory in (inner.disk, inner.tmpfs):
        directory.mkdir()
    return inner


def used_memory(resp):
    return int(resp("INFO", "memory").decode().partition("used_memory:")[2].split()[0])


class Pusher:
    """An instance with a connection of its own."""

    def __init__(self, redis, instance):
        self.instance, self.resp, self.round = instance, Resp(redis.socket), 0

    def push(self, scripts):
        totals = self.instance.totals
        self.round += 1
        names = list(totals)[self.round % 5 * CHANGED :][:CHANGED]
        changed = {name: f"{self.round}.{self.round:06}" if "." in str(totals[name]) else 1000 * self.round for name in names}
        totals.update(changed)
        commands = self.instance.commands(scripts, None if self.round % FULL_EVERY == 0 else changed)
        word, _ = self.resp.pipeline(commands)
        if word[0] != b"written":
            raise RuntimeError(f"a push of {self.instance.name} was not written: {word}")


def share_of_redis(redis, pushers, scripts, seconds):
    """Each pushes every second, one after another; the CPU time of redis-server for a second."""
    for number, pusher in enumerate(pushers):
        pusher.round = number  # not all of them write everything in the same second
    begin, before = time.monotonic(), cpu_seconds(redis.pid)
    for second in range(seconds):
        for number, pusher in enumerate(pushers):
            time.sleep(max(0.0, begin + second + number / len(pushers) - time.monotonic()))
            pusher.push(scripts)
    return (cpu_seconds(redis.pid) - before) / (time.monotonic() - begin)


def wide_push(resp, scripts):
    """Round-trip times of pushes of many changed totals, in ms."""
    totals = {f'milterscope_wide_total{{class="class_{i}",reply="5xx"}}': i for i in range(WIDE)}
    instance = Instance("wide", totals)
    push(resp, scripts, [instance])
    took = []
    for round_number in range(TIMED):
        changed = {name: value + round_number for name, value in totals.items()}
        command = packed(instance.commands(scripts, changed)[0])
        begin = time.perf_counter()
        resp.socket.sendall(command)
        reply = resp.reply()
        took.append((time.perf_counter() - begin) * 1000)
        if reply[0] != b"written":
            raise RuntimeError(f"a push of {WIDE} totals was not written: {reply}")
    resp("DEL", *(instance.key(kind) for kind in ("meta", "counters", "gauges")))
    resp("ZREM", "ms1:instances", "wide")
    return {"median": statistics.median(took), "p99": statistics.quantiles(took, n=100)[98], "max": max(took)}


def scraped(exporter, **headers):
    """CPU time of a scrape, in ms, and its bytes."""
    before, begin = cpu_seconds(exporter.process.pid), time.monotonic()
    for _ in range(SCRAPES):
        size = len(exporter.get("/metrics", **headers).content)
    return (cpu_seconds(exporter.process.pid) - before) / SCRAPES * 1000, (time.monotonic() - begin) / SCRAPES, size


def exporter_figures(folder, redis, instances):
    """CPU times in ms: of a reading, of a scrape, of a compressed one."""
    site = Site(folder, redis.url, "fleet", exporter={"scope": "fleet"}, redis={"push_interval": 1.0})
    with Exporter(site) as exporter:
        wait_until(lambda: exporter.get("/metrics").content.count(b"milterscope_instance_up{") == instances, "all are shown")
        before, begin = cpu_seconds(exporter.process.pid), time.monotonic()
        time.sleep(READINGS)
        idle = (cpu_seconds(exporter.process.pid) - before) / (time.monotonic() - begin)  # a reading a second
        plain, took, size = scraped(exporter)
        zipped, zipped_took, zipped_size = scraped(exporter, Accept_Encoding="gzip")
        resident = exporter.metrics().values["process_resident_memory_bytes"]
    return {
        "reading_ms": idle * 1000,
        "scrape_ms": plain - idle * took * 1000,
        "gzip_scrape_ms": zipped - idle * zipped_took * 1000,
        "bytes": size,
        "gzip_bytes": zipped_size,
        "resident_bytes": float(resident),
    }


def measure(folder: Folder, count, seconds, say):
    """All figures, of so many instances."""
    say("fleet: a real node, for what it pushes")
    inner = place(folder, "fleet")
    with Redis(inner) as redis:
        totals, gauges = catalogue(redis, Site(place(folder, "fleet-node"), redis.url, "node"))
        redis.command("FLUSHALL")
        with Resp(redis.socket) as resp:
            scripts = load_scripts(resp)
            figures = {"instances": count, "totals": len(totals), "gauges": len(gauges), "push": wide_push(resp, scripts)}
            before = used_memory(resp)
            instances = [Instance(f"mx{i:03}.example.org", totals, gauges, f"{i:032x}") for i in range(count)]
            push(resp, scripts, instances)
            figures["bytes_per_instance"] = (used_memory(resp) - before) / count
            say(f"fleet: {count} instances push for {seconds} s")
            pushers = [Pusher(redis, instance) for instance in instances]
            figures["redis_share"] = share_of_redis(redis, pushers, scripts, seconds)
            for pusher in pushers:
                pusher.resp.close()
            say(f"fleet: an exporter of {count} instances")
            push(resp, scripts, instances)
            figures["exporter"] = exporter_figures(inner, redis, count)
    return figures
