"""What the collector says of the queues, and what the MTA's own list of them says."""

import json
import re
import time
from collections import namedtuple
from datetime import datetime

from kit.metrics import labels_of, name_of
from kit.place import AS_ROOT, server_program
from kit.process import run
from kit.wait import wait_until
from truth import metric

BOUNDS = [300, 1200, 3600, 14400, 86400, 172800, float("inf")]  # seconds
AGES = dict(zip(["0-5m", "5m-20m", "20m-1h", "1h-4h", "4h-1d", "1d-2d", "2d+"], BOUNDS, strict=True))
MARGIN = 5  # seconds that no message of a test is from the bound of a class of ages

# A message in a queue: `arrived` in seconds since the Unix epoch.
Waiting = namedtuple("Waiting", "queue bytes null_sender arrived")


def age_class(seconds):
    assert all(abs(seconds - bound) > MARGIN for bound in AGES.values()), f"an age of {seconds} s may change its class"
    return next(name for name, bound in AGES.items() if seconds <= bound)


class Seen:
    """The collector's gauges of the queues, by queue."""

    def __init__(self, values):
        self.values = values
        self.queues = {labels_of(name)["queue"] for name in values if name_of(name) == metric("queue_messages")}

    def __getitem__(self, key):
        """By (name, queue); None where it is absent."""
        name, queue = key
        return self.values.get(metric(f"queue_{name}", queue=queue))

    def ages(self, queue):
        found = {name: self.values[metric("queue_age_messages", queue=queue, age=name)] for name in AGES}
        return {name: number for name, number in found.items() if number}


def look(milterscope):
    return Seen(milterscope.dump().values)


def wait_pass(milterscope, queue, wait_seconds=0.0):
    """What a pass says that began from now on."""
    begin = time.time() + wait_seconds
    found = []

    def is_new():
        found[:] = [look(milterscope)]
        ended, took = (found[0][name, queue] for name in ("scan_timestamp_seconds", "scan_seconds"))
        return ended is not None and ended - took > begin

    wait_until(is_new, f"a pass over {queue} begins")
    return found[0]


def check(seen, queue, waiting, tried=None):
    """`waiting`: all messages of all queues. `tried`: how many were, or None where it cannot be told."""
    mine = [message for message in waiting if message.queue == queue]
    ended = seen["scan_timestamp_seconds", queue]
    assert seen["messages", queue] == len(mine), queue
    assert seen["bytes", queue] == sum(message.bytes for message in mine), queue
    assert seen["null_sender_messages", queue] == sum(message.null_sender for message in mine), queue
    assert seen["tried_messages", queue] == tried, queue
    assert seen["scan_complete", queue] == 1, queue
    ages = {}
    for message in mine:
        name = age_class(float(ended) - message.arrived)
        ages[name] = ages.get(name, 0) + 1
    assert seen.ages(queue) == ages, queue
    oldest = float(ended) - min(message.arrived for message in mine) if mine else 0
    assert abs(float(seen["oldest_seconds", queue]) - oldest) <= MARGIN, queue
    assert abs(time.time() - float(ended)) < 600


# ---- the MTAs' own lists ----


def postqueue(postfix):
    """As Postfix lists it; not its queue of corrupt files."""
    words = [*AS_ROOT, server_program("postfix", "usr/sbin/postqueue"), "-c", postfix.folder / "etc", "-j"]
    rows = [json.loads(line) for line in run(words).splitlines()]
    return [
        Waiting(row["queue_name"], row["message_size"], row["sender"] == "MAILER-DAEMON", row["arrival_time"])
        for row in rows
    ]


JOB = re.compile(r"^([0-9A-Za-z]{14,})[*X-]?\s+(\d+)\s+(\w{3} \w{3} [ \d]\d \d\d:\d\d)\s+(\S+)", re.MULTILINE)


def mailq(sendmail, queue, *options):
    """As sendmail lists it; with -qQ what is quarantined. Its times have no seconds."""
    with sendmail.network.visit():
        said = run([sendmail.folder / "mta", "-bp", *options])
    year = datetime.now().year
    rows = JOB.findall(said)
    assert len(rows) == int(re.search(r"Total requests: (\d+)", said)[1]), said
    times = [datetime.strptime(f"{year} {when}", "%Y %a %b %d %H:%M").timestamp() for _, _, when, _ in rows]
    return [
        Waiting(queue, int(size), sender in ("<>", "MAILER-DAEMON"), arrived)
        for (_, size, _, sender), arrived in zip(rows, times, strict=True)
    ]
